"""Rows of the sample table: what a reader says, joined with what was found in the image."""

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from curate.ground_truth import DEFAULT_RULE
from curate.masks import limits

Row = dict[str, Any]
PAGE = "#page="
FOUND = ("sha256", "pixel_sha256", "size_bytes", "width", "height", "bit_depth", "channels")
TRUTH = (
    "gt_mask_path", "mask_channels", "shapes", "mask_kind", "mask_quality", "mask_classes", "mask_rule",
    "boxes",
)  # fmt: skip


def sample_id(source: str, relative_path: str) -> str:
    """16 hex digits that depend on the source's name and the relative path only.

    >>> sample_id("line 3", "normal/004.png")
    '0f3ee641389e2780'
    """
    posix = unicodedata.normalize("NFC", relative_path.replace("\\", "/"))
    return hashlib.sha256(f"{source}\n{posix}".encode()).hexdigest()[:16]


def page_path(relative_path: str, number: int) -> str:
    """Relative path of a further page of a file.

    >>> page_path("normal/stack.tif", 2)
    'normal/stack.tif#page=2'
    """
    return f"{relative_path}{PAGE}{number}"


def complete(row: Row, facts: Mapping[str, Any], source: str) -> Row:
    """A row of the sample table from a reader's row and the facts of its image."""
    path = row["relative_path"]
    return {
        **row,
        "sample_id": sample_id(source, path),
        "source": source,
        "part_id": row["part_id"] or f"{source}/{path}",
        "page": row.get("page"),
        "um_per_px": None if row["um_per_px"] is None else float(row["um_per_px"]),
        **{name: facts[name] for name in FOUND},
    }


def further_page(first: Row, page: Mapping[str, Any], source: str) -> Row:
    """The row of a further page of a file; the pages of one file are one part.

    Args:
        first: the complete row of the first page. Where it is not normal, nobody has said what the others
            are.
        page: facts of the page's own file, with `number` and `filepath`.
    """
    path = page_path(first["relative_path"], page["number"])
    unsaid: Row = dict.fromkeys(TRUTH)
    if first["label"] != "normal":
        unsaid |= {"label": "unknown", "defect_types": []}
    placed = {"relative_path": path, "filepath": page["filepath"], "page": page["number"]}
    return complete(first | unsaid | placed, page, source)


def classes(row: Row, found: Mapping[int, int]) -> list[Row] | None:
    """Classes of a mask with their pixels: those that the source names, and any other that was found.

    Args:
        found: value of the mask files -> pixels in this image.
    """
    if row["mask_kind"] != "classes":
        return None
    low, high = limits(row["mask_rule"] or DEFAULT_RULE)
    found = {value: n for value, n in found.items() if low <= value <= high}  # the others are no class
    named = {entry["value"]: entry["defect_type"] for entry in row["mask_classes"] or ()}
    return [
        {"value": value, "defect_type": named.get(value), "area_px": found.get(value, 0)}
        for value in sorted({*named, *found})
    ]
