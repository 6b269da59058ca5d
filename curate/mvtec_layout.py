"""What readers of trees in MVTec's manner share: categories, folders of one label, masks paired by stem."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from curate.faults import Fault
from curate.images import is_image
from curate.readings import (
    absolute,
    leftovers,
    licence_text,
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

MASKS = "ground_truth"
MASK_RULE = "> 0"
SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val"}
# Tells whether a relative folder is there: on the disk for detect, in the listed tree for read.
Has: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True)
class Category:
    """A category's folder, relative ("" is the root), and its name."""

    folder: str
    name: str

    def path(self, *parts: str) -> str:
        """Relative path of something in it."""
        return joined(self.folder, *parts)


@dataclass(frozen=True)
class Kind:
    """A folder of images of one split and label.

    Attributes:
        images: relative folder.
        masks: relative folder of their masks; None where the layout has none for them.
    """

    images: str
    label: str
    split: str | None
    defect_types: tuple[str, ...] = ()
    masks: str | None = None


@dataclass(frozen=True)
class Manner:
    """How a family of trees names its folders.

    Attributes:
        splits: folder in a category to split.
        mixed: those of them that hold anomalous images too.
        normal: folder of normal images.
        anomalous: the one folder of anomalous images, which says no defect type; None: every other folder is
            a defect type.
        masks: folder of masks in a category for a split's folder and a kind, in the manner of str.format.
        beside: further folders in a category, which the reader itself sees to.
    """

    splits: Mapping[str, str]
    mixed: Collection[str] = ("test",)
    normal: str = "good"
    anomalous: str | None = None
    masks: str = MASKS + "/{kind}"
    beside: Collection[str] = ()

    def mask_folder(self, split: str, kind: str) -> str:
        """Folder in a category."""
        return self.masks.format(split=split, kind=kind)


@dataclass(frozen=True)
class Source:
    """Terms of a published dataset, for its own categories only."""

    categories: frozenset[str]
    licence: str
    citation: str

    def terms(self, tree: Tree, category: Category, faults: list[Fault]) -> dict[str, str | None]:
        """Licence and citation: the dataset's for its categories, else what the tree's licence file says."""
        if category.name in self.categories:
            return {"licence": self.licence, "citation": self.citation}
        return {"licence": first_line(licence_of(tree, category, faults)), "citation": None}


def joined(*parts: str) -> str:
    """A relative path of parts, of which empty ones are left out."""
    return "/".join(part for part in parts if part)


def on_disk(root: Path) -> Has:
    """For detect, which should not list a whole dataset."""
    return lambda folder: is_folder(root / folder)


def candidates(root: Path) -> list[str]:
    """Relative folders that may be a category: the root itself ("") and the folders in it."""
    return ["", *sorted(path.name for path in root.iterdir() if is_folder(path))]


def categories(
    tree: Tree,
    fits: Callable[[Has, str], bool],
    expected: str,
    faults: list[Fault],
    beside: Iterable[str] = (),
    base: str = "",
) -> list[Category]:
    """The categories of a tree, or the root as its only one.

    Args:
        fits: whether a folder is a category.
        expected: what a folder should have been, for the report of those that are none.
        beside: folders that may lie beside the categories.
        base: the folder that holds them.
    """
    if fits(tree.has, ""):
        return [Category("", tree.root.absolute().name)]
    found = []
    for name in tree.subfolders(base):
        folder = joined(base, name)
        if fits(tree.has, folder):
            found.append(Category(folder, name))
        elif name not in beside:
            faults.append(unknown_folder(folder, expected))
    return found


def kinds(tree: Tree, category: Category, manner: Manner, faults: list[Fault]) -> list[Kind]:
    """The folders of images of a category, also those of which only the masks are there."""
    found: dict[str, Kind] = {}
    top = {path.split("/")[0] for path in (manner.mask_folder(split, "") for split in manner.mixed)}
    for split in tree.subfolders(category.folder):
        if split in manner.splits:
            for kind in _kinds_of(tree, category, split, manner, faults):
                found[kind.images] = kind
        elif split not in top and split not in manner.beside:
            expected = ", ".join(dict.fromkeys([*manner.splits, *manner.beside, *sorted(top)]))
            faults.append(unknown_folder(category.path(split), f"one of {expected}"))
    for split in manner.mixed:
        masks = category.path(manner.mask_folder(split, "")).rstrip("/")
        for name in tree.subfolders(masks):
            if (folder := category.path(split, name)) not in found:
                found[folder] = Kind(folder, "anomalous", manner.splits[split], masks=f"{masks}/{name}")
    return list(found.values())


def _kinds_of(
    tree: Tree, category: Category, split: str, manner: Manner, faults: list[Fault]
) -> Iterable[Kind]:
    for name in tree.subfolders(category.path(split)):
        folder, masks = category.path(split, name), category.path(manner.mask_folder(split, name))
        mixed = split in manner.mixed
        if name == manner.normal:
            yield Kind(
                folder, "normal", manner.splits[split], (), masks if mixed and tree.has(masks) else None
            )
        elif mixed and manner.anomalous in (None, name):
            types = (name,) if manner.anomalous is None else ()
            yield Kind(folder, "anomalous", manner.splits[split], types, masks)
        elif masks_folder(manner, split, name):
            continue
        else:
            only = f"{manner.normal} or {manner.anomalous}" if mixed else f"only {manner.normal}"
            faults.append(unknown_folder(folder, f"{only} in {split}"))


def masks_folder(manner: Manner, split: str, name: str) -> bool:
    """Whether a folder in a split's folder is the one of its masks (MVTec AD 2 keeps them there)."""
    return manner.mask_folder(split, "").startswith(f"{split}/{name}/")


def flat(tree: Tree, folder: str, faults: list[Fault]) -> list[str]:
    """Images of a folder that should hold nothing else."""
    files = tree.inside(folder)
    faults += [not_an_image(path) for path in files if not is_image(path)]
    faults += [unknown_folder(f"{folder}/{name}", "no folders here") for name in tree.subfolders(folder)]
    return [path for path in files if is_image(path)]


def rows(
    tree: Tree, kind: Kind, faults: list[Fault], mask_kind: str = "binary", **known: Any
) -> list[dict[str, Any]]:
    """A row per image of a folder, with its mask; reports what has no partner.

    Args:
        mask_kind: what the values of its mask files mean.
        known: further columns of all rows.
    """
    files = flat(tree, kind.images, faults)
    paired = _paired(tree, kind, files, faults) if kind.masks else {}
    found = []
    for path in files:
        types = list(kind.defect_types)
        entry = row(tree, path, kind.label, split=kind.split, defect_types=types, **known)
        if path in paired:
            entry |= mask_columns(tree, paired[path], mask_kind)
        found.append(entry)
    return found


def mask_columns(tree: Tree, mask: str, mask_kind: str, mask_rule: str = MASK_RULE) -> dict[str, str]:
    """The columns of a mask file."""
    return {"gt_mask_path": absolute(tree.files[mask]), "mask_rule": mask_rule, "mask_kind": mask_kind}


def _paired(tree: Tree, kind: Kind, files: list[str], faults: list[Fault]) -> dict[str, str]:
    """Image to mask, by stem: <stem>_mask, or the bare stem."""
    folder = kind.masks or ""
    masks = flat(tree, folder, faults)
    by_stem = {stem(path): path for path in masks}
    paired = {}
    for path in files:
        names = (f"{stem(path)}_mask", stem(path))
        mask = next((by_stem[name] for name in names if name in by_stem), None)
        if mask is not None:
            paired[path] = mask
        elif kind.label == "anomalous":
            faults.append(missing_mask(path, [f"{folder}/{names[0]}.png", f"{names[1]}.png"]))
    used = set(paired.values())
    for mask in masks:
        if mask not in used:
            faults.append(orphan_mask(mask, f"{kind.images}/{stem(mask).removesuffix('_mask')}.*"))
    if kind.label == "normal" and paired:
        faults.append(_normal_masks(folder, len(paired)))
    return paired


def _normal_masks(folder: str, n_masks: int) -> Fault:
    return Fault(
        "normal_masks",
        "warning",
        folder,
        f"{folder} holds masks of {n_masks} normal images, where the layout has none; they stay with them.",
        "Remove them if they are empty; if one shows a defect, its image is not normal.",
    )


def read_tree(
    root: Path, fits: Callable[[Has, str], bool], expected: str, manner: Manner, source: Source
) -> pd.DataFrame:
    """A reader's table of a tree that needs nothing else.

    Args:
        fits, expected: see categories.
    """
    tree = walk(root)
    faults = list(tree.faults)
    entries: list[dict[str, Any]] = []
    for category in categories(tree, fits, expected, faults):
        known = {"category": category.name, **source.terms(tree, category, faults)}
        for kind in kinds(tree, category, manner, faults):
            entries += [entry | known for entry in rows(tree, kind, faults)]
    faults += leftovers(tree, entries, faults)
    return table(without_shared_masks(entries, faults), faults)


def licence_of(tree: Tree, category: Category, faults: list[Fault]) -> str:
    """Text of the category's licence file, or of the whole tree's; "" when there is none."""
    return licence_text(tree, category.folder, faults) or licence_text(tree, "", faults)


def first_line(text: str) -> str | None:
    """What a licence file says in its first line."""
    return text.splitlines()[0].strip()[:200] if text else None
