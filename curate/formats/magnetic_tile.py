"""Magnetic tile surface defects: photographs of motor tiles under several exposures, with pixel masks.

Layout: MT_<kind>/Imgs/exp<k>_num_<n>.jpg with the mask in a .png of the same name. MT_Free is normal, the
other kinds (Blowhole, Break, Crack, Fray, Uneven) are anomalous. The masks of MT_Free, which are empty, stay
with their images, so that a check can tell when one is not.

Masks are grey: of the 30.6 million mask pixels of 280 anomalous images 0.44 % lie between 0 and 255, nine
in ten of them within 2 px of a full pixel. A pixel is defect when its value is above 127, that is, when at
least half of it is covered. That contour is stable (354, 350 and 343 regions at 63, 127 and 191); "> 0"
would add 2.7 % of area and 231 faint specks (median 1 px, value 1). No mask that has any defect pixel
becomes empty by this rule. Three are empty under either (Uneven 45042, 124690, 352527) and two have but 1
and 3 px (Uneven 24829, 24843): the checks report all five.

Part: the numbers count the frames of one camera. The exposures 1 to 6 of a tile follow each other, mostly
10 to 60 numbers apart; some rounds begin at exposure 4, and sometimes two tiles are taken in turn. So, in
order of number over all kinds, a new part begins where the number jumps by more than 1,300, or where the
exposure does not grow and the number jumps by more than 150. Checked on 912 images against the best
correlation of their high-passed pictures, which tells tiles apart cleanly (above 0.94 for 95 % of
neighbouring exposures, at most 0.5 between different tiles of equal size): of 166 tiles the rule put 5 in
two parts, each photographed again later; RETAKEN joins those. Tiles that follow each other closely share a
part, which can hurt no split: there are 138 parts.

Licence: there is no licence file; the authors welcome use and ask to be cited.
Source: Huang, Qiu, Guo, Wang, Yuan: Surface defect saliency of magnetic tile. The Visual Computer 36
(2020).
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
from curate.images import is_image
from curate.readings import (
    absolute,
    images,
    leftovers,
    missing_mask,
    not_an_image,
    orphan_mask,
    row,
    stem,
    table,
    unknown_folder,
    without_shared_masks,
)
from curate.walking import Tree, is_folder, walk

KINDS = ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Free", "MT_Uneven")
NORMAL = "MT_Free"
NAME = re.compile(r"exp(\d+)_num_(\d+)")
MASK_RULE = "> 127"
NEXT_ROUND, NEXT_TILE = 150, 1300
# Numbers of one tile that was photographed again later, further apart than the rule sees.
RETAKEN = ((8676, 10334), (37243, 37556), (53011, 65001), (86031, 86828), (355636, 358102))
LICENCE = "No licence stated; the authors welcome use and ask for citation"
CITATION = (
    "Huang, Y., Qiu, C., Guo, Y., Wang, X., Yuan, K.: Surface defect saliency of magnetic tile. "
    "The Visual Computer 36, 85-96 (2020)"
)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    unmet = []
    if not is_folder(root / NORMAL / "Imgs"):
        unmet.append(f"no {NORMAL}/Imgs folder")
    if not any(is_folder(root / kind / "Imgs") for kind in KINDS if kind != NORMAL):
        unmet.append("no MT_<kind>/Imgs folder with defects (MT_Blowhole, MT_Break, ...)")
    return unmet


def read(root: Path) -> pd.DataFrame:
    """One row per .jpg; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    rows: list[dict[str, Any]] = []
    for name in tree.subfolders(""):
        if name not in KINDS or f"{name}/Imgs" not in tree.folders:
            faults.append(unknown_folder(name, ", ".join(f"{kind}/Imgs" for kind in KINDS)))
            continue
        faults += [
            unknown_folder(f"{name}/{sub}", f"{name}/Imgs") for sub in tree.subfolders(name) if sub != "Imgs"
        ]
        rows += _read_kind(tree, name, faults)
    _add_parts(rows, faults)
    faults += leftovers(tree, rows, faults)
    rows = without_shared_masks(rows, faults)
    return table(rows, faults)


def _read_kind(tree: Tree, kind: str, faults: list[Fault]) -> list[dict[str, Any]]:
    files = tree.inside(f"{kind}/Imgs")
    masks = {stem(path): path for path in files if path.lower().endswith(".png")}
    pictures = [path for path in images(files) if not path.lower().endswith(".png")]
    faults += [not_an_image(path) for path in files if not is_image(path)]
    rows = []
    for path in pictures:
        mask = masks.pop(stem(path), None)
        known: dict[str, Any] = {
            "category": "magnetic_tile",
            "licence": LICENCE,
            "citation": CITATION,
        }
        if mask is not None:
            path_of_mask = absolute(tree.files[mask])
            known |= {"gt_mask_path": path_of_mask, "mask_rule": MASK_RULE, "mask_kind": "grey"}
        if kind == NORMAL:
            rows.append(row(tree, path, "normal", **known))
            continue
        if mask is None:
            faults.append(missing_mask(path, [f"{kind}/Imgs/{stem(path)}.png"]))
        rows.append(row(tree, path, "anomalous", defect_types=[kind[3:].lower()], **known))
    faults += [orphan_mask(mask, f"{kind}/Imgs/{name}.jpg") for name, mask in masks.items()]
    return rows


def _add_parts(rows: list[dict[str, Any]], faults: list[Fault]) -> None:
    numbered = []
    for entry in rows:
        match = NAME.fullmatch(stem(entry["relative_path"]))
        if match:
            numbered.append((int(match[2]), int(match[1]), entry))
            continue
        path = entry["relative_path"]
        message = f"{path} is not named exp<k>_num_<n>, which tells its tile; it counts as a tile of its own."
        faults.append(Fault("unknown_part", "warning", path, message, "Rename it, or leave it so."))
    numbered.sort(key=lambda item: item[:2])
    starts = part_starts([(number, exposure) for number, exposure, _ in numbered])
    for start, (_, _, entry) in zip(starts, numbered, strict=True):
        entry["part_id"] = f"tile-{start:06d}"


def part_starts(numbers: list[tuple[int, int]]) -> list[int]:
    """First number of each image's part.

    Args:
        numbers: (number, exposure) of all images, sorted.

    >>> part_starts([(524, 1), (542, 2), (560, 1), (566, 3), (2000, 1), (2020, 2)])
    [524, 524, 524, 524, 2000, 2000]
    """
    starts: dict[int, int] = {}
    before = start = 0
    exposure_before = 0
    for number, exposure in numbers:
        jump = number - before
        if not starts or jump > NEXT_TILE or (exposure <= exposure_before and jump > NEXT_ROUND):
            start = number
        starts[number] = start
        before, exposure_before = number, exposure
    for first, again in RETAKEN:
        if first in starts and again in starts:
            earlier, later = sorted((starts[first], starts[again]))
            starts = {number: earlier if at == later else at for number, at in starts.items()}
    return [starts[number] for number, _ in numbers]
