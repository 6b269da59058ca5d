"""Keeps two processes, or two requests of one, from altering the verdicts of a dataset at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curate.files import writing

LOCK = ".verdicts.lock"


@contextmanager
def alone(mirror: Path) -> Iterator[None]:
    """Hold a dataset's verdicts while the block runs; waits until others have let go. Not to be nested.

    The system gives them free when a process dies, however it dies.

    Args:
        mirror: the dataset's verdicts.jsonl; the lock lies beside it.

    Raises:
        Unreadable: the folder may not be written.
    """
    path = mirror.with_name(LOCK)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
