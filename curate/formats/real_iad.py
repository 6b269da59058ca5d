"""Real-IAD: 30 kinds of small objects, each object photographed by five cameras.

Layout: realiad_<256, 512, 1024 or raw>/<category>/OK/S<NNNN>/<category>_<NNNN>_OK_C<K>_<time>.jpg, and
<category>/NG/<code>/S<NNNN>/<category>_<NNNN>_NG_<code>_C<K>_<time>.jpg with the mask beside it; the lists
realiad_jsons/<list>/<category>.json or <list>/<category>.json (curate/real_iad_lists.py). There are the lists
realiad_jsons (all views), realiad_jsons_sv (camera C1 alone) and realiad_jsons_fuiad_<r>, in which a share r
of the training images shows defective objects. The folder of the categories alone is read too, without lists.

The label is that of the view, anomaly_class in the list: the defect of an NG object may be out of sight in a
view, which then is normal (26,881 views). All views of an object are one part, C1 (from above) to C5 the
camera. Defect types are code and meaning: AK_pit. Images that the list does not name are left out and
counted.
A category without a list is read by its folders: OK is normal, NG with a mask anomalous, NG without unknown.
Mask pixels above 0 are defect.

Licence: CC BY-NC-SA 4.0.
Source: Wang, Zhu, Gao, Gan, Zhang, Gu, Qian, Chen, Ma: Real-IAD: A Real-World Multi-View Dataset for
Benchmarking Versatile Industrial Anomaly Detection. CVPR 2024, arXiv:2403.12580
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault, shown
from curate.images import is_image
from curate.readings import (
    absolute,
    leftovers,
    not_an_image,
    orphan_mask,
    row,
    table,
    unknown_folder,
    without_shared_masks,
)
from curate.real_iad_lists import Listed, read_lists
from curate.real_iad_names import CODES, View, defect_type, masks, view
from curate.walking import Tree, is_folder, matching, walk

IMAGES = ("realiad_raw", "realiad_1024", "realiad_512", "realiad_256")
LISTS = re.compile(r"realiad_jsons[\w.]*")
DEFAULT_LIST = "realiad_jsons"
MASK_RULE = "> 0"
KNOWN = {
    "licence": "CC BY-NC-SA 4.0",
    "citation": (
        "Wang, C., Zhu, W., Gao, B.-B., Gan, Z., Zhang, J., Gu, Z., Qian, S., Chen, M., Ma, L.: Real-IAD: A "
        "Real-World Multi-View Dataset for Benchmarking Versatile Industrial Anomaly Detection. CVPR (2024), "
        "arXiv:2403.12580"
    ),
}


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    found = [root / name for name in IMAGES if is_folder(root / name)]
    patterns = [f"{nested}*/{state}" for nested in ("", "*/") for state in ("OK", "NG")]
    if any(is_folder(path) for folder in found for pattern in patterns for path in matching(folder, pattern)):
        return []
    if found:
        return [f"no {found[0].name}/<category>/OK or NG folder"]
    if any(
        is_folder(path) for pattern in ("*/OK/S[0-9]*", "*/NG/*/S[0-9]*") for path in matching(root, pattern)
    ):
        return []
    return [f"no {', '.join(reversed(IMAGES))} folder, and no <category>/OK/S<number> folder"]


def read(root: Path, json: str | None = None, resolution: str | int | None = None) -> pd.DataFrame:
    """One row per image of the list; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        json: name of the list, e.g. "realiad_jsons_sv"; realiad_jsons unless told.
        resolution: 256, 512, 1024 or "raw"; the largest that is there unless told.

    Raises:
        ValueError: there is no such list or resolution.
    """
    tree = walk(root)
    faults = list(tree.faults)
    folder = _images_folder(tree, resolution, faults)
    listed = read_lists(tree, _list_files(tree, json, faults), folder, faults)
    rows = [_listed_row(tree, path, entry, faults) for path, entry in listed.items()]
    rows += _not_listed(tree, folder, listed, faults)
    noisy = [path for path, entry in listed.items() if entry.split == "train" and entry.label == "anomalous"]
    if noisy:
        message = f"{len(noisy)} training images are anomalous by the list, the first is {noisy[0]}."
        remedy = "Leave it so to study training with noise, else read the list realiad_jsons."
        faults.append(Fault("anomalous_in_train", "note", "", message, remedy))
    faults += _unknown_codes(rows)
    rows = without_shared_masks(rows, faults)
    return table(rows, [*faults, *leftovers(tree, rows, faults)])


def _images_folder(tree: Tree, resolution: str | int | None, faults: list[Fault]) -> str:
    """The folder of the categories; "" when the root is it."""
    present = [name for name in IMAGES if any(is_image(path) for path in tree.below(name))]
    chosen = present[0] if present else ""
    if resolution is not None:
        chosen = f"realiad_{str(resolution).removeprefix('realiad_')}"
        if chosen not in present:
            there = ", ".join(name.removeprefix("realiad_") for name in present) or "none"
            raise ValueError(f"There are no images of the resolution {resolution}. Found: {there}.")
    for name in present:
        if name != chosen:
            message = f"{name} is not read: {chosen} has the same images in another size."
            remedy = (
                f'Choose it with the option resolution = "{name.removeprefix("realiad_")}", or leave it so.'
            )
            faults.append(Fault("other_resolution", "note", name, message, remedy))
    for name in tree.subfolders("") if chosen else ():
        if name not in IMAGES and not LISTS.fullmatch(name):
            faults.append(unknown_folder(name, f"{chosen} and {DEFAULT_LIST}"))
    return chosen


def _list_files(tree: Tree, json: str | None, faults: list[Fault]) -> list[str]:
    lists: dict[str, dict[str, list[str]]] = {}
    for path in tree.files:
        folder = path.rpartition("/")[0]
        name = folder.rpartition("/")[2]
        if path.lower().endswith(".json") and LISTS.fullmatch(name):
            lists.setdefault(name, {}).setdefault(folder, []).append(path)
    chosen = json or DEFAULT_LIST
    if chosen not in lists:
        if json:
            raise ValueError(f"There is no list {json}. Found: {', '.join(lists) or 'none'}.")
        if lists:
            message = f"There is no list {chosen}, but {', '.join(lists)}."
            remedy = f'Choose one with the option json = "{next(iter(lists))}".'
            faults.append(Fault("no_list", "warning", "", message, remedy))
        return []
    # Unpacked in two ways, the archive gives the same list twice.
    *others, folder = sorted(lists[chosen], key=lambda name: (name.count("/"), name))
    for other in others:
        message = f"{other} and {folder} are both the list {chosen}; the second is read."
        faults.append(Fault("list_twice", "warning", other, message, "Remove the one that is wrong."))
    return lists[chosen][folder]


def _row(
    tree: Tree,
    path: str,
    seen: View,
    category: str,
    label: str,
    faults: list[Fault],
    code: str | None = None,
    mask: str | None = None,
) -> dict[str, Any]:
    known: dict[str, Any] = {
        **KNOWN,
        "category": category,
        "camera": seen.camera,
        "captured_at": seen.captured_at,
    }
    if seen.state and seen.number:
        known["part_id"] = f"{category}_{seen.number}_{seen.state}"
    else:
        message = f"{path} tells neither by folder nor by name which object it shows; it counts as its own."
        remedy = "Name it <category>_<number>_<OK or NG_code>_C<camera>_<time>, or leave it so."
        faults.append(Fault("unknown_part", "warning", path, message, remedy))
    if code:
        known["defect_types"] = [defect_type(code)]
    if mask:
        known["gt_mask_path"] = absolute(tree.files[mask])
        known |= {"mask_rule": MASK_RULE, "mask_kind": "binary"}
    return row(tree, path, label, **known)


def _listed_row(tree: Tree, path: str, entry: Listed, faults: list[Fault]) -> dict[str, Any]:
    seen = view(path)
    if entry.code and seen.state not in (None, "NG", f"NG_{entry.code}"):
        message = f"{path} is {entry.code} in {entry.source}, but lies with {seen.state}; the list counts."
        faults.append(Fault("label_conflict", "warning", path, message, "Look at the image; correct one."))
    found = _row(tree, path, seen, entry.category, entry.label, faults, entry.code, entry.mask)
    return found | {"split": entry.split}


def _not_listed(
    tree: Tree, folder: str, listed: dict[str, Listed], faults: list[Fault]
) -> list[dict[str, Any]]:
    """Rows of the categories of which no list speaks; in the others, what has no entry is reported."""
    prefix = f"{folder}/" if folder else ""
    categories: dict[str, list[str]] = {}
    for path in tree.files:
        if not path.startswith(prefix):
            continue
        category, slash, _ = path[len(prefix) :].partition("/")
        if path not in listed and not is_image(path):
            if prefix or (slash and not LISTS.fullmatch(category)):
                faults.append(not_an_image(path))
        elif slash:
            categories.setdefault(category, []).append(path)
    used = {entry.mask for entry in listed.values()}
    rows: list[dict[str, Any]] = []
    by_folder = []
    for category, paths in categories.items():
        pairs = {mask: image for mask, image in masks(paths).items() if mask not in listed}
        if any(path in listed for path in paths):
            without = [path for path in paths if path not in listed and path not in pairs]
            if without:
                faults.append(_without_entry(f"{prefix}{category}", without))
            faults += [
                _unnamed(mask, image)
                for mask, image in pairs.items()
                if mask not in used and (image is None or image in listed)
            ]
        elif found := list(_rows_by_folder(tree, category, paths, pairs, faults)):
            by_folder.append(category)
            rows += found
        else:
            faults.append(unknown_folder(f"{prefix}{category}", "<category>/OK and <category>/NG/<code>"))
    if rows:
        faults.append(_labels_from_folders(rows, by_folder))
    return rows


def _rows_by_folder(
    tree: Tree, category: str, paths: list[str], pairs: dict[str, str | None], faults: list[Fault]
) -> Iterator[dict[str, Any]]:
    mask_of = {image: mask for mask, image in pairs.items() if image}
    for path in paths:
        seen = view(path)
        mask = mask_of.get(path)
        if path in pairs or seen.state is None:
            continue
        if seen.state == "OK":
            yield _row(tree, path, seen, category, "normal", faults, mask=mask)
        elif mask:
            yield _row(tree, path, seen, category, "anomalous", faults, seen.state[3:], mask)
        else:
            yield _row(tree, path, seen, category, "unknown", faults)
    faults += [_unnamed(mask, image) for mask, image in pairs.items() if image is None]


def _labels_from_folders(rows: list[dict[str, Any]], categories: list[str]) -> Fault:
    n_unknown = sum(found["label"] == "unknown" for found in rows)
    message = (
        f"No list names the images of {', '.join(categories)}: the labels of {len(rows)} images come from "
        f"the folders, without split; {n_unknown} NG views without mask are unknown (their defect may be out "
        "of sight)."
    )
    return Fault("no_list", "warning", "", message, f"Add the list, {DEFAULT_LIST}/<category>.json.")


def _without_entry(folder: str, paths: list[str]) -> Fault:
    message = (
        f"{len(paths)} images in {folder} are not in the list, the first is {paths[0]}; they are left out."
    )
    remedy = "Choose another list with the option json, or leave it so."
    return Fault("unlisted", "warning", folder, message, remedy)


def _unnamed(mask: str, image: str | None) -> Fault:
    if image is None:
        return orphan_mask(mask, f"{mask.rpartition('.')[0].removesuffix('_mask')}.jpg")
    message = (
        f"{mask} is the mask of {image} by its name, but the list gives that image none; it is not used."
    )
    remedy = "Look at the image, and correct its entry or remove the mask."
    return Fault("unlisted_mask", "warning", mask, message, remedy, (image,))


def _unknown_codes(rows: list[dict[str, Any]]) -> list[Fault]:
    counts: dict[str, list[str]] = {}
    for found in rows:
        for name in found.get("defect_types", []):
            if name.partition("_")[0] not in CODES:
                counts.setdefault(name, []).append(found["relative_path"])
    return [
        Fault(
            "unknown_code",
            "warning",
            paths[0],
            f'{paths[0]} and {len(paths) - 1} more have the defect code "{shown(code[:100])}", of unknown '
            "meaning; it is kept.",
            f"Known are {', '.join(CODES)}.",
        )
        for code, paths in counts.items()
    ]
