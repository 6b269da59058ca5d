"""VisA rearranged for training by the authors' prepare_data.py: one folder per object, split and label.

Layout, one-class (1cls): <object>/train/good, test/good, test/bad, ground_truth/bad/<stem>.png. Two-class
(2cls_highshot, 2cls_fewshot): train/bad as well, the masks in ground_truth/<split>/bad. The objects
may lie in a folder named after the variant, and that in one whose name begins with visa
(VisA_pytorch/1cls/candle); CSV files beside them are not read. Of several variants, which hold the same
images, one is read: the option variant, or 1cls where nothing is said.

The folder bad says no defect type. The authors' script writes masks of 0 and 255; other copies keep the
numbers of the classes. The first mask of an object that is not empty tells which; pixels above 0 are defect.
Since the layout is that of MVTec AD, the names of the objects tell it; pcb1 to pcb4 alone could be anybody's
and need a folder named after VisA or a variant, too.

Licence: CC BY 4.0.
Source: Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference Self-Supervised Pre-training for Anomaly
Detection and Segmentation. ECCV 2022, arXiv:2207.14315
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.errors import Unreadable
from curate.faults import Fault
from curate.images import read_stored
from curate.mvtec_layout import (
    Category,
    Has,
    Manner,
    candidates,
    categories,
    joined,
    kinds,
    on_disk,
    rows,
)
from curate.readings import leftovers, table, unknown_folder, without_shared_masks
from curate.restoring import NAME as MANIFEST
from curate.visa_source import OBJECTS, VISA
from curate.walking import Tree, is_file, walk

VARIANTS = ("1cls", "2cls_highshot", "2cls_fewshot")
BESIDE = "split_csv"
SPLITS = {"train": "train", "test": "test"}
ONE_CLASS = Manner(SPLITS, anomalous="bad")
TWO_CLASS = Manner(SPLITS, mixed=("train", "test"), anomalous="bad", masks="ground_truth/{split}/{kind}")


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout and the names."""
    has = on_disk(root)
    own = root.absolute()
    if own.name in OBJECTS and _is_category(has, ""):
        bases, names = [""], {own.name}
    else:
        bases = _bases(has, candidates(root))
        names = {name for base in bases for name in OBJECTS if _is_category(has, joined(base, name))}
    if not names:
        return ["no folder of an object of VisA (candle, capsules, ...) with train/good and test/bad"]
    where = [part.lower() for part in (*bases, own.name, own.parent.name, own.parent.parent.name)]
    told = any(part in VARIANTS or part.startswith("visa") for base in where for part in base.split("/"))
    if not told and all(name.startswith("pcb") for name in names):
        return [f"{', '.join(sorted(names))} could be anybody's; no folder named after VisA or a variant"]
    foreign = [name for name in candidates(root)[1:] if "" in bases and name not in OBJECTS]
    if category := next((name for name in foreign if has(f"{name}/train/good")), None):
        return [f"{category} is not an object of VisA"]
    if is_file(root / MANIFEST):
        return [f"{MANIFEST} says that it was exported, in the layout of mvtec_ad"]
    return []


def _is_category(has: Has, folder: str) -> bool:
    return has(joined(folder, "train", "good")) and has(joined(folder, "test", "bad"))


def _bases(has: Has, names: Iterable[str]) -> list[str]:
    """Relative folders that hold objects, the usual variant first."""
    tops = ["", *(name for name in names if name.lower().startswith("visa"))]
    folders = [joined(top, variant) for variant in ("", *VARIANTS) for top in tops]
    return [base for base in folders if any(_is_category(has, joined(base, name)) for name in OBJECTS)]


def read(root: Path, variant: str | None = None) -> pd.DataFrame:
    """One row per image of one variant; see curate.readings for the columns.

    Args:
        root: the dataset's folder, that of a variant, or that of one object.
        variant: 1cls, 2cls_highshot or 2cls_fewshot, where `root` holds several; the first unless told.

    Raises:
        ValueError: there is no such variant.
    """
    tree = walk(root)
    faults = list(tree.faults)
    base = _chosen(tree, variant, faults)
    entries: list[dict[str, Any]] = []
    expected, beside = "an object with train/good and test/bad", (BESIDE, *VARIANTS)
    found = categories(tree, _is_category, expected, faults, beside, base)
    for category in found:
        known = {"category": category.name, **VISA.terms(tree, category, faults)}
        two_class = tree.has(category.path("train/bad")) or tree.has(category.path("ground_truth/test"))
        manner = TWO_CLASS if two_class else ONE_CLASS
        mask_kind = _mask_kind(tree, category)
        for kind in kinds(tree, category, manner, faults):
            entries += [entry | known for entry in rows(tree, kind, faults, mask_kind)]
    faults += leftovers(tree, entries, faults)
    return table(without_shared_masks(entries, faults), faults)


def _chosen(tree: Tree, variant: str | None, faults: list[Fault]) -> str:
    """The folder that holds the objects to read; reports the others."""
    bases = [""] if _is_category(tree.has, "") else _bases(tree.has, tree.subfolders(""))
    names = {base: (base or tree.root.absolute().name).rpartition("/")[2] for base in bases}
    fitting = [base for base in bases if variant in (None, names[base])]
    if variant is not None and not fitting:
        raise ValueError(
            f'The option variant is "{variant}", but there is no such folder. '
            f"Known: {', '.join(names.values()) or 'none'}."
        )
    chosen = fitting[0] if fitting else ""
    for base in bases:
        if base and base != chosen:
            message = f"{base} holds the same images in another split; only {chosen or 'the others'} is read."
            remedy = f'To read it, set the option variant to "{names[base]}".'
            faults.append(Fault("other_variant", "warning", base, message, remedy))
    top = chosen.split("/")[0]
    for name in tree.subfolders("") if chosen else ():
        if name not in (top, BESIDE, *(base.split("/")[0] for base in bases)):
            faults.append(unknown_folder(name, chosen))
    return chosen


def _mask_kind(tree: Tree, category: Category) -> str:
    """What the mask values of an object mean, by its first mask that shows something."""
    for path in tree.below(category.path("ground_truth")):
        try:
            values = np.unique(read_stored(tree.files[path]))
        except Unreadable:
            continue
        if values.any():
            return "binary" if values[-1] == 255 and len(values) <= 2 else "classes"
    return "binary"
