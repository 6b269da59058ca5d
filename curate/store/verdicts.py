"""Human verdicts in the database: a log that only grows, fields on the samples, and a mirror file.

The log is what counts. Fields and mirror follow from it, and `reconcile` mends them after a crash; it also
brings verdicts back from the mirror when the database was lost. Whoever alters them holds alone.alone.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from curate.drawn_types import known_values
from curate.opinions import newest_standing
from curate.schema import check_rows, load
from curate.store.alone import alone
from curate.store.documents import object_id, verdict_document
from curate.store.failures import database_errors
from curate.store.fields import declare, fiftyone, is_declared
from curate.store.loading import description
from curate.store.loading import load as load_dataset
from curate.tables import from_rows, to_rows
from curate.truth import classes_of
from curate.verdicts import EXTRA, HELD, Row, append_mirror, fields, key, labelled, read_mirror, standing
from curate.workspace import DatasetPaths

LOG = "curate_verdicts"
COLUMNS = ["sample_id", "sha256", *HELD]
DUPLICATE_KEY = 11000
CHUNK = 200


_indexed: set[tuple[str, str]] = set()  # databases whose log has its indexes


def _log() -> Any:
    from pymongo import IndexModel

    database = fiftyone("core.odm").get_db_conn()
    log, place = database[LOG], (os.environ["FIFTYONE_DATABASE_URI"], database.name)
    if place not in _indexed:  # asked for at each decision, they were a third of what it asks
        alone_ones = IndexModel([("dataset", 1), ("sample_id", 1), ("at", 1)], unique=True)
        walked = [IndexModel([("dataset", 1), *fields, ("at", 1)]) for fields in ((), (("by", 1),))]
        log.create_indexes([alone_ones, *walked])
        _indexed.add(place)
    return log


@database_errors()
def read_log(dataset_name: str, sample_ids: Sequence[str] | None = None) -> list[Row]:
    """Every verdict ever given in a dataset, or on some of its samples, oldest first."""
    where = {} if sample_ids is None else {"sample_id": {"$in": list(sample_ids)}}
    return _rows({"dataset": dataset_name, **where})


def _rows(where: Row) -> list[Row]:
    columns = load("verdict")["properties"]
    found = _log().find(where).sort("at", 1)
    return [{name: row[name] for name in columns if name in row} for row in found]


@database_errors()
def situation(dataset_name: str, sample_ids: Sequence[str]) -> pd.DataFrame:
    """What a triage operator gets to see: sample_id, sha256, and what holds: HELD."""
    collection = collection_of(dataset_name)
    found = {row["sample_id"]: row for row in collection.find({"sample_id": {"$in": list(sample_ids)}})}
    rows = [found[sample_id] for sample_id in sample_ids if sample_id in found]
    return from_rows([{**row, "mask": row.get("verdict_mask")} for row in rows], COLUMNS)


@database_errors()
def now_after(dataset_name: str) -> str:
    """The present time, ISO 8601 in UTC, but always later than the dataset's last verdict."""
    last = _log().find_one({"dataset": dataset_name}, sort=[("at", -1)])
    now = datetime.now(UTC)
    if last is not None:
        now = max(now, datetime.fromisoformat(last["at"]) + timedelta(microseconds=1))
    return now.isoformat(timespec="microseconds")


def store(dataset_name: str, decided: pd.DataFrame, mirror: Path) -> int:
    """Add verdicts while nobody else does; see add."""
    with alone(mirror):
        return add(dataset_name, decided, mirror)


@database_errors()
def add(dataset_name: str, decided: pd.DataFrame, mirror: Path) -> int:
    """Add verdicts to the log, then to the mirror, then to the samples' fields; the caller holds alone.alone.

    Args:
        decided: what a triage operator returned, after data_schemas/verdict.json.
        mirror: the dataset's verdicts.jsonl.

    Returns:
        Number of verdicts stored.

    Raises:
        SchemaViolation: a row breaks the contract; nothing is stored.
        DatabaseDown: the database stopped; what was stored counts.
    """
    rows = to_rows(decided)
    check_rows(rows, "verdict")
    if not rows:
        return 0
    _log().insert_many([{**row, "dataset": dataset_name} for row in rows])
    append_mirror(mirror, rows)
    _set_fields(dataset_name, {row["sample_id"] for row in rows}, mirror)
    return len(rows)


@database_errors()
def with_after(dataset_name: str, decided: pd.DataFrame) -> pd.DataFrame:
    """Verdicts with what will hold from them on, in the column `after`; the caller holds alone.alone."""
    rows = to_rows(decided)
    concerned = [row["sample_id"] for row in rows]
    wanted = {"sample_id": 1, "sha256": 1, "ground_truth": 1}
    found = collection_of(dataset_name).find({"sample_id": {"$in": concerned}}, wanted)
    documents = {row["sample_id"]: row for row in found}
    checksums = {name: row["sha256"] for name, row in documents.items()}
    log = _rows({"dataset": dataset_name, "sample_id": {"$in": concerned}})
    held = standing([*log, *rows], checksums)
    for row in rows:
        truth = documents[row["sample_id"]]["ground_truth"]
        now = held.get(row["sample_id"])
        label, defect_types = labelled(truth["label"], list(truth["defect_types"]), now)
        of_person = fields(now) if now else dict.fromkeys(EXTRA)
        row["after"] = dict(
            zip(HELD, (label, defect_types, of_person["verdict"], of_person["verdict_mask"]), strict=True)
        )
    return from_rows(rows, list(load("verdict")["properties"]))


@database_errors()
def last_decided(dataset_name: str, by: str) -> list[str]:
    """Samples of the last decision of a person that still holds, in one or many images; or an empty list.

    Reads back from the newest verdict of the person, and no further than to the answer.
    """
    newest_first = _log().find({"dataset": dataset_name, "by": by}).sort("at", -1)
    return [row["sample_id"] for row in newest_standing(_of_now(dataset_name, newest_first))]


def _of_now(dataset_name: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Those verdicts that are about the pictures as they are now, in the same order; read in chunks."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        concerned = {"sample_id": {"$in": list({row["sample_id"] for row in chunk})}}
        checksums = _checksums(dataset_name, concerned)
        yield from (row for row in chunk if checksums.get(row["sample_id"]) == row["sha256"])


@database_errors()
def with_own(dataset_name: str, sample_ids: Sequence[str], by: str) -> list[str]:
    """Those of some samples on which a verdict of this person stands."""
    concerned = {"sample_id": {"$in": list(sample_ids)}}
    checksums = _checksums(dataset_name, concerned)
    held = standing(_rows({"dataset": dataset_name, "by": by, **concerned}), checksums)
    return [sample_id for sample_id in sample_ids if sample_id in held]


@database_errors()
def reconcile(dataset_name: str, mirror: Path) -> None:
    """Bring log, mirror and sample fields together again, whatever was cut off where.

    A dataset that an earlier version of curate stored gets the fields that it lacks.

    Raises:
        Unreadable: the mirror holds what is no verdict; nothing is changed.
    """
    with alone(mirror):
        concerned = _exchange(dataset_name, mirror)
        held = description(dataset_name, "sample_fields", "mask_targets")
        if held is not None and not is_declared(held):
            declare(load_dataset(dataset_name))
        _set_fields(dataset_name, concerned, mirror)


@database_errors()
def exchange(dataset_name: str, mirror: Path) -> None:
    """Bring log and mirror together again; see reconcile. There need be no dataset yet."""
    with alone(mirror):
        _exchange(dataset_name, mirror)


def _exchange(dataset_name: str, mirror: Path) -> set[str]:
    """See exchange; returns the samples with verdicts."""
    in_log, in_mirror = read_log(dataset_name), read_mirror(mirror)
    known, mirrored = set(map(key, in_log)), set(map(key, in_mirror))
    lost = [row for row in in_mirror if key(row) not in known]
    _bring_back(dataset_name, lost)
    append_mirror(mirror, [row for row in in_log if key(row) not in mirrored])
    return {row["sample_id"] for row in (*in_log, *lost)}


def values_in_use(dataset_name: str) -> dict[str, int]:
    """The values that defect types have in the masks that people drew; see curate.drawn_types."""
    return known_values(_rows({"dataset": dataset_name, "mask_classes": {"$ne": None}}))


def _bring_back(dataset_name: str, rows: Sequence[Row]) -> None:
    """Add verdicts to the log; those that it has already stay as they are."""
    from pymongo.errors import BulkWriteError

    if not rows:
        return
    try:
        _log().insert_many([{**row, "dataset": dataset_name} for row in rows], ordered=False)
    except BulkWriteError as error:
        if any(failed["code"] != DUPLICATE_KEY for failed in error.details["writeErrors"]):
            raise


def collection_of(dataset_name: str) -> Any:
    """Where the documents of a dataset's samples lie; loading the dataset would take most of a key's time."""
    database = fiftyone("core.odm").get_db_conn()
    found = database["datasets"].find_one({"name": dataset_name}, {"sample_collection_name": 1})
    if found is None:
        return fiftyone().load_dataset(dataset_name)._sample_collection  # says that there is none
    return database[found["sample_collection_name"]]


def _checksums(dataset_name: str, where: Row) -> dict[str, str]:
    """sample_id -> sha256 of the samples that meet a condition."""
    found = collection_of(dataset_name).find(where, {"sample_id": 1, "sha256": 1})
    return {row["sample_id"]: row["sha256"] for row in found}


def _set_fields(dataset_name: str, sample_ids: Iterable[str], mirror: Path) -> None:
    """Make label, defect types, mask and verdict fields of some samples follow from the log."""
    from pymongo import UpdateOne

    wanted = list(sample_ids)
    if not wanted:
        return
    checksums = _checksums(dataset_name, {"sample_id": {"$in": wanted}})
    # not the whole log: a decision must cost the same after ten thousand others
    held = standing(_rows({"dataset": dataset_name, "sample_id": {"$in": wanted}}), checksums)
    collection = collection_of(dataset_name)
    folders = DatasetPaths(mirror.parent)
    now = datetime.now(UTC)
    updates = []
    for sample in collection.find({"sample_id": {"$in": wanted}}, {"sample_id": 1, "ground_truth": 1}):
        sample_id, truth = sample["sample_id"], sample["ground_truth"]
        made = folders.masks / f"{sample_id}.png"
        source = {"sample_id": sample_id, **{name: truth[name] for name in ("label", "defect_types")}}
        known = made if made.exists() else None
        changed = verdict_document(source, held.get(sample_id), known, folders.drawn_masks)
        updates.append(
            UpdateOne({"_id": object_id(sample_id, "sample")}, {"$set": changed | {"last_modified_at": now}})
        )
    if updates:
        collection.bulk_write(updates, ordered=False)
    _name_values(dataset_name, [row for one in held.values() for row in classes_of(one)])


def _name_values(dataset_name: str, classes: Sequence[Mapping[str, Any]]) -> None:
    """Tell the App what the values of masks stand for; one that it is not told of it does not show."""
    named = {
        f"mask_targets.gt_mask.{each['value']}": each["defect_type"]
        for each in classes
        if each["defect_type"] is not None
    }
    if named:
        database = fiftyone("core.odm").get_db_conn()
        database["datasets"].update_one({"name": dataset_name}, {"$set": named})
