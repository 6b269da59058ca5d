"""MVTec AD and every dataset in its layout, and what the exporter of the same name writes.

Layout: <category>/train/good, <category>/test/good, <category>/test/<defect type>, and for each anomalous
image <category>/ground_truth/<defect type>/<stem>_mask.png (or the bare stem). The root may be the folder
of the categories or one category. A folder val or validation gives the split "val". Where the exporter
wrote the tree, calibration/<category>/test/... gives the split "calibration", and manifest.json gives back
what folders cannot hold. Mask pixels above 0 are defect. Masks of normal images, which the layout has not,
are kept and reported.

Licence: of MVTec AD itself CC BY-NC-SA 4.0; other trees keep the first line of their own licence file.
Source: Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly Detection Dataset. IJCV 129 (2021),
doi:10.1007/s11263-020-01400-4
"""

from pathlib import Path

import pandas as pd

from curate.faults import Fault
from curate.mvtec_layout import (
    MASKS,
    SPLITS,
    Category,
    Has,
    Manner,
    candidates,
    categories,
    first_line,
    joined,
    kinds,
    licence_of,
    on_disk,
    rows,
)
from curate.readings import leftovers, table, without_shared_masks
from curate.restoring import Manifest
from curate.walking import Tree, is_folder, matching, walk

CALIBRATION = "calibration"
NORMAL = "good"
DELIVERED = Manner(SPLITS)
CALIBRATING = Manner(dict.fromkeys(SPLITS, CALIBRATION))
MVTEC_CATEGORIES = frozenset(
    "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw "
    "tile toothbrush transistor wood zipper".split()
)
MVTEC_LICENCE = "CC BY-NC-SA 4.0"
MVTEC_CITATION = (
    "Bergmann, P., Batzner, K., Fauser, M., Sattlegger, D., Steger, C.: The MVTec Anomaly Detection Dataset. "
    "IJCV 129, 1038-1059 (2021), doi:10.1007/s11263-020-01400-4"
)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    found = [folder for folder in candidates(root) if _is_category(on_disk(root), folder)]
    if not found:
        return [f"no <category>/train/{NORMAL} folder, and no train/{NORMAL} folder here"]
    for folder in found:
        nested = next((path for path in matching(root / folder, f"{MASKS}/*/*") if is_folder(path)), None)
        if nested:
            return [
                f"{nested.relative_to(root)} is a folder; expected one mask file per image "
                "(MVTec LOCO AD keeps a folder of masks per image)"
            ]
    return []


def _is_category(has: Has, folder: str) -> bool:
    return has(joined(folder, "train", NORMAL)) or (
        has(joined(folder, "test")) and (has(joined(folder, MASKS)) or has(joined(folder, "test", NORMAL)))
    )


def read(root: Path) -> pd.DataFrame:
    """One row per image in train, val and test; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    found = categories(tree, _is_category, f"a category with train/{NORMAL}", faults, beside=[CALIBRATION])
    calibrating = _calibrating(tree, faults)
    manifest = Manifest.of(tree, faults)
    entries = []
    for category in [*found, *calibrating]:
        licence, citation = _licence(tree, category, {one.name for one in found + calibrating}, faults)
        manner = CALIBRATING if category in calibrating else DELIVERED
        for kind in kinds(tree, category, manner, faults):
            entries += rows(tree, kind, faults, category=category.name, licence=licence, citation=citation)
    entries = manifest.restored(entries, faults)
    faults += leftovers(tree, entries, faults)
    return table(without_shared_masks(entries, faults), faults)


def _calibrating(tree: Tree, faults: list[Fault]) -> list[Category]:
    """The categories of the exporter's calibration part."""
    if _is_category(tree.has, ""):
        return []
    paths = [f"{CALIBRATION}/{name}" for name in tree.subfolders(CALIBRATION)]
    return [Category(path, path.rpartition("/")[2]) for path in paths if _is_category(tree.has, path)]


def _licence(
    tree: Tree, category: Category, names: set[str], faults: list[Fault]
) -> tuple[str | None, str | None]:
    """Licence and citation: MVTec's own where names and licence file say so, else that file's first line."""
    text = licence_of(tree, category, faults)
    says_mvtec = "mvtec" in text.lower() or "noncommercial-sharealike" in text.lower().replace(" ", "")
    if says_mvtec and names <= MVTEC_CATEGORIES:
        return MVTEC_LICENCE, MVTEC_CITATION
    return first_line(text), None
