"""KolektorSDD: surfaces of electrical commutators with fine cracks, eight views of each.

Layout: kos<NN>/Part<M>.jpg with the mask Part<M>_label.bmp. A folder kos<NN> is one commutator, so it is the
part; Part<M> tells where on it the image was taken. Nothing but the masks tells the label: an image whose
mask has a pixel above 0 is anomalous, so every mask is decoded. No split is delivered.

KolektorSDD-boxes has the same names, but its masks are boxes around the cracks: read it with boxes = true,
which marks them as weak.

Licence: CC BY-NC-SA 4.0.
Source: Tabernik, Šela, Skvarč, Skočaj: Segmentation-based deep-learning approach for surface-defect
detection. Journal of Intelligent Manufacturing 31 (2020), doi:10.1007/s10845-019-01476-x
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
from curate.images import is_image
from curate.mask_labels import labelled, masks_by_name, no_mask
from curate.readings import absolute, leftovers, not_an_image, orphan_mask, row, stem, table, unknown_folder
from curate.walking import Tree, is_folder, matching, walk

COMMUTATOR = re.compile(r"kos\d+", re.I)
MASK = "_label"
MASK_RULE = "> 0"
KNOWN = {
    "category": "commutator",
    "licence": "CC BY-NC-SA 4.0",
    "citation": (
        "Tabernik, D., Šela, S., Skvarč, J., Skočaj, D.: Segmentation-based deep-learning approach for "
        "surface-defect detection. Journal of Intelligent Manufacturing 31, 759-776 (2020), "
        "doi:10.1007/s10845-019-01476-x"
    ),
}


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    found = sorted(path for path in root.iterdir() if COMMUTATOR.fullmatch(path.name) and is_folder(path))
    if not found:
        return ["no kos<number> folder"]
    if not any(next(matching(folder, f"*{MASK}.*"), None) for folder in found):
        return [f"no mask kos<number>/Part<number>{MASK}.bmp"]
    return []


def read(root: Path, boxes: bool = False) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns. Decodes every mask.

    Args:
        root: the dataset's folder.
        boxes: the masks are boxes around the cracks, as in KolektorSDD-boxes.
    """
    tree = walk(root)
    faults = list(tree.faults)
    rows: list[dict[str, Any]] = []
    masks: set[str] = set()
    for name in tree.subfolders(""):
        if not COMMUTATOR.fullmatch(name):
            faults.append(unknown_folder(name, "kos<number>"))
            continue
        faults += [unknown_folder(f"{name}/{sub}", "no folders here") for sub in tree.subfolders(name)]
        rows += _read_commutator(tree, name, masks, faults)
    rows = labelled([found | {"mask_quality": "weak" if boxes else None} for found in rows], faults)
    return table(rows, [*faults, *leftovers(tree, rows, faults, known=masks)])


def _read_commutator(
    tree: Tree, name: str, known_masks: set[str], faults: list[Fault]
) -> list[dict[str, Any]]:
    files = tree.inside(name)
    faults += [not_an_image(path) for path in files if not is_image(path)]
    named = [path for path in files if is_image(path) and stem(path).lower().endswith(MASK)]
    known_masks.update(named)
    masks = masks_by_name(named, lambda path: f"{name}/{stem(path)[: -len(MASK)]}", faults)
    rows = []
    for path in files:
        if not is_image(path) or path in known_masks:
            continue
        known: dict[str, Any] = {**KNOWN, "part_id": name, "position": stem(path)}
        wanted = f"{name}/{stem(path)}"
        if mask := masks.get(wanted):
            known |= {
                "gt_mask_path": absolute(tree.files[mask]),
                "mask_rule": MASK_RULE,
                "mask_kind": "binary",
            }
        else:
            faults.append(no_mask(path, f"{wanted}{MASK}.bmp"))
        rows.append(row(tree, path, "unknown", **known))
    pictures = {f"{name}/{stem(found['relative_path'])}" for found in rows}
    faults += [orphan_mask(mask, f"{image}.jpg") for image, mask in masks.items() if image not in pictures]
    return rows
