"""Starts a workspace's database again when it dies while a page is served, so that people just go on."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from curate.errors import CurateError
from curate.store.keeper import answers
from curate.store.places import SOCKET, socket_folder
from curate.store.server import connect
from curate.store.verdicts import reconcile
from curate.workspace import Workspace

LOOK_S = 1.0
BACK = "The database had died and was started again. Every verdict that the page had confirmed is there."


@contextmanager
def kept_up(home: Path, dataset_name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Look after the database while the block runs; the caller is connected to it.

    A database of the user's own (CURATE_DATABASE_URI) is left to its owner. One that does not start again is
    told once, and tried again as long as the block runs.

    Args:
        dataset_name: whose verdicts are brought together again.
        say: is told what happened.
    """
    if "CURATE_DATABASE_URI" in os.environ:
        yield
        return
    ended = threading.Event()
    socket_path = socket_folder(home) / SOCKET
    mirror = Workspace.at(home).dataset(dataset_name).verdicts

    def look_after() -> None:
        told = ""
        while not ended.wait(LOOK_S):
            if answers(socket_path):
                told = ""
                continue
            try:
                with connect(home):
                    reconcile(dataset_name, mirror)
            except CurateError as error:
                if str(error) != told:
                    say(str(error))
                told = str(error)
            else:
                say(BACK)

    watch = threading.Thread(target=look_after, name="kept-up", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
