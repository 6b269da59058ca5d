"""YOLO: a text file of shares of the image's width and height per image; outlines (segmentation) or boxes.

Layout: images/<split>/7.jpg with labels/<split>/7.txt, or <split>/images and <split>/labels, or image and
text file side by side. A line is "class x y x y x y ..." (an outline) or "class cx cy w h" (a box). Names
come from data.yaml (names as list or mapping) or from classes.txt, one a line. The entries train, val and
test of data.yaml give the split where they lie in the dataset; else the folder's name does. `path` is where
they start. Nothing outside of the dataset is looked up, and nothing is downloaded.

A class called normal, good, ok or nominal says that the image is normal; every other one is a defect. An
empty text file means that somebody looked and found nothing: normal. Without a text file a folder called
good, OK, NG, ... tells; else the image is "unknown", or "normal" by the option `unannotated`, which is how
YOLO itself reads it.

Licence: that of the data; data.yaml's own entry (as Roboflow writes it) or the first line of a licence
file.
Source: the format of Ultralytics, https://docs.ultralytics.com/datasets/segment/
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from curate.annotated import (
    Found,
    check_options,
    finished,
    first_line_of_licence,
    image_hw,
    label_of_folders,
    means_normal,
    split_of_folders,
)
from curate.annotation_files import bad_entry, text
from curate.faults import Fault, shown
from curate.pairing import ambiguous
from curate.peeking import first_file
from curate.readings import images
from curate.shapes import Entry, box, outline, snapped
from curate.walking import Tree, is_file, is_folder, walk
from curate.yolo_settings import CLASS_LISTS, MAX_LABEL_BYTES, NUMBER, SETTINGS, Settings, read_settings

NAMES = re.compile(rb"^\s{0,20}names\s{0,20}:", re.M)
LINE = re.compile(rb"^\s{0,20}\d+(\.0*)?(\s+[-+.\deE]{1,24}){4}", re.A)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when there are names of classes, and labels with their numbers."""
    unmet = []
    lists = [root / name for name in CLASS_LISTS]
    if not any(is_file(path) for path in lists) and not _settings_file(root):
        unmet.append(f"no {SETTINGS[0]} with names, and no {CLASS_LISTS[0]}")
    below = [root / "labels", *(path / "labels" for path in sorted(root.iterdir()) if is_folder(path))]
    if not any(is_folder(path) for path in below) and not first_file(root, ".txt", [LINE]):
        unmet.append('no labels folder, and no text file with lines "class x y x y ..."')
    return unmet


def _settings_file(root: Path) -> bool:
    return any(first_file(root, suffix, [NAMES], levels=0) for suffix in (".yaml", ".yml"))


def read(root: Path, unannotated: str = "unknown", category: str | None = None) -> pd.DataFrame:
    """One row per image with a text file, in a list of data.yaml or below a folder images.

    Args:
        root: the dataset's folder.
        unannotated: label of images without a text file: "unknown" or "normal".
        category: what one detector is trained for; the name of `root` unless told.

    Raises:
        ValueError: another value of an option.
    """
    check_options(unannotated, category)
    tree = walk(root)
    faults = list(tree.faults)
    settings = read_settings(tree, faults)
    labels = {path: _labels_of(tree, path) for path in images(tree.files)}
    claims: dict[str, list[str]] = {}
    for path, named in labels.items():
        if named:
            claims.setdefault(named, []).append(path)
    found: dict[str, Found] = {}
    for path, named in labels.items():
        belongs = path in settings.splits or "images" in path.split("/")[:-1] or label_of_folders(path)
        if not named and not belongs:
            continue
        found[path] = image = Found()
        image.splits = settings.splits.get(path) or {s for s in [split_of_folders(path)] if s}
        if named and len(claims[named]) == 1:
            _read_labels(tree, named, path, image, settings, faults)
        image.doubtful |= named is not None and len(claims[named]) > 1
    faults += [ambiguous(named, paths) for named, paths in claims.items() if len(paths) > 1]
    faults += _orphans(tree, claims)
    licence = settings.licence or first_line_of_licence(tree, faults)
    common = {"category": category or root.absolute().name, "licence": licence}
    return finished(tree, found, faults, unannotated, common)


def _labels_of(tree: Tree, image: str) -> str | None:
    """The text file of an image: with the last folder "images" replaced by "labels", or beside it."""
    parts = image.split("/")
    beside = str(PurePosixPath(image).with_suffix(".txt"))
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            swapped = "/".join([*parts[:index], "labels", *beside.split("/")[index + 1 :]])
            return next((path for path in (swapped, beside) if path in tree.files), None)
    return beside if beside in tree.files else None


def _orphans(tree: Tree, claims: dict[str, list[str]]) -> Iterator[Fault]:
    for path in tree.files:
        inside = "labels" in path.split("/")[:-1]
        if inside and path.lower().endswith(".txt") and path not in claims and path not in CLASS_LISTS:
            message = f"{path} has labels for an image that is not there."
            remedy = "Add the image to the folder images, or remove the file."
            yield Fault("orphan_labels", "warning", path, message, remedy)


def _read_labels(
    tree: Tree, path: str, image_path: str, image: Found, settings: Settings, faults: list[Fault]
) -> None:
    content = text(tree, path, faults, MAX_LABEL_BYTES)
    if content is None:
        image.doubtful = True
        return
    lines = [(n, line) for n, line in enumerate(content.splitlines(), start=1) if line.strip()]
    image.clean = not lines
    hw = image_hw(tree, image_path) if lines else None
    for number, line in lines:
        name, entry = parse_line(line, settings.names, hw, settings.keypoints)
        if name is None:
            image.defective = True
            problems = [str(entry)]
        elif means_normal(name):
            image.clean = True
            continue
        else:
            problems = image.add(name, [entry] if entry else [])
        faults += [bad_entry(path, f"line {number}", problem, "Correct the line.") for problem in problems]


def parse_line(
    line: str, names: dict[int, str], hw: tuple[int, int] | None, keypoints: bool = False
) -> tuple[str | None, Entry | str | None]:
    """The defect type of a line and its outline or box.

    Returns:
        None for the type when the line does not tell it; text for the entry when it is wrong, None when the
        image's size is not known.

    >>> parse_line("1 0.5 0.5 0.25 0.5", {1: "stain"}, (48, 64))[1]["box_xyxy"]
    [24.0, 12.0, 40.0, 36.0]
    >>> parse_line("1 0 0 0.5 0 0.5", {1: "stain"}, (48, 64))
    ('stain', 'has 5 numbers after the class, expected 4 (a box) or 6 and more in pairs (an outline)')
    """
    kind, *values = line.split()
    if not NUMBER.fullmatch(kind) or not (number := float(kind)).is_integer() or not 0 <= number < 1e6:
        return None, f'begins with "{shown(kind[:40])}", expected the number of a class'
    name = names.get(int(number)) if names else f"class {int(number)}"
    if name is None:
        known = ", ".join(f"{key} {value}" for key, value in list(names.items())[:10])
        return None, f"has the class {int(number)}, which has no name (known: {known[:200]})"
    if hw is None:
        return name, None
    shares = [float(value) if NUMBER.fullmatch(value) else math.nan for value in values]
    if keypoints:
        shares = shares[:4]
    if not all(-1 <= share <= 2 for share in shares):
        return name, "has values that are not shares of the image's width and height, 0 to 1"
    if len(shares) < 4 or len(shares) % 2:
        wanted = "expected 4 (a box) or 6 and more in pairs (an outline)"
        return name, f"has {len(shares)} numbers after the class, {wanted}"
    if len(shares) > 4:
        return name, outline([share * hw[1 - k % 2] for k, share in enumerate(shares)], name, hw)
    x, y, width, height = (share * hw[1 - k % 2] for k, share in enumerate(shares))
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return name, box(snapped(corners, hw), name, hw)
