"""Tells which rows of the sample table differ from what the database holds already."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.ground_truth import has_mask
from curate.store.documents import Folders
from curate.tables import batches


def unchanged(stored: Path, folders: Folders) -> Callable[[Mapping[str, Any]], bool]:
    """Tells whether a row is the same in a table that was stored before, and no file was made for it."""
    try:
        prints = {row["sample_id"]: _print(row) for rows in batches(stored) for row in rows}
    except CurateError:
        return lambda row: False

    def same(row: Mapping[str, Any]) -> bool:
        plain = not has_mask(row) and folders.view(row) == row["filepath"]
        return plain and prints.get(row["sample_id"]) == _print(row)

    return same


def _print(row: Mapping[str, Any]) -> int:
    """A number that differs for rows that differ, within one process."""
    return hash(repr(sorted(row.items())))
