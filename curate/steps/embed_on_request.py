"""Embeds a dataset's pictures in the background, for a page on which someone asks for them."""

import threading
from dataclasses import dataclass
from typing import Any

from curate import tables
from curate.errors import CurateError
from curate.steps.embeddings import CACHE
from curate.workspace import Workspace


@dataclass
class Task:
    """Work that goes on.

    Attributes:
        n_done, n_images: how far it is.
        error: why it ended early, in words; empty otherwise.
        running: whether it still goes on.
    """

    n_done: int = 0
    n_images: int = 0
    error: str = ""
    running: bool = True


_tasks: dict[str, Task] = {}
_starting = threading.Lock()


def state(dataset_name: str, start: bool = False) -> dict[str, Any]:
    """How far the work is; `start` begins it unless it goes on already.

    What is embedded is kept a few pictures at a time: a stopped program, or another command at the same work,
    loses nothing.

    Returns:
        n_done, n_images, error and running; all empty when nobody has asked.
    """
    with _starting:
        task = _tasks.get(dataset_name)
        if start and (task is None or not task.running):
            task = _tasks[dataset_name] = Task()
            threading.Thread(target=_work, args=(dataset_name, task), daemon=True).start()
    if task is None:
        return {"n_done": 0, "n_images": 0, "error": "", "running": False}
    return {
        "n_done": task.n_done, "n_images": task.n_images, "error": task.error, "running": task.running,
    }  # fmt: skip


def _work(dataset_name: str, task: Task) -> None:
    from curate.embeddings import table

    def advance(n: int) -> None:
        task.n_done += n

    try:
        workspace = Workspace.at()
        paths = workspace.existing(dataset_name)
        samples = tables.read(paths.samples)
        task.n_images = len(samples)
        table(samples, paths.root / CACHE, advance, network_folder=workspace.cache)
    except CurateError as error:
        task.error = str(error)
    except Exception as error:  # nobody else hears of what happens in a thread
        task.error = f"Unexpected {type(error).__name__}: {error}. Run curate check {dataset_name} instead."
    finally:
        task.running = False
