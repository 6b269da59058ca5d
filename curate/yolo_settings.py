"""Names of classes and delivered splits of a YOLO dataset, from its data.yaml and classes.txt."""

import posixpath
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from curate.annotation_files import bad_entry, leaves, located, text, yaml_object
from curate.faults import Fault, shown
from curate.images import is_image
from curate.walking import Tree

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I | re.A)
KEY = re.compile(r"\d{1,6}", re.A)
SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
CLASS_LISTS = ("classes.txt", "labels/classes.txt", "obj.names")
SPLITS = ("train", "val", "test")
MAX_LABEL_BYTES = 64 << 20


@dataclass
class Settings:
    """What data.yaml and classes.txt say.

    Attributes:
        names: class number to name; empty when no file tells.
        splits: relative path of an image to the splits that it is listed in.
        keypoints: lines go on with key points after the box.
        licence: as data.yaml has it.
    """

    names: dict[int, str] = field(default_factory=dict)
    splits: dict[str, set[str]] = field(default_factory=dict)
    keypoints: bool = False
    licence: str | None = None


def read_settings(tree: Tree, faults: list[Fault]) -> Settings:
    """What the YAML files in the root say, data.yaml first, or else a list of classes."""
    found = Settings()
    named = [path for path in tree.inside("") if path.lower().endswith((".yaml", ".yml"))]
    for path in sorted(named, key=lambda path: (path.lower() not in SETTINGS, path)):
        content = yaml_object(tree, path, faults) or {}
        if "names" not in content:
            continue
        found.names = _numbered(path, content["names"], faults)
        found.keypoints = "kpt_shape" in content
        origin = content.get("roboflow")
        if isinstance(origin, dict) and isinstance(origin.get("license"), str):
            found.licence = origin["license"].strip()[:200] or None
        _add_splits(tree, path, content, found.splits, faults)
        break
    if not found.names and (lists := [path for path in CLASS_LISTS if path in tree.files]):
        lines = (text(tree, lists[0], faults, MAX_LABEL_BYTES) or "").splitlines()
        found.names = {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    if not found.names:
        message = f"No file names the classes. Looked for {SETTINGS[0]} with names, and {CLASS_LISTS[0]}."
        faults.append(
            Fault("no_class_names", "error", "", message, "Add one; till then numbers stand for them.")
        )
    return found


def _numbered(path: str, names: object, faults: list[Fault]) -> dict[int, str]:
    pairs = list(enumerate(names)) if isinstance(names, list) else []
    if isinstance(names, dict):
        pairs = [(int(key), value) for key, value in names.items() if KEY.fullmatch(str(key))]
    kept = {key: value.strip() for key, value in pairs if isinstance(value, str) and value.strip()}
    if not kept or len(kept) < len(names if isinstance(names, list | dict) else pairs):
        problem = "some entries are no names, expected a list, or a mapping from numbers to names"
        faults.append(bad_entry(path, "names", problem))
    return kept


def _add_splits(
    tree: Tree, path: str, content: dict[str, Any], splits: dict[str, set[str]], faults: list[Fault]
) -> None:
    start = content.get("path")
    folders = set(tree.folders)
    for split in SPLITS:
        entries = content.get(split)
        for named in entries if isinstance(entries, list) else [entries]:
            if not isinstance(named, str) or not named.strip():
                continue
            place = _place(tree, folders, start if isinstance(start, str) else "", named)
            if place is None:
                message = f'{path}, {split}: "{shown(named[:200])}" is nothing inside of the dataset.'
                remedy = "Correct the entry, or leave the split to the names of the folders."
                faults.append(Fault("listed_but_absent", "warning", path, message, remedy))
            elif place in folders or not place:
                listed = [image for image in tree.below(place) if is_image(image)]
            else:
                listed = _listed(tree, place, faults)
            for image in listed if place is not None else []:
                splits.setdefault(image, set()).add(split)


def _place(tree: Tree, folders: set[str], start: str, named: str) -> str | None:
    """The folder or list in the tree that an entry means. Roboflow writes ../train/images for train/images,
    so entries are also tried without leading dots."""
    named = unicodedata.normalize("NFC", named.strip().replace("\\", "/"))
    for path in (f"{start}/{named}" if start else named, named, re.sub(r"^(\.\./)+", "", named)):
        place = posixpath.normpath(path).removeprefix(".")
        if not leaves(path) and (not place or place in folders or place in tree.files):
            return place
    return None


def _listed(tree: Tree, path: str, faults: list[Fault]) -> list[str]:
    """Images that a list names, one a line, from the root or the list's folder."""
    lines = [line.strip() for line in (text(tree, path, faults) or "").splitlines() if line.strip()]
    starts = ("", path.rpartition("/")[0])
    listed = {line: next((p for s in starts if (p := located(tree, s, line))), None) for line in lines}
    if absent := [line for line, image in listed.items() if image is None]:
        message = (
            f"{path} names {len(absent)} images that are not here, the first is {shown(absent[0][:200])}."
        )
        faults.append(Fault("listed_but_absent", "warning", path, message, "Add them, or leave it so."))
    return [image for image in listed.values() if image]
