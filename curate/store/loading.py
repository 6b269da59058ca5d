"""Loads FiftyOne datasets: freshly each time, or once for a command that alters one in many steps.

At each load, FiftyOne reads the whole description of a dataset, builds a class of its fields and notes the
time; with fifty fields that is tens of milliseconds, many times more than most of what is then stored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from curate.errors import CurateError, Missing
from curate.store.failures import database_errors
from curate.store.fields import fiftyone

_held: ContextVar[dict[str, Any] | None] = ContextVar("held", default=None)


@contextmanager
def loaded_once() -> Iterator[None]:
    """Within the block, load reads each dataset once.

    What others alter meanwhile in a dataset's description is not seen, but stays: only what is set here is
    saved. Samples are always as they are in the database.
    """
    token = _held.set({})
    try:
        yield
    finally:
        _held.reset(token)


def description(dataset_name: str, *fields: str) -> dict[str, Any] | None:
    """Some fields of a dataset's description as it is stored, without loading it; None: there is none."""
    found: dict[str, Any] | None = descriptions().find_one({"name": dataset_name}, dict.fromkeys(fields, 1))
    return found


def descriptions() -> Any:
    """The collection that describes all datasets."""
    return fiftyone("core.odm").get_db_conn()["datasets"]


@database_errors()
def exists(dataset_name: str) -> bool:
    """Whether the database has a dataset of this name."""
    return description(dataset_name, "_id") is not None


@database_errors()
def load(dataset_name: str, fresh: bool = False) -> Any:
    """The FiftyOne dataset of this name, freshly read unless within loaded_once.

    Args:
        fresh: read it again in any case.

    Raises:
        Missing: there is none; the message lists those there are.
    """
    held = _held.get()
    if held is not None and dataset_name in held and not fresh:
        return held[dataset_name]
    fo = fiftyone()
    if not exists(dataset_name):
        known = ", ".join(fo.list_datasets()) or "none yet"
        raise Missing(f'Missing: the database has no dataset "{dataset_name}" (it has: {known}).')
    return _kept(dataset_name, fo.load_dataset(dataset_name, reload=True))


@database_errors()
def load_or_make(dataset_name: str) -> Any:
    """Load a dataset, or make an empty one that stays.

    Raises:
        CurateError: the name is taken by a similar one.
    """
    if exists(dataset_name):
        return load(dataset_name)
    try:
        return _kept(dataset_name, fiftyone().Dataset(dataset_name, persistent=True))
    except ValueError as error:
        raise CurateError(
            f'CurateError: the dataset cannot be called "{dataset_name}" ({error}). '
            "Names that differ only in capitals or punctuation share one address in the App: choose another."
        ) from error


def _kept(dataset_name: str, dataset: Any) -> Any:
    if (held := _held.get()) is not None:
        held[dataset_name] = dataset
    return dataset


def touch(dataset: Any) -> None:
    """Tell FiftyOne's caches, and the objects of samples in this process, that the samples changed."""
    descriptions().update_one({"_id": dataset._doc.id}, {"$set": {"last_modified_at": datetime.now(UTC)}})
    dataset._reload_docs()
