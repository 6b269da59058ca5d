"""Turns what the database driver raises into messages that say what to do."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.errors import CurateError, DatabaseDown, StorageFull

AGAIN = "Run the command again: what was stored is kept."
NO_SPACE = ("No space left", "ENOSPC", "OutOfDiskSpace", "Disk quota")
LINES = 3


def log_tail(home: Path) -> str:
    """The last complaints of a workspace's mongod in plain words; empty when it made none."""
    try:
        lines = (home / "run" / "mongod.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    complaints = [text for line in lines if (text := _complaint(line))]
    chosen = complaints[-LINES:] or [line[:300] for line in lines if not line.startswith("{")][-LINES:]
    return "\n".join(f"  mongod: {text}" for text in chosen)


def _complaint(line: str) -> str:
    """Message and details of a log line that tells of an error; empty for any other."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return ""
    if entry.get("s") not in ("E", "F"):
        return ""
    details = entry.get("attr", {})
    told = details.get("error") or details.get("message") or details.get("reason") or ""
    return f"{entry.get('msg', '')}: {told}"[:300].rstrip(": ")


def explain(error: BaseException, home: Path | None = None) -> CurateError:
    """A driver's error as DatabaseDown, or as StorageFull where the disk was full.

    Args:
        error: from pymongo.
        home: the workspace whose log is read; the one in use when left out.
    """
    from pymongo.errors import ConnectionFailure

    home = home or Path(os.environ.get("CURATE_HOME", ""))
    tail = "" if "CURATE_DATABASE_URI" in os.environ else log_tail(home)
    if any(sign in tail or sign in str(error) for sign in NO_SPACE):
        return StorageFull(f"StorageFull: the database has no space left in {home}. Free some space. {AGAIN}")
    if isinstance(error, ConnectionFailure | ConnectionError):  # the second is FiftyOne's own
        what = "the database stopped during the work, or does not answer"
    else:
        what = f"the database refused an operation ({str(error)[:300]})"
    return DatabaseDown(f"DatabaseDown: {what}. {AGAIN}" + (f"\n{tail}" if tail else ""))


@contextmanager
def database_errors() -> Iterator[None]:
    """Wrap whatever talks to the database; serves as a decorator too.

    Raises:
        DatabaseDown, StorageFull: see explain.
    """
    try:
        yield
    except Exception as error:
        # imported only now: the driver takes a quarter of a second, and the error tells that it is loaded
        from pymongo.errors import PyMongoError

        if isinstance(error, PyMongoError | ConnectionError):
            raise explain(error) from error
        raise
