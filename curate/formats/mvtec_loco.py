"""MVTec LOCO AD: logical and structural anomalies, with a folder of mask files for each anomalous image.

Layout: <category>/train/good, validation/good, test/good, test/<kind> with the kinds logical_anomalies and
structural_anomalies, and for each anomalous image the folder ground_truth/<kind>/<stem> with 000.png, 001.png
and so on. Each of those files is one channel: one defect, drawn with the one value that
<category>/defects_config.json gives to its type, together with the area from which on a prediction of it is
complete. Channels may overlap, so they stay apart in mask_channels and gt_mask_path is empty; pixels above 0
are defect. The values have to be read from the files, since nothing else tells a channel's type.

Defect types of an image: the names of its channels as far as the configuration knows them; else the kind,
the name of its folder. The kind of every image stays in its relative path.

Licence: CC BY-NC-SA 4.0 for the five categories of the dataset; others (AutoVI has the layout too) keep the
first line of their own licence file.
Source: Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond Dents and Scratches: Logical Constraints in
Unsupervised Anomaly Detection and Localization. IJCV 130 (2022), doi:10.1007/s11263-022-01578-9
"""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.annotation_files import bad_entry, json_value, unusable
from curate.errors import Unreadable
from curate.faults import Fault
from curate.images import MAX_PIXELS, read_stored
from curate.mvtec_layout import (
    MASK_RULE,
    MASKS,
    Category,
    Has,
    Kind,
    Manner,
    Source,
    candidates,
    categories,
    flat,
    joined,
    kinds,
    on_disk,
    rows,
)
from curate.readings import absolute, leftovers, missing_mask, orphan_mask, stem, table, without_shared_masks
from curate.walking import Tree, is_file, is_folder, matching, walk

CONFIG = "defects_config.json"
MANNER = Manner({"train": "train", "validation": "val", "test": "test"})
N_THREADS = 4
SOURCE = Source(
    frozenset("breakfast_box juice_bottle pushpins screw_bag splicing_connectors".split()),
    "CC BY-NC-SA 4.0",
    "Bergmann, P., Batzner, K., Fauser, M., Sattlegger, D., Steger, C.: Beyond Dents and Scratches: Logical "
    "Constraints in Unsupervised Anomaly Detection and Localization. IJCV 130, 947-969 (2022), "
    "doi:10.1007/s11263-022-01578-9",
)


@dataclass(frozen=True)
class Defect:
    """An entry of the configuration.

    Attributes:
        threshold: area from which on a prediction is complete: px, or a share of the defect's area.
        relative: whether it is a share.
    """

    name: str
    threshold: float
    relative: bool


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    here = [folder for folder in candidates(root) if _is_category(on_disk(root), folder)]
    if not here:
        return ["no <category>/train/good folder beside <category>/test, and no train/good folder here"]
    for folder in here:
        path = root / folder
        if is_file(path / CONFIG) or any(is_folder(one) for one in matching(path, f"{MASKS}/*/*")):
            return []
    return [f"no {CONFIG} and no {MASKS}/<kind>/<stem> folder of masks in {here[0] or 'this folder'}"]


def _is_category(has: Has, folder: str) -> bool:
    return has(joined(folder, "train", "good")) and has(joined(folder, "test"))


def read(root: Path) -> pd.DataFrame:
    """One row per image in train, validation and test; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    entries: list[dict[str, Any]] = []
    for category in categories(tree, _is_category, "a category with train/good", faults):
        known = {"category": category.name, **SOURCE.terms(tree, category, faults)}
        defects = _configuration(tree, category, faults)
        for kind in kinds(tree, category, MANNER, faults):
            found = [entry | known for entry in rows(tree, replace(kind, masks=None), faults)]
            if kind.masks and kind.label == "anomalous":
                _add_channels(tree, kind, found, defects, faults)
            entries += found
    faults += leftovers(tree, entries, faults)
    return table(without_shared_masks(entries, faults), faults)


def _configuration(tree: Tree, category: Category, faults: list[Fault]) -> dict[int, Defect]:
    """Value to defect; wrong entries are left out and reported."""
    path = category.path(CONFIG)
    if path not in tree.files:
        message = f"{path} is not there, so the defects of {category.name} have neither names nor areas."
        faults.append(Fault("missing_config", "error", path, message, "Copy it from the download."))
        return {}
    before = len(faults)
    content = json_value(tree, path, faults)
    if not isinstance(content, list):
        if len(faults) == before:
            faults.append(unusable(path, f"holds a JSON {type(content).__name__}, expected a list"))
        return {}
    defects: dict[int, Defect] = {}
    for number, entry in enumerate(content):
        if problem := _problem(entry, defects):
            faults.append(bad_entry(path, f"entry {number}", problem))
            continue
        name, threshold = entry["defect_name"].strip(), float(entry["saturation_threshold"])
        defects[entry["pixel_value"]] = Defect(name, threshold, entry["relative_saturation"])
    return defects


def _problem(entry: Any, before: Mapping[int, Defect]) -> str | None:
    """What is wrong with an entry of the configuration."""
    if not isinstance(entry, dict):
        return "is not an object"
    name, value, threshold, relative = (
        entry.get(key)
        for key in ("defect_name", "pixel_value", "saturation_threshold", "relative_saturation")
    )
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return "has no defect_name that can be shown"
    if type(value) is not int or not 1 <= value <= 255:
        return f"has the pixel_value {repr(value)[:40]}, expected a whole number from 1 to 255"
    if value in before:
        return f"has the pixel_value {value}, which {before[value].name} has too"
    if not isinstance(relative, bool):
        return f"has the relative_saturation {repr(relative)[:40]}, expected true or false"
    said = repr(threshold)[:40]
    if relative and not (type(threshold) is float and 0 < threshold <= 1):
        return f"has the relative saturation_threshold {said}, expected a fraction above 0 and up to 1.0"
    if not relative and not (type(threshold) is int and 0 < threshold <= MAX_PIXELS):
        return f"has the absolute saturation_threshold {said}, expected a whole number of pixels"
    return None


def _add_channels(
    tree: Tree, kind: Kind, entries: list[dict[str, Any]], defects: Mapping[int, Defect], faults: list[Fault]
) -> None:
    """Give the images of a kind their channels; reports what has no partner."""
    masks = kind.masks or ""
    by_stem = {name: flat(tree, f"{masks}/{name}", faults) for name in tree.subfolders(masks)}
    stems = {stem(entry["relative_path"]) for entry in entries}
    for name in by_stem.keys() - stems:
        faults.append(orphan_mask(f"{masks}/{name}", f"{kind.images}/{name}.*"))
    files = list(chain.from_iterable(by_stem[name] for name in by_stem.keys() & stems))
    with ThreadPoolExecutor(N_THREADS) as pool:
        areas = dict(zip(files, pool.map(_areas, (tree.files[path] for path in files)), strict=True))
    for entry in entries:
        path = entry["relative_path"]
        channels = by_stem.get(stem(path))
        if not channels:
            faults.append(missing_mask(path, [f"{masks}/{stem(path)}/000.png"]))
            continue
        found = [_channel(tree, channel, areas[channel], defects, faults) for channel in channels]
        types = sorted({channel["defect_type"] for channel in found} - {None})
        entry |= {"mask_channels": found, "mask_rule": MASK_RULE, "mask_kind": "classes"}
        entry["mask_classes"] = _classes([areas[channel] for channel in channels], defects)
        entry["defect_types"] = types or entry["defect_types"]


def _areas(path: Path) -> dict[int, int] | str:
    """Positive value to number of pixels, or why the file cannot be read."""
    try:
        values = read_stored(path)
    except Unreadable as error:
        return str(error)
    counts = np.bincount((values.max(axis=2) if values.ndim == 3 else values).ravel())
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}


def _channel(
    tree: Tree,
    path: str,
    areas: dict[int, int] | str,
    defects: Mapping[int, Defect],
    faults: list[Fault],
) -> dict[str, Any]:
    """An entry of mask_channels; without a type where the file does not say one."""
    value = next(iter(areas)) if isinstance(areas, dict) and len(areas) == 1 else None
    defect = defects.get(value) if value is not None else None
    if defect is None and (fault := _channel_fault(path, areas, bool(defects))):
        faults.append(fault)
    return {
        "path": absolute(tree.files[path]),
        "defect_type": defect.name if defect else None,
        "value": value,
        "saturation_threshold": defect.threshold if defect else None,
        "relative_saturation": defect.relative if defect else None,
    }


def _channel_fault(path: str, areas: dict[int, int] | str, configured: bool) -> Fault | None:
    if isinstance(areas, str):
        return Fault("unreadable_mask", "error", path, f"{path} cannot be used: {areas}", "Copy it again.")
    if not areas:
        message = f"{path} has no pixel above 0; a channel shows one defect."
        return Fault("empty_channel", "warning", path, message, "Remove it, or draw the defect.")
    if len(areas) > 1:
        said = ", ".join(map(str, areas))
        message = (
            f"{path} has the values {said}; a channel has one, that of its defect. Its type is not known."
        )
        return Fault("mixed_channel", "error", path, message, "Give each defect a file of its own.")
    if not configured:
        return None  # the configuration's own fault says it once
    message = (
        f"{path} has the value {next(iter(areas))}, which {CONFIG} does not know. Its type is not known."
    )
    return Fault("unknown_channel_value", "error", path, message, f"Correct the file, or add it to {CONFIG}.")


def _classes(areas: list[dict[int, int] | str], defects: Mapping[int, Defect]) -> list[dict[str, Any]]:
    total: Counter[int] = Counter()
    for one in areas:
        total.update(one if isinstance(one, dict) else {})
    return [
        {"value": value, "defect_type": defects[value].name if value in defects else None, "area_px": area}
        for value, area in sorted(total.items())
    ]
