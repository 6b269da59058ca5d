"""The sample table, splits, predictions and findings as a FiftyOne dataset."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from curate import verdicts
from curate.schema import load as contract
from curate.store.differences import unchanged
from curate.store.documents import Folders, first_document, object_id, sample_document, sample_row
from curate.store.failures import database_errors
from curate.store.fields import declare, declare_indexes, judgements, offer_copies
from curate.store.loading import exists, load, load_or_make, touch
from curate.store.verdicts import read_log
from curate.tables import batches, from_rows, to_rows
from curate.workspace import Workspace

__all__ = [
    "BATCH", "Progress", "Saved", "count", "exists", "load", "read_samples", "save_findings", "save_samples",
    "save_split", "update",
]  # fmt: skip

BATCH = 1000
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Saved:
    """What saving a table did.

    Attributes:
        n_new: samples that were not there.
        n_known: samples that were there and were brought up to date.
        vanished: ids of samples in the dataset that the table does not have.
        removed: whether the vanished ones were removed.
    """

    n_new: int
    n_known: int
    vanished: tuple[str, ...]
    removed: bool


def _silent(n: int) -> None:
    """Report no progress."""


@database_errors()
def save_samples(
    dataset_name: str,
    table: pd.DataFrame | Path,
    masks_folder: Path | None = None,
    *,
    media_folder: Path | None = None,
    drawn_folder: Path | None = None,
    stored: Path | None = None,
    remove_vanished: bool = False,
    progress: Progress = _silent,
) -> Saved:
    """Bring a dataset up to date with a sample table; may be killed and run again at any time.

    Splits and detector fields of samples that were there stay as they are; where the image is another one
    than before, detector fields are emptied and verdicts no longer hold.

    Args:
        dataset_name: made when it does not exist.
        table: after data_schemas/sample.json, one row per image; or its Parquet file, which is then read in
            batches.
        masks_folder: canonical masks, <sample_id>.png.
        media_folder: copies for the browser, <sample_id>-<checksum>.<suffix>.
        drawn_folder: masks that people accepted or drew; those that verdicts name are shown instead.
        stored: the Parquet file that the dataset holds now; rows that are the same in both are left alone.
        remove_vanished: also remove samples that the table lacks.
        progress: told the number of rows written.

    Raises:
        CurateError: the name is taken by a similar one.
        DatabaseDown: the database stopped; what was acknowledged is kept.
    """
    dataset = load_or_make(dataset_name)
    declare(dataset)
    collection = dataset._sample_collection
    folders = Folders(masks_folder, media_folder, drawn_folder)
    checksums = {row["sample_id"]: row["sha256"] for rows in _rows(table) for row in rows}
    held = verdicts.standing(read_log(dataset_name), checksums)
    outdated = dict.fromkeys(judgements(dataset))
    now = datetime.now(UTC)
    before = _ids(collection)
    same = unchanged(stored, folders) if stored is not None and before else None
    for rows in _rows(table):
        changed = [row for row in rows if same is None or not (same(row) and row["sample_id"] in before)]
        documents = []
        replaced = _replaced(collection, changed) if before else set()
        for row in changed:
            document = sample_document(row, folders, held.get(row["sample_id"]))
            if row["sample_id"] in replaced:
                document |= outdated
            document["last_modified_at"] = now
            documents.append((row["sample_id"], document, first_document(row, dataset._doc.id, now)))
        _write(collection, documents, new=not before)
        progress(len(rows))
    declare_indexes(dataset)
    vanished = tuple(sorted(before - checksums.keys()))
    if remove_vanished:
        for ids in _batches(list(vanished)):
            collection.delete_many({"sample_id": {"$in": ids}})
    offer_copies(dataset)
    touch(dataset)
    n_new = len(checksums.keys() - before)
    return Saved(n_new, len(checksums) - n_new, vanished, remove_vanished)


def _rows(table: pd.DataFrame | Path) -> Iterator[list[Any]]:
    yield from batches(table, BATCH) if isinstance(table, Path) else _batches(to_rows(table))


def _replaced(collection: Any, rows: list[Any]) -> set[str]:
    """Those samples whose image is another one than the stored."""
    known = collection.find(
        {"sample_id": {"$in": [row["sample_id"] for row in rows]}}, {"sample_id": 1, "sha256": 1}
    )
    before = {row["sample_id"]: row["sha256"] for row in known}
    return {row["sample_id"] for row in rows if before.get(row["sample_id"], row["sha256"]) != row["sha256"]}


def _ids(collection: Any) -> set[str]:
    return {row["sample_id"] for row in collection.find({}, {"sample_id": 1, "_id": 0})}


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _write(collection: Any, documents: list[tuple[str, dict[str, Any], dict[str, Any]]], new: bool) -> None:
    """Insert documents, or update those that are there.

    Args:
        new: nothing is there yet. Inserting is faster; a second run after a kill finds something and updates.
    """
    from pymongo import InsertOne, UpdateOne

    operations: list[Any] = [
        InsertOne({"_id": object_id(known, "sample"), **always, **once})
        if new
        else UpdateOne(
            {"_id": object_id(known, "sample")}, {"$set": always, "$setOnInsert": once}, upsert=True
        )
        for known, always, once in documents
    ]
    if operations:
        collection.bulk_write(operations, ordered=False)


@database_errors()
def update(dataset_name: str, changes: Mapping[str, Mapping[str, Any]], progress: Progress = _silent) -> int:
    """Set fields of known samples in bulk.

    Args:
        changes: sample_id -> field -> value as stored.

    Returns:
        How many of the samples the dataset has.
    """
    from pymongo import UpdateOne

    dataset = load(dataset_name)
    now = datetime.now(UTC)
    n_found = 0
    for batch in _batches(list(changes.items())):
        operations = [
            UpdateOne({"_id": object_id(sample_id, "sample")}, {"$set": {**fields, "last_modified_at": now}})
            for sample_id, fields in batch
        ]
        n_found += dataset._sample_collection.bulk_write(operations, ordered=False).matched_count
        progress(len(batch))
    touch(dataset)
    return n_found


def save_split(dataset_name: str, split: pd.DataFrame) -> int:
    """Store the assigned split; samples that the table lacks lose theirs.

    Args:
        split: columns sample_id and assigned_split (train | calibration | test).

    Returns:
        Number of samples that have a split now.
    """
    assigned = {row["sample_id"]: {"assigned_split": row["assigned_split"]} for row in to_rows(split)}
    _clear_others(dataset_name, "assigned_split", assigned, None)
    return update(dataset_name, assigned)


def save_findings(dataset_name: str, findings: pd.DataFrame, ids: Mapping[str, str]) -> int:
    """Store which quality checks complain about which image, as a list of their codes.

    Args:
        findings: columns code and relative_path, and related (other files of the same fault) if there is one.
        ids: sample ids by path, as the findings have it.

    Returns:
        Number of samples that have findings now.
    """
    codes: dict[str, set[str]] = {}
    for row in to_rows(findings):
        for path in (row["relative_path"], *(row.get("related") or ())):
            if path in ids:
                codes.setdefault(ids[path], set()).add(row["code"])
    changes = {sample_id: {"findings": sorted(found)} for sample_id, found in codes.items()}
    _clear_others(dataset_name, "findings", changes, [])
    return update(dataset_name, changes)


@database_errors()
def _clear_others(dataset_name: str, field: str, kept: Mapping[str, Any], empty: Any) -> None:
    collection = load(dataset_name)._sample_collection
    stale = _ids(collection) - set(kept)
    for batch in _batches(sorted(stale)):
        collection.update_many({"sample_id": {"$in": batch}}, {"$set": {field: empty}})


@database_errors()
def read_samples(dataset_name: str) -> pd.DataFrame:
    """The sample table out of the database, with the verdicts applied.

    Returns:
        Columns of data_schemas/sample.json, assigned_split, verdict, verdict_defect_type, verdict_by and
        verdict_at; sorted by source and relative path.

    Raises:
        Missing: no such dataset.
    """
    documents = load(dataset_name)._sample_collection.find({})
    rows = sorted(map(sample_row, documents), key=lambda row: (row["source"], row["relative_path"]))
    table = from_rows(rows, [*contract("sample")["properties"], "assigned_split"])
    drawn = Workspace.at().dataset(dataset_name).drawn_masks
    return verdicts.apply(table, read_log(dataset_name), drawn)


@database_errors()
def count(dataset_name: str) -> int:
    """Number of samples, truly counted (FiftyOne's len() trusts a figure that a crash can spoil)."""
    return int(load(dataset_name)._sample_collection.count_documents({}))
