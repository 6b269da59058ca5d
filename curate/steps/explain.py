"""Step: tells what taking in a source would do, from its reader's rows; decodes nothing, stores nothing."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

from curate import tables
from curate.errors import CurateError
from curate.recipe import Source
from curate.steps import sources
from curate.workspace import DatasetPaths

NAMED = 5
COMPARED = ("relative_path", "size_bytes", "page", "label", "category")
Row = dict[str, Any]


def run(source: Source, paths: DatasetPaths) -> Row:
    """Read the layout of a source and compare it with what the dataset holds of it.

    Args:
        paths: the dataset, which need not exist.

    Returns:
        path, source, format, not_taken (format -> why not; empty when the format was told), options (given,
        or set by a file beside the images), columns (one entry per table: table, used, unused), n_images,
        size_bytes, categories, labels, splits and defect_types (name -> images), n_parts, n_with (masks,
        shapes, boxes -> images), change (see _compared), faults (rows of dicts), n_errors.

    Raises:
        Missing, Unreadable: the source is no folder that can be read, or a table of it cannot.
        DataFault: no format matches.
        ValueError: unknown format or option.
    """
    from curate.faults import in_order, to_rows
    from curate.formats import recognise
    from curate.ingest import read_source

    format_name = source.format
    not_taken: dict[str, list[str]] = {}
    if format_name == "auto":
        format_name, not_taken = recognise(source.path)
    name = source.name or format_name
    reading = read_source(source.path, format_name, name, source.reader_options)
    rows = tables.to_rows(reading.table.drop(columns=["citation", "licence"]))
    states = [_state(row["filepath"]) for row in rows]
    faults = to_rows(in_order(reading.faults))
    return {
        "path": str(source.path),
        "source": name,
        "format": format_name,
        "not_taken": not_taken,
        "options": reading.table.attrs.get("options", source.reader_options),
        "columns": reading.table.attrs.get("columns", []),
        "n_images": len(rows),
        "size_bytes": sum(size for size, _ in states),
        "categories": _counted(row["category"] for row in rows),
        "labels": _counted(row["label"] for row in rows),
        "splits": _counted(row["split"] or "none" for row in rows),
        "defect_types": _counted(kind for row in rows for kind in row["defect_types"]),
        "n_parts": len({row["part_id"] or row["relative_path"] for row in rows}),
        "n_with": {
            "masks": sum(bool(row["gt_mask_path"] or row["mask_channels"]) for row in rows),
            "shapes": sum(bool(row["shapes"]) for row in rows),
            "boxes": sum(bool(row["boxes"]) for row in rows),
        },
        "change": _compared(rows, states, paths, name),
        "faults": faults,
        "n_errors": sum(fault["severity"] == "error" for fault in faults),
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _state(path: str) -> tuple[int, float]:
    """Size in bytes and time of a file; zero where it cannot be looked at."""
    try:
        found = os.stat(path)  # noqa: PTH116 - names may not be valid text
    except OSError:
        return 0, 0.0
    return found.st_size, found.st_mtime


def _compared(rows: list[Row], states: list[tuple[int, float]], paths: DatasetPaths, name: str) -> Row:
    """What would change in the dataset.

    Returns:
        stored (whether the dataset holds this source) and, for new, changed, relabelled and vanished, the
        number n_<kind> and the first names. Changed is a file of another size, or written after the source
        was taken in last; relabelled one whose label or category is another now.
    """
    table = sources.table(paths, name)
    held: dict[str, Row] = {}
    taken_at = 0.0
    try:
        taken_at = table.stat().st_mtime
        for batch in tables.batches(table, columns=list(COMPARED)):
            held |= {row["relative_path"]: row for row in batch if row["page"] in (None, 1)}
    except (OSError, CurateError):
        held = {}
    kinds: dict[str, list[str]] = {"new": [], "changed": [], "relabelled": [], "vanished": []}
    for row, (size_bytes, written_at) in zip(rows, states, strict=True):
        path = row["relative_path"]
        before = held.pop(path, None)
        if before is None:
            kinds["new"].append(path)
            continue
        if before["size_bytes"] != size_bytes or written_at > taken_at:
            kinds["changed"].append(path)
        if (before["label"], before["category"]) != (row["label"], row["category"]):
            kinds["relabelled"].append(path)
    kinds["vanished"] = sorted(held)
    counts = {f"n_{kind}": len(found) for kind, found in kinds.items()}
    return {"stored": taken_at > 0, **counts, **{kind: found[:NAMED] for kind, found in kinds.items()}}
