"""One folder per label: normal/ and anomalous/, or any mapping from folder to label.

Images may lie in the label's folder or in folders below it. Below an anomalous folder, the first folder is
the defect type: anomalous/scratch/004.png. Known names are normal, good, ok, nominal; anomalous, abnormal,
bad, ng, ko, defect, defective; unknown, unlabelled, unlabeled; in upper or lower case. A mapping says it
otherwise: {"line 2/pass": "normal", "line 2/fail": "anomalous"}; the key "." is the folder itself.

Masks are optional, in masks/ or ground_truth/: the same path as the image, with or without the label's
folder, with the same stem or <stem>_mask. Pixels above 0 are defect. With such a folder, an anomalous image
without a mask is reported. The category is the name of the dataset's folder.

Licence: the first line of a file LICENSE or LICENCE, if there is one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
from curate.images import is_image
from curate.readings import (
    absolute,
    images,
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

LABELS = ("normal", "anomalous", "unknown")
NAMES = {
    **dict.fromkeys(("normal", "good", "ok", "nominal"), "normal"),
    **dict.fromkeys(("anomalous", "abnormal", "bad", "ng", "ko", "defect", "defective"), "anomalous"),
    **dict.fromkeys(("unknown", "unlabelled", "unlabeled"), "unknown"),
}
MASK_FOLDERS = ("masks", "ground_truth")
MASK_RULE = "> 0"


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout under the known names."""
    folders = [
        path for path in root.iterdir() if is_folder(path) and NAMES.get(path.name.lower()) == "normal"
    ]
    if not folders:
        return ["no folder named normal, good or ok"]
    if not any(is_image(path.name) for folder in folders for path in folder.rglob("*")):
        return [f"no image in {folders[0].name}"]
    return []


def read(root: Path, mapping: Mapping[str, str] | None = None, category: str | None = None) -> pd.DataFrame:
    """One row per image in the folders of the mapping; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        mapping: relative folder to label (normal, anomalous, unknown); the known names unless told.
        category: the name of `root` unless told.

    Raises:
        ValueError: the mapping has another label, or a folder that does not exist.
    """
    tree = walk(root)
    faults = list(tree.faults)
    labels = _checked(mapping, tree) if mapping else _known(tree)
    masks = {path: _mask_key(path) for path in images(tree.files) if path.split("/")[0] in MASK_FOLDERS}
    by_key = {key: path for path, key in masks.items()}
    owners = {path: _owner(path, labels) for path in tree.files if path not in masks}
    common = {"category": category or root.absolute().name, "licence": _licence(tree, faults)}
    rows = []
    for path, folder in owners.items():
        if folder is None:
            continue
        if not is_image(path):
            faults += [not_an_image(path)] if folder else []
            continue
        rows.append(_row(tree, path, folder, labels[folder], by_key, faults) | common)
    used = {found["gt_mask_path"] for found in rows if "gt_mask_path" in found}
    for path in masks:
        if absolute(tree.files[path]) not in used:
            faults.append(orphan_mask(path, f"{_mask_key(path)}.* in {', '.join(labels)}"))
    faults += _unused(tree, labels)
    faults += leftovers(tree, rows, faults)
    return table(without_shared_masks(rows, faults), faults)


def _known(tree: Tree) -> dict[str, str]:
    return {name: NAMES[name.lower()] for name in tree.subfolders("") if name.lower() in NAMES}


def _checked(mapping: Mapping[str, str], tree: Tree) -> dict[str, str]:
    if not isinstance(mapping, Mapping):
        raise ValueError(
            f'The option mapping must map folders to labels, {{"OK": "normal"}}; found {mapping!r}.'
        )
    labels = {folder.replace("\\", "/").strip("/"): label for folder, label in mapping.items()}
    labels = {"" if folder == "." else folder.removeprefix("./"): label for folder, label in labels.items()}
    for folder, label in labels.items():
        if label not in LABELS:
            raise ValueError(
                f'The mapping gives "{folder}" the label "{label}". Expected {", ".join(LABELS)}.'
            )
        if folder and folder not in tree.folders:
            called = [path for path in tree.folders if path.endswith(f"/{folder}")]
            below = ", ".join(called or tree.subfolders("")) or "none"
            raise ValueError(
                f'The mapping names the folder "{folder}", which is not there. Folders: {below}.'
            )
    return labels


def _owner(path: str, labels: Mapping[str, str]) -> str | None:
    """The innermost folder of the mapping that holds a file."""
    holding = [folder for folder in labels if not folder or path.startswith(f"{folder}/")]
    return max(holding, key=len, default=None)


def _row(
    tree: Tree, path: str, folder: str, label: str, by_key: Mapping[str, str], faults: list[Fault]
) -> dict[str, Any]:
    inner = path[len(folder) + 1 :] if folder else path
    known: dict[str, Any] = {}
    if label != "anomalous":
        return row(tree, path, label)
    if "/" in inner:
        known["defect_types"] = [inner.split("/")[0]]
    keys = [_without_suffix(path), _without_suffix(inner)]
    mask = next((by_key[key] for key in keys if key in by_key), None)
    if mask is not None:
        path_of_mask = absolute(tree.files[mask])
        known |= {"gt_mask_path": path_of_mask, "mask_rule": MASK_RULE, "mask_kind": "binary"}
    elif by_key:
        faults.append(missing_mask(path, [f"masks/{key}.png" for key in dict.fromkeys(keys)]))
    return row(tree, path, label, **known)


def _without_suffix(path: str) -> str:
    folder, _, _ = path.rpartition("/")
    return f"{folder}/{stem(path)}" if folder else stem(path)


def _mask_key(path: str) -> str:
    """masks/scratch/004_mask.png to scratch/004."""
    return _without_suffix(path.partition("/")[2]).removesuffix("_mask")


def _unused(tree: Tree, labels: Mapping[str, str]) -> list[Fault]:
    """Top folders that hold images but belong to no label."""
    if "" in labels:
        return []
    concerned = {folder.split("/")[0] for folder in labels} | set(MASK_FOLDERS)
    expected = ", ".join(labels or ("normal", "anomalous", "unknown"))
    return [
        unknown_folder(name, f"one of {expected} or a mapping that names it")
        for name in tree.subfolders("")
        if name not in concerned
    ]


def _licence(tree: Tree, faults: list[Fault]) -> str | None:
    text = licence_text(tree, "", faults)
    return text.splitlines()[0].strip()[:200] if text else None
