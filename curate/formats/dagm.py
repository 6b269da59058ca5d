"""DAGM 2007: ten drawn textures with one drawn defect each, for weakly supervised inspection.

Layout: Class<N>/Train/<NNNN>.PNG and Class<N>/Test/<NNNN>.PNG; beside the images a folder Label with
<NNNN>_label.PNG for each anomalous image and the list Labels.txt. Unpacking often doubles the outer folder:
Class<N>/Class<N>/Train is read too, and so is one class alone. Each class is a category. A line of the list
is "<number> <0 or 1> <image> 0 <mask or 0>"; its first line is the number of the class. List and masks must
agree: an image of which one says normal and the other anomalous is unknown, and reported. Both splits have
anomalous images. No image shares a part with another.

The masks are weak: ellipses around the defects, with room to spare, so pixel figures on them cannot be
compared with tight masks. The older edition with folders Class<N>_def, which has the numbers of ellipses and
no masks, is not read.

Licence: CC BY 4.0 (Zenodo record 12750201).
Source: Wieler, Hahn, Hamprecht: Weakly Supervised Learning for Industrial Optical Inspection. DAGM Symposium
2007, doi:10.5281/zenodo.8086136
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from curate.annotation_files import bad_entry, missing_image, text, unusable
from curate.faults import Fault, shown
from curate.images import is_image
from curate.mask_labels import masks_by_name
from curate.readings import (
    absolute,
    leftovers,
    missing_mask,
    not_an_image,
    orphan_mask,
    row,
    stem,
    table,
    unknown_folder,
)
from curate.walking import Tree, is_folder, matching, walk

CLASS = r"(?:(?P<class>Class\d+)/)?(?:(?P=class)/)?"
FILE = re.compile(rf"(?P<folder>{CLASS}(?P<split>Train|Test))/(?P<label>Label/)?[^/]+", re.I)
FOLDER = re.compile(rf"{CLASS}(?:Train|Test)(?:/Label)?|(?P<outer>Class\d+)(?:/(?P=outer))?", re.I)
SEPARATOR = re.compile(r"[/\\]")
LIST = "labels.txt"
LINE = "<number> <0 or 1> <image> 0 <mask or 0>"
MASK = "_label"
MASK_RULE = "> 0"
KNOWN = {
    "licence": "CC BY 4.0",
    "citation": (
        "Wieler, M., Hahn, T., Hamprecht, F. A.: Weakly Supervised Learning for Industrial Optical "
        "Inspection. DAGM Symposium (2007), doi:10.5281/zenodo.8086136"
    ),
}


@dataclass
class _Half:
    """Files of one folder Train or Test, by relative path."""

    folder: str
    category: str
    pictures: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    list_file: str | None = None


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    found = [
        path
        for classes in ("", "[Cc]lass[0-9]*/", "[Cc]lass[0-9]*/[Cc]lass[0-9]*/")
        for half in ("[Tt]rain", "[Tt]est")
        for path in matching(root, f"{classes}{half}/[Ll]abel")
        if is_folder(path)
    ]
    if not found:
        return ["no folder Class<number>/Train/Label or Class<number>/Test/Label"]
    if not any(
        next(matching(folder, name), None) for folder in found for name in ("*_label.*", "[Ll]abels.txt")
    ):
        return ["no mask <number>_label.PNG and no Labels.txt in the folders Label"]
    return []


def read(root: Path) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    halves = _halves(tree, faults)
    rows = [found for half in halves for found in _read_half(tree, half, faults)]
    masks = [mask for half in halves for mask in half.masks]
    return table(rows, [*faults, *leftovers(tree, rows, faults, known=masks)])


def _halves(tree: Tree, faults: list[Fault]) -> list[_Half]:
    halves: dict[str, _Half] = {}
    for path in tree.files:
        match = FILE.fullmatch(path)
        if match is None:
            continue
        folder = match["folder"]
        category = match["class"] or tree.root.absolute().name
        half = halves.setdefault(folder, _Half(folder, category))
        if match["label"] and path.rpartition("/")[2].lower() == LIST:
            half.list_file = path
        elif not is_image(path):
            faults.append(not_an_image(path))
        else:
            (half.masks if match["label"] else half.pictures).append(path)
    expected = "Class<number>/Train/Label and Class<number>/Test/Label"
    for folder in tree.folders:
        above = folder.rpartition("/")[0]
        if not FOLDER.fullmatch(folder) and (not above or FOLDER.fullmatch(above)):
            faults.append(unknown_folder(folder, expected))
    return list(halves.values())


def _read_half(tree: Tree, half: _Half, faults: list[Fault]) -> list[dict[str, Any]]:
    said = _said_by_list(tree, half, faults)
    masks = masks_by_name(half.masks, _image_name, faults)
    names = Counter(map(stem, half.pictures))
    rows = []
    for path in half.pictures:
        known: dict[str, Any] = {
            **KNOWN,
            "category": half.category,
            "split": half.folder.rpartition("/")[2].lower(),
        }
        if names[stem(path)] > 1:
            faults.append(_same_name(path, masks.get(stem(path))))
            rows.append(row(tree, path, "unknown", **known))
            continue
        mask = masks.get(stem(path))
        label = _label(path, said.get(path, set()), mask, half, faults)
        if mask and label == "anomalous":
            known |= {"gt_mask_path": absolute(tree.files[mask]), "mask_rule": MASK_RULE}
            known |= {"mask_kind": "binary", "mask_quality": "weak"}
        rows.append(row(tree, path, label, **known))
    faults += [
        orphan_mask(mask, f"{half.folder}/{name}.PNG") for name, mask in masks.items() if name not in names
    ]
    return rows


def _image_name(mask: str) -> str:
    return re.sub(f"{MASK}$", "", stem(mask), flags=re.I)


def _same_name(path: str, mask: str | None) -> Fault:
    message = (
        f"{path} shares its name with an image of another suffix, and so its label and mask; it is unknown."
    )
    remedy = "Give each image a name of its own."
    return Fault("ambiguous_mask", "error", path, message, remedy, (mask,) if mask else ())


def _label(path: str, said: set[bool], mask: str | None, half: _Half, faults: list[Fault]) -> str:
    """The label on which list and masks agree; "unknown" where they contradict each other.

    Args:
        said: what the list says: anomalous or not; both where it contradicts itself, empty where it is
            silent.
    """
    problem = ""
    if len(said) == 2:
        problem = f"is both normal and anomalous by {half.list_file}"
    elif said == {False} and mask:
        problem = f"is normal by {half.list_file}, but has the mask {mask}"
    if problem:
        remedy = "Look at the image, and correct the list or remove the mask."
        message = f"{path} {problem}; its label is unknown."
        faults.append(Fault("label_conflict", "error", path, message, remedy, (mask,) if mask else ()))
        return "unknown"
    if said and not mask and True in said:
        faults.append(missing_mask(path, [f"{half.folder}/Label/{stem(path)}{MASK}.PNG"]))
    return "anomalous" if mask or True in said else "normal"


def _said_by_list(tree: Tree, half: _Half, faults: list[Fault]) -> dict[str, set[bool]]:
    """Image to whether Labels.txt calls it anomalous."""
    if half.list_file is None:
        where = f"{half.folder}/Label/Labels.txt"
        message = f"{where} is not there; whether an image has a mask tells its label."
        remedy = "Add the list, so that a lost mask does not make an image normal."
        faults.append(Fault("missing_list", "warning", where, message, remedy))
        return {}
    by_name = {path.rpartition("/")[2].lower(): path for path in half.pictures}
    by_stem = {stem(path).lower(): path for path in half.pictures}
    said: dict[str, set[bool]] = {}
    for where, columns in _lines(tree, half.list_file, faults):
        name = columns[2]
        path = by_name.get(name.lower())
        if path is None and not SEPARATOR.search(name):
            path = by_stem.get(stem(name).lower())
        if path is None:
            faults.append(missing_image(half.list_file, where, name))
            continue
        said.setdefault(path, set()).add(columns[1] == "1")
        if len(columns) > 4 and columns[4] != "0" and _image_name(columns[4]) != stem(name):
            problem = f"the mask {shown(columns[4])} is not named after the image {name}"
            faults.append(bad_entry(half.list_file, where, problem))
    if unlisted := [path for path in half.pictures if path not in said]:
        message = (
            f"{len(unlisted)} images are not in {half.list_file}, the first is {unlisted[0]}; whether they "
            "have a mask tells their label."
        )
        remedy = "Add them to the list, so that a lost mask does not make an image normal."
        faults.append(Fault("unlisted", "warning", unlisted[0], message, remedy))
    return said


def _lines(tree: Tree, list_file: str, faults: list[Fault]) -> list[tuple[str, list[str]]]:
    """Place and columns of each good line; when there is none, that is one fault."""
    good = []
    bad = []
    for number, line in enumerate((text(tree, list_file, faults) or "").splitlines(), start=1):
        columns = line.split()
        if not columns or (number == 1 and line.strip().isdigit()):
            continue
        if len(columns) < 3 or columns[1] not in ("0", "1"):
            bad.append(bad_entry(list_file, f"line {number}", f"it is not {LINE}"))
        else:
            good.append((f"line {number}", columns))
    faults += bad if good else [unusable(list_file, f"has no line {LINE}")] if bad else []
    return good
