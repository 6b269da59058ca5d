"""MVTec AD and every dataset in its layout, and what the exporter of the same name writes.

Layout: <category>/train/good, <category>/test/good, <category>/test/<defect type>, and for each anomalous
image <category>/ground_truth/<defect type>/<stem>_mask.png (or the bare stem). The root may be the folder
of the categories or one category. A folder val or validation gives the split "val". Where the exporter
wrote the tree, calibration/<category>/test/... gives the split "calibration", and manifest.json gives back
what folders cannot hold. Mask pixels above 0 are defect.

Licence: of MVTec AD itself CC BY-NC-SA 4.0; other trees keep the first line of their own licence file.
Source: Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly Detection Dataset. IJCV 129 (2021),
doi:10.1007/s11263-020-01400-4
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
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
from curate.restoring import Manifest
from curate.walking import Tree, is_folder, walk

SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val"}
MASKS = "ground_truth"
CALIBRATION = "calibration"
NORMAL = "good"
MASK_RULE = "> 0"
MVTEC_CATEGORIES = frozenset(
    "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw "
    "tile toothbrush transistor wood zipper".split()
)
MVTEC_LICENCE = "CC BY-NC-SA 4.0"
MVTEC_CITATION = (
    "Bergmann, P., Batzner, K., Fauser, M., Sattlegger, D., Steger, C.: The MVTec Anomaly Detection Dataset. "
    "IJCV 129, 1038-1059 (2021), doi:10.1007/s11263-020-01400-4"
)


@dataclass(frozen=True)
class _Category:
    """One category folder: its relative path ("" is the root), name, and whether it is a calibration part."""

    folder: str
    name: str
    calibration: bool = False

    def path(self, *parts: str) -> str:
        return "/".join(part for part in (self.folder, *parts) if part)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    candidates = [root, *sorted(path for path in root.iterdir() if is_folder(path))]
    found = [path for path in candidates if _is_category(path)]
    if not found:
        return [f"no <category>/train/{NORMAL} folder, and no train/{NORMAL} folder here"]
    for category in found:
        if nested := next((path for path in category.glob(f"{MASKS}/*/*") if is_folder(path)), None):
            return [
                f"{nested.relative_to(root)} is a folder; expected one mask file per image "
                "(MVTec LOCO AD keeps a folder of masks per image)"
            ]
    return []


def _is_category(folder: Path) -> bool:
    return is_folder(folder / "train" / NORMAL) or (
        is_folder(folder / "test") and (is_folder(folder / MASKS) or is_folder(folder / "test" / NORMAL))
    )


def read(root: Path) -> pd.DataFrame:
    """One row per image in train, val and test; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    categories = _categories(tree, faults)
    licences = {category: _licence(tree, category, categories, faults) for category in categories}
    manifest = Manifest.of(tree, faults)
    rows = []
    for category in categories:
        licence, citation = licences[category]
        for found in _read_category(tree, category, faults):
            rows.append({"licence": licence, "citation": citation} | found)
    rows = manifest.restored(rows, faults)
    faults += leftovers(tree, rows, faults)
    rows = without_shared_masks(rows, faults)
    return table(rows, faults)


def _categories(tree: Tree, faults: list[Fault]) -> list[_Category]:
    if _is_category(tree.root):
        return [_Category("", tree.root.absolute().name)]
    found = []
    for name in tree.subfolders(""):
        if _is_category(tree.root / name):
            found.append(_Category(name, name))
        elif name == CALIBRATION:
            parts = [sub for sub in tree.subfolders(name) if _is_category(tree.root / name / sub)]
            found += [_Category(f"{name}/{sub}", sub, calibration=True) for sub in parts]
        else:
            faults.append(unknown_folder(name, f"a category with train/{NORMAL}"))
    return found


def _read_category(tree: Tree, category: _Category, faults: list[Fault]) -> list[dict[str, Any]]:
    rows = []
    anomalous: dict[str, list[str]] = {}
    for name in tree.subfolders(category.folder):
        if name == MASKS:
            continue
        if name not in SPLITS:
            expected = f"{', '.join(SPLITS)} or {MASKS}"
            faults.append(unknown_folder(category.path(name), expected))
            continue
        split = CALIBRATION if category.calibration else SPLITS[name]
        for kind in tree.subfolders(category.path(name)):
            if kind != NORMAL and name != "test":
                faults.append(unknown_folder(category.path(name, kind), f"only {NORMAL} in {name}"))
                continue
            files = _flat(tree, category.path(name, kind), faults)
            label = "normal" if kind == NORMAL else "anomalous"
            types = [] if kind == NORMAL else [kind]
            known = {"category": category.name, "split": split, "defect_types": types}
            rows += [row(tree, path, label, **known) for path in files]
            if kind != NORMAL:
                anomalous[kind] = files
    masks = _pair_masks(tree, category, anomalous, faults)
    return [found | masks.get(found["relative_path"], {}) for found in rows]


def _flat(tree: Tree, folder: str, faults: list[Fault]) -> list[str]:
    """Images of a folder that should hold nothing else."""
    files = tree.inside(folder)
    found = images(files)
    faults += [not_an_image(path) for path in files if path not in found]
    faults += [unknown_folder(f"{folder}/{name}", "no folders here") for name in tree.subfolders(folder)]
    return found


def _pair_masks(
    tree: Tree, category: _Category, anomalous: dict[str, list[str]], faults: list[Fault]
) -> dict[str, dict[str, str]]:
    """Mask columns for each anomalous image, paired by defect type and stem; reports what has no partner."""
    paired: dict[str, dict[str, str]] = {}
    kinds = dict.fromkeys([*anomalous, *tree.subfolders(category.path(MASKS))])
    for kind in kinds:
        folder = category.path(MASKS, kind)
        masks = _flat(tree, folder, faults)
        by_stem = {stem(path): path for path in masks}
        used = set()
        for path in anomalous.get(kind, []):
            names = [f"{stem(path)}_mask", stem(path)]
            mask = next((by_stem[name] for name in names if name in by_stem), None)
            if mask is None:
                faults.append(missing_mask(path, [f"{folder}/{names[0]}.png", f"{names[1]}.png"]))
                continue
            used.add(mask)
            paired[path] = {"gt_mask_path": absolute(tree.files[mask]), "mask_rule": MASK_RULE}
        for mask in masks:
            if mask not in used:
                wanted = category.path("test", kind, f"{stem(mask).removesuffix('_mask')}.*")
                faults.append(orphan_mask(mask, wanted))
    return paired


def _licence(
    tree: Tree, category: _Category, categories: list[_Category], faults: list[Fault]
) -> tuple[str | None, str | None]:
    """Licence and citation: MVTec's own where names and licence file say so, else that file's first line."""
    text = licence_text(tree, category.folder, faults) or licence_text(tree, "", faults)
    if not text:
        return None, None
    says_mvtec = "mvtec" in text.lower() or "noncommercial-sharealike" in text.lower().replace(" ", "")
    if says_mvtec and {found.name for found in categories} <= MVTEC_CATEGORIES:
        return MVTEC_LICENCE, MVTEC_CITATION
    return text.splitlines()[0].strip()[:200], None
