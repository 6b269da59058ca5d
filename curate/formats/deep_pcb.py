"""DeepPCB: aligned pairs of a defect-free template and a tested board image, with a box per defect.

Layout: group<board>/<board>/<pair>_temp.jpg and <pair>_test.jpg, and per pair a box file
group<board>/<board>_not/<pair>.txt, usually below PCBData/. Templates are normal, tested images anomalous.
A pair is one part; a group, cut from one board, is one lot. A line of a box file is "x1 y1 x2 y2 type",
with spaces or commas, the type 1 to 6; the corners are taken as a half-open box in pixels. 48 px are 1 mm.
Images are binarised, and a part of the defects was drawn in by hand. The lists trainval.txt and test.txt,
where present, give the split.

Licence: a LICENSE file (MIT), but the README says "You can only use this dataset for research purpose".
Source: Tang, He, Huang, Yang: Online PCB defect detector on a new PCB defect dataset, arXiv:1902.06197
(2019).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from curate.errors import Unreadable
from curate.faults import Fault
from curate.images import is_image, read_hw
from curate.readings import leftovers, not_an_image, row, stem, table, text_of, unknown_folder
from curate.walking import Tree, is_folder, matching, walk

PAIR = re.compile(
    r"(?P<folder>(?:PCBData/)?(?P<group>group\d+)/\d+)/(?P<pair>\d+)_(?P<role>test|temp)\.jpe?g", re.I
)
BOXES = re.compile(r"(?P<folder>(?:PCBData/)?group\d+/\d+)_not/(?P<pair>\d+)\.txt", re.I)
FOLDER = re.compile(r"PCBData|(?:PCBData/)?group\d+(?:/\d+(?:_not)?)?", re.I)
LISTS = {"trainval.txt": "train", "test.txt": "test"}
TYPES = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
ABOUT = ("readme.md", "readme.txt", "license", "license.txt")
UM_PER_PX = 1000 / 48
KNOWN = {
    "category": "pcb",
    "um_per_px": UM_PER_PX,
    "licence": 'MIT by its LICENSE file, but "only ... for research purpose" by its README',
    "citation": (
        "Tang, S., He, F., Huang, X., Yang, J.: Online PCB defect detector on a new PCB defect dataset. "
        "arXiv:1902.06197 (2019)"
    ),
}


@dataclass
class _Pair:
    """Files of one pair: its folder and number, and the relative paths found."""

    group: str
    temp: str | None = None
    test: str | None = None
    boxes: str | None = None
    splits: set[str] = field(default_factory=set)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    base = root / "PCBData" if is_folder(root / "PCBData") else root
    groups = sorted(path for path in matching(base, "group[0-9]*") if is_folder(path))
    if not groups:
        return ["no group<number> folder, neither here nor in PCBData"]
    if not any(next(matching(group, "[0-9]*/*_temp.jp*g"), None) for group in groups):
        return ["no group<number>/<number>/<pair>_temp.jpg image"]
    return []


def read(root: Path) -> pd.DataFrame:
    """Two rows per pair; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    pairs = _pairs(tree, faults)
    _add_splits(tree, pairs, faults)
    rows = []
    for (folder, number), pair in sorted(pairs.items()):
        known: dict[str, Any] = {**KNOWN, "lot": pair.group, "part_id": f"{pair.group}-{number}"}
        known["split"] = next(iter(pair.splits)) if len(pair.splits) == 1 else None
        if pair.temp:
            rows.append(row(tree, pair.temp, "normal", **known))
        if pair.test:
            boxes = _read_boxes(tree, pair, faults)
            types = sorted({box["defect_type"] for box in boxes or []})
            rows.append(row(tree, pair.test, "anomalous", defect_types=types, boxes=boxes, **known))
        faults += _incomplete(pair, f"{folder}/{number}", f"{folder}_not/{number}.txt")
    return table(rows, [*faults, *leftovers(tree, rows, faults)])


def _pairs(tree: Tree, faults: list[Fault]) -> dict[tuple[str, str], _Pair]:
    pairs: dict[tuple[str, str], _Pair] = {}
    for path in tree.files:
        if image := PAIR.fullmatch(path):
            pair = pairs.setdefault((image["folder"], image["pair"]), _Pair(image["group"]))
            setattr(pair, image["role"].lower(), path)
        elif boxes := BOXES.fullmatch(path):
            group = boxes["folder"].split("/")[-2]
            pairs.setdefault((boxes["folder"], boxes["pair"]), _Pair(group)).boxes = path
        elif _belongs(path.rpartition("/")[0]) and path.rpartition("/")[2].lower() not in (*LISTS, *ABOUT):
            faults.append(_stray(path) if is_image(path) else not_an_image(path))
    for folder in tree.folders:
        if not FOLDER.fullmatch(folder) and _belongs(folder.rpartition("/")[0]):
            faults.append(unknown_folder(folder, "group<number>/<number> and group<number>/<number>_not"))
    return pairs


def _belongs(folder: str) -> bool:
    return not folder or FOLDER.fullmatch(folder) is not None


def _stray(path: str) -> Fault:
    message = f"{path} is not part of the layout; it is ignored."
    return Fault("unknown_file", "warning", path, message, "Remove it if it does not belong here.")


def _incomplete(pair: _Pair, name: str, boxes: str) -> list[Fault]:
    found = []
    if pair.test and not pair.temp:
        message = f"{pair.test} has no template. Looked for {name}_temp.jpg."
        found.append(Fault("missing_template", "warning", pair.test, message, "Add the template."))
    if pair.temp and not pair.test:
        message = f"{pair.temp} has no tested image. Looked for {name}_test.jpg."
        found.append(Fault("missing_test_image", "warning", pair.temp, message, "Add the tested image."))
    if pair.test and not pair.boxes:
        message = f"{pair.test} is anomalous but has no box file. Looked for {boxes}."
        found.append(Fault("missing_boxes", "error", pair.test, message, "Add the box file."))
    if pair.boxes and not pair.test:
        message = f"{pair.boxes} has boxes for an image that is not there. Looked for {name}_test.jpg."
        found.append(Fault("orphan_boxes", "warning", pair.boxes, message, "Add the image, or remove it."))
    return found


def _read_boxes(tree: Tree, pair: _Pair, faults: list[Fault]) -> list[dict[str, Any]] | None:
    """The boxes of a pair; None without a box file. Wrong lines are left out and reported."""
    if pair.boxes is None or pair.test is None:
        return None
    lines = text_of(tree, pair.boxes, faults).splitlines()
    try:
        image_hw: tuple[int, int] | None = read_hw(tree.files[pair.test])
    except Unreadable:
        image_hw = None
    boxes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parsed = parse_box(line, image_hw)
        if isinstance(parsed, str):
            message = f'{pair.boxes}, line {number}: "{line.strip()}" {parsed}; it is left out.'
            faults.append(Fault("bad_box", "error", pair.test, message, "Correct the line."))
        else:
            boxes.append(parsed)
    if not boxes:
        message = f"{pair.test} is anomalous, but {pair.boxes} gives no box."
        faults.append(Fault("no_boxes", "warning", pair.test, message, "Add the boxes of its defects."))
    return boxes


def parse_box(line: str, image_hw: tuple[int, int] | None) -> dict[str, Any] | str:
    """One line of a box file as a box of the sample table, or what is wrong with it.

    >>> parse_box("5,6,20,16,3", (48, 64))
    {'box_xyxy': [5, 6, 20, 16], 'defect_type': 'mousebite'}
    >>> parse_box("5 6 70 16 3", (48, 64))
    'leaves the image of 64 x 48 px'
    """
    try:
        x0, y0, x1, y1, kind = (int(part) for part in re.split(r"[,\s]+", line.strip().rstrip(",")))
    except ValueError:
        return "is not five whole numbers x1 y1 x2 y2 type"
    if kind not in TYPES:
        return f"has type {kind}, expected 1 to 6 ({', '.join(TYPES.values())})"
    if not (x0 < x1 and y0 < y1):
        return "has corners out of order, expected x1 < x2 and y1 < y2"
    if min(x0, y0) < 0 or (image_hw and (x1 > image_hw[1] or y1 > image_hw[0])):
        size = f" of {image_hw[1]} x {image_hw[0]} px" if image_hw else ""
        return f"leaves the image{size}"
    return {"box_xyxy": [x0, y0, x1, y1], "defect_type": TYPES[kind]}


def _add_splits(tree: Tree, pairs: dict[tuple[str, str], _Pair], faults: list[Fault]) -> None:
    """Splits from the list files; a line is "group00041/00041/00041000.jpg group00041/00041_not/...txt"."""
    lists = [
        path for path in tree.files if path.rsplit("/", 1)[-1].lower() in LISTS and not BOXES.fullmatch(path)
    ]
    for path in lists:
        base, _, name = path.rpartition("/")
        listed = [line.split()[0] for line in text_of(tree, path, faults).splitlines() if line.strip()]
        absent = []
        for entry in listed:
            folder, _, image = entry.replace("\\", "/").removeprefix("./").rpartition("/")
            key = (f"{base}/{folder}" if base else folder, stem(image))
            if key in pairs:
                pairs[key].splits.add(LISTS[name.lower()])
            else:
                absent.append(entry)
        if absent:
            message = f"{path} names {len(absent)} pairs that are not here, the first is {absent[0]}."
            faults.append(Fault("listed_but_absent", "warning", path, message, "Add them, or leave it so."))
    if not lists:
        return
    for pair in pairs.values():
        where = pair.test or pair.temp or ""
        if len(pair.splits) > 1:
            message = f"{where} is in both lists, trainval.txt and test.txt; it gets no split."
            faults.append(Fault("split_conflict", "error", where, message, "Remove it from one list."))
    unlisted = [pair.test or pair.temp or "" for pair in pairs.values() if not pair.splits]
    if unlisted:
        message = f"{len(unlisted)} pairs are in no list, the first is {unlisted[0]}; they get no split."
        faults.append(
            Fault("unlisted", "warning", unlisted[0], message, "Add them to a list, or leave it so.")
        )
