"""Remembers what was found in files, so that an unchanged file need not be read again.

One SQLite file per dataset. A file counts as unchanged while its size and its time are the same. What was
found is stored as the work goes on: a killed run begins where it stopped.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from curate.files import fingerprint
from curate.sqlite_files import WAIT_S, explained, is_damage, remove

VERSION = 1  # of what is stored; another one makes everything be read again
COMMIT_S = 2.0
AT_ONCE = 500

Facts = dict[str, Any]
_to_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each
Answer = TypeVar("Answer")


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
        path: the SQLite file, made when missing; one that proves damaged is thrown away. None keeps nothing.

    Raises:
        StorageFull: the file cannot be made or written; what was written before is kept.
        CurateError: another program holds the file. Every method raises both.
    """

    def __init__(self, path: Path | None) -> None:
        self._new: list[tuple[str, str, str]] = []
        self._committed = time.monotonic()
        self._file = _File(path) if path is not None else None

    def known(self, wanted: Mapping[str, str]) -> dict[str, Facts]:
        """Facts of those keys whose state is the same as when they were found.

        Args:
            wanted: key -> state now.
        """
        if self._file is None:
            return {}
        found: dict[str, Facts] = {}
        keys = list(wanted)
        for start in range(0, len(keys), AT_ONCE):
            for key, held, facts in self._file.rows(keys[start : start + AT_ONCE]):
                with suppress(ValueError):  # a text that is not JSON is as good as none
                    found |= {key: json.loads(facts)} if held == wanted[key] else {}
        return found

    def put(self, key: str, held: str, facts: Facts) -> None:
        """Remember what was found; it is on the disk after COMMIT_S seconds, or when the cache is closed."""
        if self._file is None:
            return
        self._new.append((key, held, _to_json(facts)))
        if time.monotonic() - self._committed > COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Write what is new to the disk."""
        if self._file is not None:
            self._file.write("REPLACE INTO files VALUES (?, ?, ?)", self._new)
        self._new.clear()
        self._committed = time.monotonic()

    def forget(self, keys: Iterable[str]) -> None:
        """Drop what is known under some keys, of files that have vanished."""
        if self._file is not None:
            self.commit()
            self._file.write("DELETE FROM files WHERE key = ?", [(key,) for key in keys])

    def __enter__(self) -> "FileCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            if not self._file.failed:
                self.commit()
            self._file.database.close()


class _File:
    """The SQLite file; begun anew when it proves damaged.

    Attributes:
        database: the open connection.
        failed: whether it could not be written, so that trying again leads nowhere.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.failed = False
        self.database = self._opened()

    def rows(self, keys: list[str]) -> list[tuple[str, str, str]]:
        """Key, state and facts of those keys that are there."""
        question = f"SELECT key, state, facts FROM files WHERE key IN ({','.join('?' * len(keys))})"
        return self._do(lambda: self.database.execute(question, keys).fetchall())

    def write(self, statement: str, rows: list[Any]) -> None:
        """Run a statement for each row, all or none."""

        def work() -> None:
            with self.database:
                self.database.executemany(statement, rows)

        self._do(work)

    def _do(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                self.failed = True
                raise explained(error, self._path) from error
        self.database.close()
        remove(self._path)
        self.database = self._opened()
        return work()

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connected(self._path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise explained(error, self._path) from error
        remove(self._path)
        return _connected(self._path)


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=WAIT_S)
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
