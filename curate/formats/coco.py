"""COCO: JSON files with images, annotations and categories, as most annotation tools write them.

Layout: annotations/instances_<split>.json, or any other name (_annotations.coco.json in each split's
folder, result.json, labels.json). Where a folder has instances_*.json, the others in it (captions,
keypoints) are not read. An image is found by its file_name from the JSON's folder, the folder above
annotations/, or images/, data/, <split>/ and images/<split>/ in it. The split is what the name of the JSON
or else of a folder tells.

Every annotation is a defect of its category's name, unless the category is called normal, good, ok or
nominal: then the image is normal. Polygons and run lengths (plain or compressed, iscrowd or not) are
outlines; the bbox counts where there is nothing else, since the box around an outline tells less. Without
annotation a folder called good, OK, NG, ... tells the label. Where there is none, what a JSON names is
"unknown", or "normal" by the option `unannotated`; what none names is unknown.

Licence: that of the data; the JSON's entries licenses and info are kept.
Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, doi:10.1007/978-3-319-10602-1_48
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from curate.annotated import (
    Found,
    check_options,
    finished,
    first_line_of_licence,
    image_hw,
    label_of_folders,
    means_normal,
    other_size,
    split_of_folders,
    split_of_name,
)
from curate.annotation_files import bad_entry, json_value, located, missing_image
from curate.faults import Fault, shown
from curate.pairing import named_twice
from curate.peeking import first_file
from curate.readings import images, stem
from curate.shapes import Entry, as_numbers, box, outline, runs, snapped
from curate.walking import Tree, walk

KEYS = ("images", "annotations", "categories")
NEEDED = tuple(re.compile(rb'"%s"\s{0,40}:\s{0,40}\[' % key.encode()) for key in KEYS)
HINT = "coco|instances|annotations|labels|result"
INSTANCES = re.compile(r"instances_.*\.json", re.I)
ABOUT = ("contributor", "description", "year", "url")


@dataclass
class _File:
    """One JSON file: its relative path and content, and what its ids stand for.

    Attributes:
        names: category id to name.
        images: image id to relative path and entry; None where the image is not there or not certain.
        doubtful: relative paths of images that share an id.
    """

    path: str
    content: dict[str, Any]
    faults: list[Fault]
    names: dict[int | str, str] = field(default_factory=dict)
    images: dict[int | str, tuple[str, dict[str, Any]] | None] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)

    def wrong(self, where: str, problem: str) -> None:
        self.faults.append(bad_entry(self.path, where, problem))


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when a JSON file of the kind is found in the root or two levels below."""
    if first_file(root, ".json", NEEDED, HINT) is None:
        return [f"no .json file with the lists {', '.join(KEYS)}"]
    return []


def read(root: Path, unannotated: str = "unknown", category: str | None = None) -> pd.DataFrame:
    """One row per image of the folder; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        unannotated: label of images that a JSON names without any annotation: "unknown" or "normal".
        category: what one detector is trained for; the name of `root` unless told.

    Raises:
        ValueError: another value of an option.
    """
    check_options(unannotated, category)
    tree = walk(root)
    faults = list(tree.faults)
    found: dict[str, Found] = {}
    speakers: dict[str, list[str]] = defaultdict(list)
    for file in _files(tree, faults):
        _read_categories(file)
        _read_images(tree, file, speakers)
        _add_images(file, found)
        _add_annotations(tree, file, found)
    faults += [named_twice(image, files) for image, files in speakers.items() if len(files) > 1]
    unlisted: list[str] = []
    for path in images(tree.files):
        if path not in found:
            found[path] = Found(doubtful=label_of_folders(path) is None)
            unlisted += [path] if found[path].doubtful else []
    if unlisted:
        message = (
            f"{len(unlisted)} images are named by no JSON file, the first is {unlisted[0]}; they are unknown."
        )
        faults.append(Fault("unlisted", "warning", "", message, "Annotate them, or remove them."))
    common = {"category": category or root.absolute().name, "licence": first_line_of_licence(tree, faults)}
    return finished(tree, found, faults, unannotated, common)


def _files(tree: Tree, faults: list[Fault]) -> Iterator[_File]:
    named = [path for path in tree.files if path.lower().endswith(".json")]
    led = {path.rpartition("/")[0] for path in named if INSTANCES.fullmatch(path.rpartition("/")[2])}
    for path in named:
        folder, _, name = path.rpartition("/")
        problem = "has no lists images and annotations"
        if folder in led and not INSTANCES.fullmatch(name):
            problem = "lies beside instances_*.json"
        elif (content := json_value(tree, path, faults)) is None:
            continue
        elif isinstance(content, dict) and all(isinstance(content.get(key), list) for key in KEYS[:2]):
            yield _File(path, content, faults)
            continue
        remedy = "Remove it, or leave it so."
        faults.append(
            Fault("unused_annotations", "warning", path, f"{path} {problem}; it is not read.", remedy)
        )


def _read_categories(file: _File) -> None:
    listed = file.content.get("categories")
    for index, entry in enumerate(listed if isinstance(listed, list) else []):
        where = f"categories[{index}]"
        key, name = _entry_id(entry), entry.get("name") if isinstance(entry, dict) else None
        if key is None or not isinstance(name, str) or not name.strip():
            file.wrong(where, "has no id (a number or text) with a name")
        elif key in file.names:
            file.wrong(where, f'has the id {key} of another category ("{file.names[key]}")')
        else:
            file.names[key] = name.strip()


def _read_images(tree: Tree, file: _File, speakers: dict[str, list[str]]) -> None:
    folders = _folders(file.path)
    listed: dict[int | str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for index, entry in enumerate(file.content["images"]):
        where = f"images[{index}]"
        if (key := _entry_id(entry)) is None:
            file.wrong(where, "has no id that is a number or text")
            continue
        named = entry.get("file_name")
        path = next((path for folder in folders if (path := located(tree, folder, named))), None)
        if path is None:
            file.faults.append(missing_image(file.path, where, named))
            file.images[key] = None
        else:
            listed[key].append((path, entry))
            speakers[path].append(file.path)
    for key, entries in listed.items():
        paths = sorted({path for path, _ in entries})
        if len(paths) == 1 and key not in file.images:
            file.images[key] = entries[0]
            continue
        file.images[key] = None
        file.doubtful += paths
        message = (
            f"the id {key} is given to {' and '.join(paths)}, so what is annotated for it is not certain"
        )
        file.wrong("images", message)


def _folders(json_path: str) -> list[str]:
    """Folders that file names may start from, the most telling first."""
    folder, above = json_path.rpartition("/")[0], ""
    if folder.rpartition("/")[2].lower() == "annotations":
        above = folder.rpartition("/")[0]
    token = re.sub(r"^instances_", "", stem(json_path))
    below = [f"images/{token}", f"data/{token}", token, "images", "data", ""]
    bases = [folder, *(f"{base}/{name}".strip("/") for base in (folder, above) for name in below), ""]
    return list(dict.fromkeys(bases))


def _add_images(file: _File, found: dict[str, Found]) -> None:
    """A row for each image that is there, with the split, licence and citation that the file gives it."""
    content = file.content
    listed = content.get("licenses")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    licences = {_entry_id(entry): _words(entry, ("name", "url")) for entry in entries}
    only = next(iter(licences.values())) if len(licences) == 1 else None
    info = content.get("info")
    citation = _words(info, ABOUT) if isinstance(info, dict) else None
    split = split_of_name(stem(file.path)) or split_of_folders(file.path)
    for path in file.doubtful:
        found.setdefault(path, Found()).doubtful = True
    for named in file.images.values():
        if named is None:
            continue
        path, entry = named
        image = found.setdefault(path, Found())
        if image_split := split or split_of_folders(path):
            image.splits.add(image_split)
        key = _entry_id(entry, "license")
        licence = only if key is None else licences.get(key)
        image.known |= {k: v for k, v in (("licence", licence), ("citation", citation)) if v}


def _words(entry: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    said = [str(entry[key]).strip() for key in keys if isinstance(entry.get(key), int | str)]
    return ", ".join(dict.fromkeys(text for text in said if text))[:300] or None


def _add_annotations(tree: Tree, file: _File, found: dict[str, Found]) -> None:
    by_image: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    ids: Counter[int | str] = Counter()
    entries: dict[str, dict[str, Any]] = {}
    for index, annotation in enumerate(file.content["annotations"]):
        where = f"annotations[{index}]"
        key = _entry_id(annotation, "image_id")
        if key is None or key not in file.images:
            file.wrong(where, f"its image_id {_said(annotation, 'image_id')} does not exist")
        elif (named := file.images[key]) is not None:
            entries[named[0]] = named[1]
            by_image[named[0]].append((where, annotation))
        if (own := _entry_id(annotation)) is not None:
            ids[own] += 1
    if again := [str(key) for key, n in ids.items() if n > 1]:
        message = f"{file.path} gives {len(again)} annotation ids more than once, the first is {again[0]}."
        remedy = "All are used; remove those that are copies."
        file.faults.append(Fault("duplicate_ids", "warning", file.path, message, remedy))
    for path, annotations in by_image.items():
        _add_to_image(tree, file, path, entries[path], annotations, found[path])


def _add_to_image(
    tree: Tree, file: _File, path: str, entry: dict[str, Any],
    annotations: list[tuple[str, dict[str, Any]]], image: Found,
) -> None:  # fmt: skip
    hw = image_hw(tree, path)
    if hw and (fault := other_size(file.path, path, (entry.get("height"), entry.get("width")), hw)):
        file.faults.append(fault)
        hw = None
    for where, annotation in annotations:
        key = _entry_id(annotation, "category_id")
        if key is None or key not in file.names:
            image.defective = True
            file.wrong(where, f"its category_id {_said(annotation, 'category_id')} does not exist")
        elif means_normal(file.names[key]):
            image.clean = True
        else:
            name = file.names[key]
            for problem in image.add(name, _geometry(annotation, name, hw) if hw else ()):
                file.wrong(where, problem)


def _geometry(annotation: dict[str, Any], name: str, hw: tuple[int, int]) -> list[Entry | str]:
    """The outlines of an annotation, or else its box; text says what is wrong."""
    drawn = annotation.get("segmentation")
    if isinstance(drawn, dict):
        size = as_numbers(drawn.get("size"), 2)
        if size is not None and size != [*hw]:
            return [f"its run lengths are for {size[1]:g} x {size[0]:g} px, not {hw[1]} x {hw[0]}"]
        return [runs(drawn.get("counts"), name, hw)]
    if drawn is not None and not isinstance(drawn, list):
        return ["its segmentation is neither polygons nor run lengths"]
    polygons = [polygon for polygon in drawn or [] if polygon != []]
    if polygons:
        return [outline(polygon, name, hw) for polygon in polygons]
    corners = as_numbers(annotation.get("bbox"), 4)
    if corners is None:
        return ["has neither a segmentation nor a bbox x, y, width, height"]
    x, y, width, height = corners
    return [box(snapped([x, y, x + width, y + height], hw), name, hw)]


def _said(entry: object, key: str) -> str:
    return shown(repr(entry.get(key) if isinstance(entry, dict) else entry)[:60])


def _entry_id(entry: object, key: str = "id") -> int | str | None:
    """An id: a whole number, or text as some tools write; bools and fractions are none."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None
