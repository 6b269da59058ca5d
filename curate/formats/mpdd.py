"""MPDD, metal parts of six kinds photographed in a factory, in the layout of MVTec AD.

Layout: <category>/train/good, test/good, test/<defect type>, and for each anomalous image
ground_truth/<defect type>/<stem>_mask.png. The names of the categories tell it from other trees in that
layout; a tree of which only connector or tubes is there could be anybody's, and is read as mvtec_ad unless
told. Mask pixels above 0 are defect.

Licence: the authors' page states none; CC BY-NC-SA 4.0 is commonly quoted.
Source: Jezek, Jonak, Burget, Dvorak, Skotak: Deep learning-based defect detection of metal parts: evaluating
current methods in complex conditions. ICUMT 2021, doi:10.1109/ICUMT54235.2021.9631567
"""

from pathlib import Path

import pandas as pd

from curate.mvtec_layout import SPLITS, Has, Manner, Source, candidates, joined, on_disk, read_tree
from curate.restoring import NAME as MANIFEST
from curate.walking import is_file

MANNER = Manner(SPLITS)
TELLING = ("bracket_black", "bracket_brown", "bracket_white", "metal_plate")
CATEGORIES = frozenset({*TELLING, "connector", "tubes"})
SOURCE = Source(
    CATEGORIES,
    "CC BY-NC-SA 4.0, as commonly quoted; the authors' page states none",
    "Jezek, S., Jonak, M., Burget, R., Dvorak, P., Skotak, M.: Deep learning-based defect detection of metal "
    "parts: evaluating current methods in complex conditions. ICUMT 2021, "
    "doi:10.1109/ICUMT54235.2021.9631567",
)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout and the names."""
    here = [folder for folder in candidates(root) if _is_category(on_disk(root), folder)]
    names = [folder or root.absolute().name for folder in here]
    if not set(names) & set(TELLING):
        return [f"no category {', '.join(TELLING[:-1])} or {TELLING[-1]} with train/good"]
    if foreign := [name for name in names if name not in CATEGORIES]:
        return [f"{foreign[0]} is not a category of it"]
    if is_file(root / MANIFEST):
        return [f"{MANIFEST} says that it was exported, in the layout of mvtec_ad"]
    return []


def _is_category(has: Has, folder: str) -> bool:
    return has(joined(folder, "train", "good")) or has(joined(folder, "test", "good"))


def read(root: Path) -> pd.DataFrame:
    """One row per image in train and test; see curate.readings for the columns."""
    return read_tree(root, _is_category, "a category with train/good", MANNER, SOURCE)
