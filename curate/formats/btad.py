"""BTAD, the beanTech anomaly detection dataset, and trees in its layout: folders ok and ko.

Layout: <category>/train/ok, test/ok, test/ko, and for each image of the latter a mask of the same stem in
ground_truth/ko; the categories are 01, 02 and 03. Images and masks are PNG or BMP, in any combination. The
folder ko says no defect type. Mask pixels above 0 are defect.

Licence: CC BY-NC-SA 4.0 for the categories 01 to 03; others keep the first line of their own licence file.
Source: Mishra, Verk, Fornasier, Piciarelli, Foresti: VT-ADL: A Vision Transformer Network for Image Anomaly
Detection and Localization. ISIE 2021, doi:10.1109/ISIE45552.2021.9576231
"""

from pathlib import Path

import pandas as pd

from curate.mvtec_layout import SPLITS, Has, Manner, Source, candidates, joined, on_disk, read_tree

MANNER = Manner(SPLITS, normal="ok", anomalous="ko")
CATEGORIES = frozenset({"01", "02", "03"})
SOURCE = Source(
    CATEGORIES,
    "CC BY-NC-SA 4.0",
    "Mishra, P., Verk, R., Fornasier, D., Piciarelli, C., Foresti, G. L.: VT-ADL: A Vision Transformer "
    "Network for Image Anomaly Detection and Localization. ISIE 2021, doi:10.1109/ISIE45552.2021.9576231",
)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    if any(_is_category(on_disk(root), folder) for folder in candidates(root)):
        return []
    return ["no <category>/train/ok or <category>/test/ko folder, and none of them here"]


def _is_category(has: Has, folder: str) -> bool:
    return has(joined(folder, "train", "ok")) or has(joined(folder, "test", "ko"))


def read(root: Path) -> pd.DataFrame:
    """One row per image in train and test; see curate.readings for the columns."""
    return read_tree(root, _is_category, "a category with train/ok", MANNER, SOURCE)
