"""Marks in a FiftyOne dataset: which version of each part of the workspace it holds."""

from collections.abc import Mapping

from curate.errors import Missing
from curate.store.failures import database_errors
from curate.store.loading import description, descriptions

KEY = "curate_marks"
PLACE = f"info.{KEY}"


@database_errors()
def read(dataset_name: str) -> dict[str, str]:
    """Part -> checksum of what was stored last; empty when there is no such dataset."""
    found = description(dataset_name, PLACE) or {}
    return {part: checksum for part, checksum in (found.get("info") or {}).get(KEY, [])}


@database_errors()
def write(dataset_name: str, part: str, checksum: str) -> None:
    """Note that a part is stored completely.

    Raises:
        Missing: no such dataset.
    """
    _set(dataset_name, {**read(dataset_name), part: checksum})


@database_errors()
def remove(dataset_name: str, part: str) -> None:
    """Note that a part is no longer stored.

    Raises:
        Missing: no such dataset.
    """
    _set(dataset_name, {name: held for name, held in read(dataset_name).items() if name != part})


def _set(dataset_name: str, marks: Mapping[str, str]) -> None:
    """Write the marks alone: to load and save the whole description takes twenty times as long."""
    # pairs, not a mapping: a detector's name may hold a dot, which is not allowed in a document's key
    pairs = [list(pair) for pair in sorted(marks.items())]
    if not descriptions().update_one({"name": dataset_name}, {"$set": {PLACE: pairs}}).matched_count:
        raise Missing(f'Missing: the database has no dataset "{dataset_name}".')
