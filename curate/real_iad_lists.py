"""The lists of Real-IAD: which image is in which split, with which label and mask.

A list file is {"meta": {"prefix", "normal_class"}, "train": [...], "test": [...]}, or holds such an object
for each of several categories. An entry is {"category", "anomaly_class", "image_path", "mask_path"}; its
paths start in the category's folder, which the prefix names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from curate.annotation_files import bad_entry, json_object, leaves, located, missing_image, unusable
from curate.faults import Fault, shown
from curate.images import is_image
from curate.readings import missing_mask, stem
from curate.walking import Tree

SPLITS = ("train", "val", "test")
NORMAL = "OK"


@dataclass
class Listed:
    """What a list says about one image.

    Attributes:
        split: None when the image is listed in several.
        label: "unknown" when the entry does not say, or entries contradict each other.
        code: anomaly_class of an anomalous image.
        mask: relative path; a normal image may have one by mistake, or by noise that is meant.
        file: the list file.
        where: place in it.
    """

    category: str
    split: str | None
    label: str
    code: str | None
    mask: str | None
    file: str
    where: str

    @property
    def source(self) -> str:
        """List file and place in it."""
        return f"{self.file}, {self.where}"


@dataclass(frozen=True)
class _Block:
    """One category's part of a list file; `bases` are the folders its paths may start from."""

    file: str
    category: str
    normal: str
    prefix: str
    images: str
    content: dict[str, Any]

    def bases(self, category: str) -> Iterator[str]:
        """Folders that the paths of an entry may start from, the usual one first."""
        for inner in (category, self.prefix, f"{category}/{category}", ""):
            yield "/".join(part for part in (self.images, inner) if part)


def read_lists(tree: Tree, files: Iterable[str], images: str, faults: list[Fault]) -> dict[str, Listed]:
    """Image to what the lists say about it; what is wrong with an entry is reported.

    Args:
        files: relative paths of the list files.
        images: relative folder that holds the categories ("" is the root).
    """
    listed: dict[str, Listed] = {}
    for file in files:
        for block in _blocks(tree, file, images, faults):
            for split, where, entry in _entries(block, faults):
                _add(tree, block, split, where, entry, listed, faults)
    return listed


def _blocks(tree: Tree, file: str, images: str, faults: list[Fault]) -> Iterator[_Block]:
    content = json_object(tree, file, faults)
    if content is None:
        return
    inner = {stem(file): content} if _has_splits(content) else content
    found = {name: part for name, part in inner.items() if isinstance(part, dict) and _has_splits(part)}
    if not found:
        faults.append(unusable(file, f"has none of {', '.join(SPLITS)}, neither itself nor for a category"))
    for name in inner.keys() - found.keys() - {"meta"} if found else ():
        faults.append(bad_entry(file, shown(name[:100]), f"it has none of {', '.join(SPLITS)}"))
    for name, part in found.items():
        meta = part.get("meta", {})
        meta = meta if isinstance(meta, dict) else {}
        normal, prefix = meta.get("normal_class"), meta.get("prefix")
        yield _Block(
            file,
            name,
            normal if isinstance(normal, str) and normal else NORMAL,
            prefix.strip("/") if isinstance(prefix, str) else "",
            images,
            part,
        )


def _has_splits(content: dict[str, Any]) -> bool:
    return any(split in content for split in SPLITS)


def _entries(block: _Block, faults: list[Fault]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for split in SPLITS:
        entries = block.content.get(split, [])
        if not isinstance(entries, list):
            problem = f"it is a JSON {type(entries).__name__}, expected a list"
            faults.append(bad_entry(block.file, f"{block.category} {split}", problem))
            continue
        for number, entry in enumerate(entries):
            where = f"{block.category} {split}[{number}]"
            if isinstance(entry, dict):
                yield split, where, entry
            else:
                problem = f"it is a JSON {type(entry).__name__}, expected an object"
                faults.append(bad_entry(block.file, where, problem))


def _add(
    tree: Tree,
    block: _Block,
    split: str,
    where: str,
    entry: dict[str, Any],
    listed: dict[str, Listed],
    faults: list[Fault],
) -> None:
    category = entry.get("category")
    if not isinstance(category, str) or not category.strip("/. "):
        category = block.category
    named = entry.get("image_path")
    image = _located(tree, block, category, named)
    if image is None:
        faults.append(missing_image(block.file, where, named))
        return
    if not is_image(image):
        faults.append(bad_entry(block.file, where, f"{image} is not a PNG, JPEG, BMP or TIFF image"))
        return
    found = Listed(category, split, "normal", None, None, block.file, where)
    code = entry.get("anomaly_class")
    if not isinstance(code, str) or not code.strip():
        found.label = "unknown"
        message = f'{found.source}: anomaly_class of {image} is no text, expected "{block.normal}" or a code.'
        faults.append(Fault("bad_annotation", "error", image, message, 'Correct it; till then "unknown".'))
    elif code.strip() != block.normal:
        found.label, found.code = "anomalous", code.strip()
    _add_mask(tree, block, image, entry.get("mask_path"), found, faults)
    if image in listed:
        _merge(image, listed[image], found, faults)
    else:
        listed[image] = found


def _located(tree: Tree, block: _Block, category: str, named: object) -> str | None:
    for base in block.bases(category):
        if path := located(tree, base, named):
            return path
    return None


def _add_mask(
    tree: Tree, block: _Block, image: str, named: object, found: Listed, faults: list[Fault]
) -> None:
    mask = _located(tree, block, found.category, named) if named else None
    if found.label != "unknown" and mask and is_image(mask) and mask != image:
        found.mask = mask
    if found.label == "normal" and named:
        message = f"{found.source}: {image} is {block.normal}, but has a mask; the label is kept."
        remedy = "Look at the image, and correct the list."
        faults.append(Fault("label_conflict", "warning", image, message, remedy))
    elif found.label == "anomalous" and found.mask is None:
        if leaves(named):
            faults.append(missing_image(found.file, found.where, named))
        else:
            wanted = shown(str(named)[:200]) if named else "a mask_path in the list"
            faults.append(missing_mask(image, [wanted]))


def _merge(image: str, first: Listed, again: Listed, faults: list[Fault]) -> None:
    """Note in `first` what a further entry of the same image contradicts."""
    sources = f"{first.source} and {again.source}"
    if first.split != again.split:
        first.split = None
        message = f"{image} is in several splits ({sources}), a leak; it gets no split."
        faults.append(Fault("split_conflict", "error", image, message, "Remove it from all but one."))
    if (first.label, first.code) != (again.label, again.code):
        first.label, first.code, first.mask = "unknown", None, None
        message = f"{image} has different labels in {sources}; it is unknown."
        faults.append(Fault("label_conflict", "error", image, message, "Keep the right entry."))
    if first.split is not None and first.label == again.label:
        message = f"{image} is listed twice, in {sources}."
        faults.append(Fault("listed_twice", "warning", image, message, "Remove one of the entries."))
