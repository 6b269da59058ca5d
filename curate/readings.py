"""What a dataset reader hands over: rows with the columns it knows, and the faults it met."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from curate.faults import Fault, in_order
from curate.images import is_image
from curate.tables import from_rows
from curate.walking import Tree

COLUMNS = [
    "relative_path", "filepath", "category", "label", "defect_types", "gt_mask_path", "mask_channels",
    "shapes", "mask_kind", "mask_quality", "mask_classes", "mask_rule", "boxes", "split", "part_id",
    "product", "lot", "panel", "piece", "position", "section", "station", "camera", "lighting",
    "captured_at", "site", "operator", "machine_code", "um_per_px", "licence", "citation",
]  # fmt: skip
MASK_COLUMNS = ("gt_mask_path", "mask_channels", "mask_kind", "mask_quality", "mask_classes", "mask_rule")


def table(rows: Iterable[dict[str, Any]], faults: Iterable[Fault]) -> pd.DataFrame:
    """A reader's table: COLUMNS, None where a row does not say, sorted by relative path; faults in attrs."""
    ordered = sorted(rows, key=lambda row: str(row["relative_path"]))
    frame = from_rows([{"defect_types": []} | row for row in ordered], COLUMNS)
    frame.attrs["faults"] = in_order(faults)
    return frame


def row(tree: Tree, relative_path: str, label: str, **known: Any) -> dict[str, Any]:
    """One image's row; `known` are further columns."""
    path = tree.files[relative_path]
    return {"relative_path": relative_path, "filepath": absolute(path), "label": label, **known}


def absolute(path: Path) -> str:
    """A path as the sample table holds it: absolute, links kept."""
    return str(path.absolute())


def stem(relative_path: str) -> str:
    """The file's name without folders and suffix."""
    name = relative_path.rpartition("/")[2]  # as in is_image: no Path for each of 100,000 names
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name


def images(paths: Iterable[str]) -> list[str]:
    """Those that end like an image."""
    return [path for path in paths if is_image(path)]


def not_an_image(relative_path: str) -> Fault:
    """A file of another kind in a folder of images."""
    return Fault(
        "unknown_file",
        "warning",
        relative_path,
        f"{relative_path} is not a PNG, JPEG, BMP or TIFF image; it is ignored.",
        "Convert it if it is an image, or remove it.",
    )


def unknown_folder(relative_path: str, expected: str) -> Fault:
    """A folder that the layout does not know."""
    return Fault(
        "unknown_folder",
        "warning",
        relative_path,
        f"{relative_path} is not part of the layout; expected {expected}. It is ignored.",
        "Move its images where they belong, or remove it.",
    )


def text_of(tree: Tree, relative_path: str, faults: list[Fault]) -> str:
    """A small text file; what cannot be read is reported and counts as empty."""
    try:
        return tree.files[relative_path].read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{relative_path} cannot be read as UTF-8 text ({error}); it is not used."
        faults.append(Fault("unreadable", "error", relative_path, message, "Restore it."))
        return ""


def licence_text(tree: Tree, folder: str, faults: list[Fault]) -> str:
    """The licence file in `folder` (license.txt, LICENCE, ...); "" when there is none."""
    found = [path for path in tree.inside(folder) if stem(path).lower() in ("license", "licence")]
    return text_of(tree, found[0], faults).strip() if found else ""


def without_shared_masks(rows: list[dict[str, Any]], faults: list[Fault]) -> list[dict[str, Any]]:
    """Take a mask from all images that claim the same one, and report it: a guess could be wrong."""
    claims = Counter(mask for row in rows for mask in masks_of(row))
    kept = []
    for row in rows:
        mask = next((mask for mask in masks_of(row) if claims[mask] > 1), None)
        if mask is not None:
            path = row["relative_path"]
            message = (
                f"{path} and {claims[mask] - 1} more fit the mask {Path(mask).name}; none of them gets it."
            )
            remedy = "Give each image a name and a mask of its own."
            faults.append(Fault("ambiguous_mask", "error", path, message, remedy))
            row = row | dict.fromkeys(MASK_COLUMNS)
        kept.append(row)
    return kept


def masks_of(row: Mapping[str, Any]) -> list[str]:
    """Absolute paths of the mask files of a reader's row."""
    named = [row.get("gt_mask_path"), *(channel["path"] for channel in row.get("mask_channels") or ())]
    return [path for path in named if path]


def leftovers(
    tree: Tree, rows: Iterable[dict[str, Any]], faults: Iterable[Fault], known: Iterable[str] = ()
) -> list[Fault]:
    """Images that no row, no fault and not `known` speaks of: they lie where the layout has none."""
    rows = list(rows)
    spoken = {row["relative_path"] for row in rows} | {fault.relative_path for fault in faults} | set(known)
    masks = {mask for row in rows for mask in masks_of(row)}
    return [
        Fault(
            "unused_image",
            "warning",
            path,
            f"{path} lies where the layout has no images; it is ignored.",
            "Move it where it belongs, or remove it.",
        )
        for path in images(tree.files)
        if absolute(tree.files[path]) not in masks
        and path not in spoken
        and not any(str(parent) in spoken for parent in PurePosixPath(path).parents)
    ]


def missing_mask(relative_path: str, looked_for: Iterable[str]) -> Fault:
    """An anomalous image without its mask."""
    return Fault(
        "missing_mask",
        "error",
        relative_path,
        f"{relative_path} is anomalous but has no mask. Looked for {' and '.join(looked_for)}.",
        'Add the mask, or label the image "unknown".',
    )


def orphan_mask(relative_path: str, looked_for: str) -> Fault:
    """A mask without its image."""
    return Fault(
        "orphan_mask",
        "warning",
        relative_path,
        f"{relative_path} is a mask without an image. Looked for {looked_for}.",
        "Add the image, rename the mask to match it, or remove the mask.",
    )
