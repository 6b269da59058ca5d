"""Keeps two commands from altering the same dataset at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from curate.errors import Busy
from curate.files import sweep, writing
from curate.steps.record import Context

WORK, STORE = "work", "store"
BUSY = 'Busy: another command is at work on dataset "{name}". Try again when it has ended.'


@contextmanager
def alone(context: Context, what: str = WORK, *, wait: bool = True) -> Iterator[None]:
    """Hold a dataset while the block runs; waits until another command, which held it before, has ended.

    The system gives the dataset free when a process dies, however it dies. Files that such a process left
    unfinished are removed.

    Args:
        what: WORK for the files of the dataset, STORE for its copy in the database.
        wait: until the other command has ended; a page cannot, as it may be hours.

    Raises:
        Busy: another command is at work, and `wait` is off.
        Unreadable: the workspace may not be written.
    """
    path = context.paths.root / f".{what}.lock"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise Busy(BUSY.format(name=context.paths.name)) from None
            context.say(f'Another command is at work on dataset "{context.paths.name}"; waiting for its end.')
            fcntl.flock(file, fcntl.LOCK_EX)
        if what == WORK:
            _tidy(context)
        yield


def _tidy(context: Context) -> None:
    """Remove unfinished files of killed commands; those of other datasets' commands at work are kept."""
    with writing(context.paths.root):
        sweep(context.paths.root, only_dead=False)
        for folder in (context.workspace.cache, context.workspace.runs):
            sweep(folder)
