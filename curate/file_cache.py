"""Remembers what was found in files, so that an unchanged file need not be read again.

One SQLite file per dataset. A file counts as unchanged while its size and its time are the same. What was
found is stored as the work goes on: a killed run begins where it stopped.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from curate.errors import StorageFull
from curate.files import fingerprint

VERSION = 1  # of what is stored; another one makes everything be read again
COMMIT_S = 2.0
AT_ONCE = 500

Facts = dict[str, Any]


def state(path: Path | str) -> str:
    """Size and time of a file, links followed, as one text; "absent" when it cannot be looked at."""
    try:
        found = os.stat(path)  # noqa: PTH116 - names may not be valid text
    except (OSError, ValueError):
        return "absent"
    return f"{found.st_size} {found.st_mtime_ns}"


def state_of_all(paths: Iterable[Path | str], *further: Any) -> str:
    """One text for the states of several files and anything else that shapes what is found in them."""
    return fingerprint([[str(path), state(path)] for path in paths] + list(further))


class FileCache:
    """Facts by key and state; use it in a `with` block.

    Args:
        path: the SQLite file, made when missing; one that is damaged is thrown away. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._new: list[tuple[str, str, str]] = []
        self._committed = time.monotonic()
        self._database = _opened(path) if path is not None else None

    def known(self, wanted: Mapping[str, str]) -> dict[str, Facts]:
        """Facts of those keys whose state is the same as when they were found.

        Args:
            wanted: key -> state now.
        """
        if self._database is None:
            return {}
        found: dict[str, Facts] = {}
        keys = list(wanted)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._database.execute(f"SELECT key, state, facts FROM files WHERE key IN ({marks})", part)
            found |= {key: json.loads(facts) for key, held, facts in rows if held == wanted[key]}
        return found

    def put(self, key: str, held: str, facts: Facts) -> None:
        """Remember what was found; it is on the disk after COMMIT_S seconds, or when the cache is closed."""
        if self._database is None:
            return
        self._new.append((key, held, json.dumps(facts, ensure_ascii=False)))
        if time.monotonic() - self._committed > COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Write what is new to the disk.

        Raises:
            StorageFull: no space is left; what was written before is kept.
        """
        if self._database is None:
            return
        try:
            with self._database:
                self._database.executemany("REPLACE INTO files VALUES (?, ?, ?)", self._new)
        except sqlite3.OperationalError as error:
            raise StorageFull(
                f"StorageFull: {self._path} cannot be written ({error}). What was finished before is kept. "
                "Free some space, or choose another workspace with --home, and run the command again."
            ) from error
        self._new.clear()
        self._committed = time.monotonic()

    def forget(self, keys: Iterable[str]) -> None:
        """Drop what is known under some keys, of files that have vanished."""
        if self._database is not None:
            self.commit()
            with self._database:
                self._database.executemany("DELETE FROM files WHERE key = ?", ((key,) for key in keys))

    def __enter__(self) -> "FileCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            if not isinstance(error, StorageFull):
                self.commit()
            self._database.close()


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connected(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            database.execute("DROP TABLE IF EXISTS files")
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute(
            "CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, state TEXT, facts TEXT) WITHOUT ROWID"
        )
        database.commit()
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
