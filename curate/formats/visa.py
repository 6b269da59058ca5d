"""VisA as it is downloaded: folders Normal and Anomaly, with the types and splits in CSV files.

Layout: <object>/Data/Images/Normal and Anomaly, a mask of the same stem in <object>/Data/Masks/Anomaly,
<object>/image_anno.csv (image, label, mask) and split_csv/1cls.csv, 2cls_highshot.csv, 2cls_fewshot.csv
(object, split, label, image, mask). A label in image_anno.csv is "normal" or the defect types of the image,
joined with commas. Mask values are numbers of classes, small ones, so the files look black; pixels above 0
are defect.

The option split_csv chooses the split: the name of a file in split_csv, or "none"; 1cls where it is there
and nothing is said. The folder, image_anno.csv and the split's file each say the label. Where they differ,
the label is unknown, and a fault says so. Paths in the CSV files are looked up in the dataset only.

Licence: CC BY 4.0 (the authors' README and LICENSE-DATASET; some programs name another one).
Source: Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference Self-Supervised Pre-training for Anomaly
Detection and Segmentation. ECCV 2022, arXiv:2207.14315
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from curate.annotation_files import bad_entry, csv_rows, leaves, located, missing_image
from curate.faults import Fault, shown
from curate.mvtec_layout import Category, Has, Kind, candidates, categories, joined, on_disk, rows
from curate.readings import MASK_COLUMNS, leftovers, stem, table, unknown_folder, without_shared_masks
from curate.visa_source import VISA
from curate.walking import Tree, walk

IMAGES, MASKS, ANNOTATION, SPLITS = "Data/Images", "Data/Masks", "image_anno.csv", "split_csv"
LABELS = {"Normal": "normal", "Anomaly": "anomalous"}
NO_SPLIT, USUAL_SPLIT = "none", "1cls"
Row = dict[str, Any]


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    if any(_is_category(on_disk(root), folder) for folder in candidates(root)):
        return []
    return [f"no <object>/{IMAGES}/Normal or Anomaly folder, and no {IMAGES} here"]


def _is_category(has: Has, folder: str) -> bool:
    return any(has(joined(folder, IMAGES, name)) for name in LABELS)


def read(root: Path, split_csv: str | None = None) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        split_csv: name of the split, e.g. "2cls_highshot", or "none"; "1cls" where it is there unless told.

    Raises:
        ValueError: there is no such split.
    """
    tree = walk(root)
    faults = list(tree.faults)
    split_file = _split_file(tree, split_csv)
    found: dict[str, Row] = {}
    for category in categories(tree, _is_category, f"an object with {IMAGES}", faults, beside=[SPLITS]):
        known = {"category": category.name, **VISA.terms(tree, category, faults)}
        entries = {
            entry["relative_path"]: entry | known
            for kind in _kinds(tree, category, faults)
            for entry in rows(tree, kind, faults, mask_kind="classes")
        }
        _annotate(tree, category, entries, faults)
        found |= entries
    if split_file is not None:
        _add_splits(tree, split_file, found, faults)
    entries_found = list(found.values())
    faults += leftovers(tree, entries_found, faults)
    return table(without_shared_masks(entries_found, faults), faults)


def _split_file(tree: Tree, name: str | None) -> str | None:
    known = {stem(path): path for path in tree.inside(SPLITS) if path.lower().endswith(".csv")}
    if name is None or name == NO_SPLIT:
        return known.get(USUAL_SPLIT) if name is None else None
    if name not in known:
        raise ValueError(
            f'The option split_csv is "{name}", but there is no {SPLITS}/{name}.csv. '
            f"Known: {', '.join([*known, NO_SPLIT])}."
        )
    return known[name]


def _kinds(tree: Tree, category: Category, faults: list[Fault]) -> list[Kind]:
    """The image folders of an object; reports folders that the layout does not know."""
    expected = {"": ("Data",), "Data": ("Images", "Masks"), IMAGES: tuple(LABELS), MASKS: tuple(LABELS)}
    for inner, names in expected.items():
        for name in tree.subfolders(category.path(inner)):
            if name not in names:
                faults.append(unknown_folder(category.path(inner, name), " or ".join(names)))
    kinds = []
    for name, label in LABELS.items():
        masks = category.path(MASKS, name)
        needed = label == "anomalous" or tree.has(masks)
        kinds.append(Kind(category.path(IMAGES, name), label, None, (), masks if needed else None))
    return kinds


def _annotate(tree: Tree, category: Category, entries: dict[str, Row], faults: list[Fault]) -> None:
    """Defect types from image_anno.csv, which must agree with the folders."""
    path = category.path(ANNOTATION)
    if path not in tree.files:
        message = f"{path} is not there, so the defect types of {category.name} are not known."
        faults.append(Fault("missing_annotation", "warning", path, message, "Copy it from the download."))
        return
    for where, cells, entry in _listed(tree, path, ("image", "label"), category.folder, entries, faults):
        types = sorted({part.strip() for part in cells["label"].split(",")} - {""})
        if not types:
            faults.append(bad_entry(path, where, "has no label"))
            continue
        _check_label(entry, path, where, cells["label"], faults)
        _check_mask(entry, path, where, cells.get("mask", ""), faults)
        if entry["label"] == "anomalous":
            entry["defect_types"] = [name for name in types if name.lower() not in ("anomaly", "normal")]


def _add_splits(tree: Tree, path: str, entries: dict[str, Row], faults: list[Fault]) -> None:
    """Splits from a file in split_csv, which must agree with the folders."""
    for where, cells, entry in _listed(tree, path, ("split", "label", "image"), "", entries, faults):
        split = cells["split"].strip().lower()
        if split in ("train", "test"):
            entry["split"] = split
        else:
            faults.append(
                bad_entry(path, where, f'has the split "{shown(split[:40])}", expected train or test')
            )
        said = cells.get("object", "").strip()
        if said and said != entry["category"]:
            problem = f"is of the object {entry['category']}, not {shown(said[:40])}"
            faults.append(bad_entry(path, where, f"{entry['relative_path']} {problem}"))
        _check_label(entry, path, where, cells["label"], faults)
        _check_mask(entry, path, where, cells.get("mask", ""), faults)


def _listed(
    tree: Tree,
    path: str,
    needed: tuple[str, ...],
    folder: str,
    entries: dict[str, Row],
    faults: list[Fault],
) -> Iterator[tuple[str, dict[str, str], Row]]:
    """Lines of a CSV file with the rows of their images; reports the others, absent images together."""
    seen: dict[str, str] = {}
    absent: list[str] = []
    lines = csv_rows(tree, path, faults, needed)
    for number, cells in lines:
        where, named = f"line {number}", cells["image"]
        image = _located(tree, folder, named)
        if leaves(named) or not named.strip():
            faults.append(missing_image(path, where, named))
        elif image not in entries or image is None:
            absent.append(f"{shown(named[:200])} in {where}")
        elif image in seen:
            faults.append(bad_entry(path, where, f"names {image}, as {seen[image]} does"))
        else:
            seen[image] = where
            yield where, cells, entries[image]
    if absent:
        message = f"{path} names {len(absent)} images that are not here, the first is {absent[0]}."
        faults.append(Fault("listed_but_absent", "warning", path, message, "Add them, or leave it so."))
    unlisted = [image for image in entries if image not in seen]
    if lines and unlisted:
        message = f"{len(unlisted)} images are not in {path}, the first is {unlisted[0]}."
        faults.append(Fault("unlisted", "warning", path, message, "Add them to it, or leave it so."))


def _located(tree: Tree, folder: str, named: str) -> str | None:
    """An image by its name from the root, from the object's folder, or, where the root is the object, by what
    follows the object's name."""
    tail = named.strip().replace("\\", "/").partition("/")[2]
    return located(tree, "", named) or located(tree, folder, named) or located(tree, "", tail)


def _check_label(entry: Row, path: str, where: str, said: str, faults: list[Fault]) -> None:
    image = entry["relative_path"]
    folder = image.split("/")[-2]
    normal = said.strip().lower() == "normal"
    if normal == (folder == "Normal"):
        return
    entry |= {"label": "unknown", "defect_types": []}
    message = (
        f'{image} lies in {folder}, but {path}, {where}, has the label "{shown(said[:80])}"; '
        "its label is unknown."
    )
    faults.append(
        Fault("label_conflict", "error", image, message, "Look at the image, and correct one of them.")
    )


def _check_mask(entry: Row, path: str, where: str, named: str, faults: list[Fault]) -> None:
    """The mask that a line names must be the one with the image's stem."""
    if not named.strip():
        return
    image = entry["relative_path"]
    if leaves(named):
        faults.append(missing_image(path, where, named))
    elif Path(named.strip().replace("\\", "/")).stem != stem(image):
        entry |= dict.fromkeys(MASK_COLUMNS)
        message = f"{path}, {where}, gives {image} the mask {shown(named[:200])}; it gets none."
        remedy = "Name the mask after its image, or correct the line."
        faults.append(Fault("mask_conflict", "error", image, message, remedy))
