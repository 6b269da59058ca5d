"""What an error of a SQLite file means: that it can be begun anew, or that somebody has to do something."""

import sqlite3
from pathlib import Path

from curate.errors import CurateError, StorageFull

WAIT_S = 30.0  # for another program that writes the file
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGE = (
    sqlite3.SQLITE_ERROR,  # tables or columns that are not there
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_NOTADB,
)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is of no use any more, so that a new one may take its place."""
    return _code(error) in DAMAGE


def explained(error: sqlite3.Error, path: Path) -> CurateError:
    """An error that is no damage, in words: StorageFull, or that another program holds the file."""
    if _code(error) in BUSY:
        return CurateError(
            f"CurateError: {path} is held by another program ({error}). "
            f"Find it with `fuser {path}`, end it, and run the command again."
        )
    return StorageFull(
        f"StorageFull: {path} cannot be written ({error}). What was finished before is kept. "
        "Free some space, or choose another workspace with --home, and run the command again."
    )


def remove(path: Path) -> None:
    """Remove the file with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _code(error: sqlite3.Error) -> int:
    """The error's primary code; Python's own errors about what it found in a file have none."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
