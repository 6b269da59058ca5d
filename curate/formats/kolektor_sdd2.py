"""KolektorSDD2: colour images of a production item with scratches, spots and other surface defects.

Layout: train/<NNNNN>.png and test/<NNNNN>.png, each with the mask <NNNNN>_GT.png beside it. Nothing but the
masks tells the label: an image whose mask has a pixel above 0 is anomalous, so every mask is decoded. The
split stays as delivered: train has anomalous images too (246 of 2,331; test 110 of 1,004), because the set
was made for mixed supervision. The names are plain numbers and say nothing about the item that an image
shows, so every image is a part of its own; images of one item may lie on both sides of the split.

The published archive has two stray copies, "train/10301 (copy).png" and "train/10301_GT (copy).png". Like
every file that has another name, they are reported and left out.

Licence: CC BY-NC-SA 4.0.
Source: Božič, Tabernik, Skočaj: Mixed supervision for surface-defect detection: from weakly to fully
supervised learning. Computers in Industry 129 (2021), arXiv:2104.06064
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
from curate.images import is_image
from curate.mask_labels import labelled, masks_by_name, no_mask
from curate.readings import absolute, leftovers, not_an_image, orphan_mask, row, table, unknown_folder
from curate.walking import is_folder, matching, walk

SPLITS = {"train": "train", "test": "test"}
NAME = re.compile(r"(?P<image>(?P<split>train|test)/\d+)(?P<mask>_GT)?\.\w+", re.I)
MASK = "_GT"
MASK_RULE = "> 0"
KNOWN = {
    "category": "kolektor_sdd2",
    "licence": "CC BY-NC-SA 4.0",
    "citation": (
        "Božič, J., Tabernik, D., Skočaj, D.: Mixed supervision for surface-defect detection: from weakly to "
        "fully supervised learning. Computers in Industry 129, 103459 (2021), arXiv:2104.06064"
    ),
}


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    found = [path for path in root.iterdir() if path.name.lower() in SPLITS and is_folder(path)]
    if not found:
        return ["no folder train or test"]
    if not any(next(matching(folder, "[0-9]*_[Gg][Tt].*"), None) for folder in found):
        return [f"no mask train/<number>{MASK}.png or test/<number>{MASK}.png"]
    return []


def read(root: Path) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns. Decodes every mask."""
    tree = walk(root)
    faults = list(tree.faults)
    for folder in tree.folders:
        above = folder.rpartition("/")[0]
        if folder.lower() not in SPLITS and (not above or above.lower() in SPLITS):
            faults.append(unknown_folder(folder, "train and test, without folders below"))
    named: list[str] = []
    pictures: dict[str, re.Match[str]] = {}
    for path in tree.files:
        match = NAME.fullmatch(path)
        if match is None or not is_image(path):
            if path.count("/") == 1 and path.split("/")[0].lower() in SPLITS:
                faults.append(_misnamed(path) if is_image(path) else not_an_image(path))
        elif match["mask"]:
            named.append(path)
        else:
            pictures[path] = match
    masks = masks_by_name(named, lambda path: path.rpartition(".")[0][: -len(MASK)], faults)
    rows = []
    for path, match in pictures.items():
        known: dict[str, Any] = {**KNOWN, "split": SPLITS[match["split"].lower()]}
        if mask := masks.get(match["image"]):
            known |= {
                "gt_mask_path": absolute(tree.files[mask]),
                "mask_rule": MASK_RULE,
                "mask_kind": "binary",
            }
        else:
            faults.append(no_mask(path, f"{match['image']}{MASK}.png"))
        rows.append(row(tree, path, "unknown", **known))
    with_image = {match["image"] for match in pictures.values()}
    faults += [orphan_mask(mask, f"{image}.png") for image, mask in masks.items() if image not in with_image]
    rows = labelled(rows, faults)
    return table(rows, [*faults, *leftovers(tree, rows, faults, known=named)])


def _misnamed(path: str) -> Fault:
    message = f"{path} is not named <number>.png or <number>{MASK}.png; it is ignored."
    remedy = "Remove it if it is a copy, as 10301 (copy).png of the published archive; else rename it."
    return Fault("unknown_file", "warning", path, message, remedy)
