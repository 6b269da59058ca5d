"""Measurements of pictures in one file that survives kills: what was measured once is not measured again.

One row per picture, keyed by the checksum of its pixels, so that copies and moved files share a row. Rows are
committed in batches; after a kill, at most the last batch is lost. The file may be deleted at any time.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from curate.errors import Unreadable
from curate.files import writing
from curate.images import Array, BadImage, read_stored
from curate.sqlite_files import WAIT_S, explained, is_damage, remove
from curate.tables import to_rows

Measured = Mapping[str, Any]
Item = TypeVar("Item")
KEY = "pixel_sha256"
BATCH = 256


class Cache:
    """An open file of measurements of one kind.

    Attributes:
        columns: name to SQLite type (REAL, INTEGER, TEXT, BLOB).
    """

    def __init__(self, database: sqlite3.Connection, columns: Mapping[str, str]) -> None:
        self.columns = dict(columns)
        self._database = database

    def known(self) -> set[str]:
        """Checksums of the pictures that are measured."""
        return {key for (key,) in self._database.execute(f"SELECT {KEY} FROM measured")}

    def add(self, rows: Sequence[Measured]) -> None:
        """Store rows, each with all columns and the key; they are safe when this returns.

        Raises:
            StorageFull: no space is left; what was stored before is whole.
        """
        names = [KEY, *self.columns]
        statement = f"INSERT OR REPLACE INTO measured VALUES ({', '.join('?' * len(names))})"
        with self._database:
            self._database.executemany(statement, [[row[name] for name in names] for row in rows])

    def read(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of some pictures, indexed by the key, in any order; unknown ones are left out."""
        wanted = set(keys)
        cursor = self._database.execute(f"SELECT {', '.join([KEY, *self.columns])} FROM measured")
        rows = [row for row in cursor if row[0] in wanted]
        return pd.DataFrame(rows, columns=[KEY, *self.columns]).set_index(KEY)


@contextmanager
def open_cache(path: Path, kind: str, columns: Mapping[str, str]) -> Iterator[Cache]:
    """Open the file, or make it; one that is damaged or of another kind is begun anew.

    Args:
        path: of the file; its folder is made if missing.
        kind: what determines the values: the version of the measurement and its settings.
        columns: see Cache.

    Raises:
        StorageFull: no space is left.
        Unreadable: the place may not be written.
        CurateError: another program holds the file.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(_connect(path, kind, columns)) as database:
            yield Cache(database, columns)
    except sqlite3.DatabaseError as error:
        if is_damage(error):  # it was whole when it was opened
            raise Unreadable(
                f"Unreadable: {path} is damaged ({error}). Run the command again; it makes a new one."
            ) from error
        raise explained(error, path) from error


def _connect(path: Path, kind: str, columns: Mapping[str, str]) -> sqlite3.Connection:
    wanted = f"{kind} {' '.join(columns)}"
    if path.exists() and _kind(path) != wanted:
        remove(path)
    database = sqlite3.connect(path, timeout=WAIT_S)
    typed = ", ".join(f"{name} {of_type}" for name, of_type in columns.items())
    with database:
        database.execute(f"CREATE TABLE IF NOT EXISTS measured ({KEY} TEXT PRIMARY KEY, {typed})")
        database.execute("CREATE TABLE IF NOT EXISTS kind (kind TEXT PRIMARY KEY)")
        database.execute("INSERT OR IGNORE INTO kind VALUES (?)", (wanted,))
    return database


def _kind(path: Path) -> str | None:
    """What a file holds; None when it is damaged."""
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_S)) as database:
            whole = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
            row = database.execute("SELECT kind FROM kind").fetchone()
            return str(row[0]) if whole and row else None
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return None


def pictures(
    samples: pd.DataFrame, cache: Cache, work: Callable[[Array], Item], progress: Callable[[int], None] | None
) -> Iterator[tuple[str, Item]]:
    """Decode each picture that is not measured yet, and hand on what `work` makes of its pixels.

    Decoding and `work` run in threads, a few pictures ahead of the caller. Files that cannot be read are
    passed over: the check "unreadable" reports them.

    Args:
        samples: the sample table.
        cache: what is known is not decoded.
        work: gets (H, W) or (H, W, 3), uint8 or uint16.
        progress: called with the number of samples just finished, those known before included.
    """
    from detectors.prefetch import prefetch  # needs no torch

    known = cache.known()
    distinct = samples.drop_duplicates(KEY)[[KEY, "filepath"]]
    missing = to_rows(distinct[~distinct[KEY].isin(known)])
    if progress:
        progress(len(samples) - len(missing))

    def one(row: Mapping[str, Any]) -> tuple[str, Item] | None:
        try:
            return str(row[KEY]), work(read_stored(Path(row["filepath"])))
        except BadImage:
            return None

    for done in prefetch(one, missing):
        if progress:
            progress(1)
        if done is not None:
            yield done


def store(cache: Cache, rows: Iterable[Measured]) -> None:
    """Add rows as they come, in batches; those at hand are kept when their source fails or is stopped."""
    batch: list[Measured] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) >= BATCH:
                cache.add(batch)
                batch = []
    finally:
        if batch:
            cache.add(batch)


def joined(samples: pd.DataFrame, cache: Cache) -> pd.DataFrame:
    """sample_id and the cached columns, one row per sample that is measured, in the order of the samples."""
    table = samples[["sample_id", KEY]].join(cache.read(samples[KEY]), on=KEY, how="inner")
    return table.drop(columns=KEY).reset_index(drop=True)
