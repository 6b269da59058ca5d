"""Runs a job per image on this machine: by threads, or by processes where most of the work is Python's."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import TracebackType
from typing import TypeVar

from curate.errors import CurateError

Item = TypeVar("Item")
Result = TypeVar("Result")
# A little more threads than processors, because some wait for the disk.
N_THREADS = min(16, (os.cpu_count() or 1) + 2)
N_PROCESSES = os.cpu_count() or 1
CHUNK = 32
AHEAD = 4  # chunks that wait for each worker
PROCESSES_FROM = 1500  # so many jobs are worth the start of processes


class Workers:
    """Workers that stay between calls; use it in a `with` block. Starts them when there is something to do.

    Args:
        processes: allow processes of their own, which a program that is not safe to import must not (see the
            multiprocessing module). They end with this one, however it ends.
    """

    def __init__(self, processes: bool = False) -> None:
        self._may_fork = processes and N_PROCESSES > 1
        self._threads: ThreadPoolExecutor | None = None
        self._processes: ProcessPoolExecutor | None = None

    def each(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        """Results in the order of the items.

        Decoders let other threads run, so threads do for large images. With processes, `work` is a function
        of a module; it, the items and the results are pickled.

        Raises:
            CurateError: a worker process was ended from outside.
        """
        if self._processes is not None or (self._may_fork and len(items) >= PROCESSES_FROM):
            if self._processes is None:
                context = multiprocessing.get_context("spawn")
                self._processes = ProcessPoolExecutor(N_PROCESSES, context, initializer=_begin)
            return _each(self._processes, work, items, N_PROCESSES, CHUNK)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(N_THREADS)
        return _each(self._threads, work, items, N_THREADS, 1)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._threads, self._processes):
            if pool is not None:
                pool.shutdown(cancel_futures=True)  # after Ctrl-C or a full disk, do not work off the queue


def _each(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], n_workers: int, chunk: int
) -> Iterator[Result]:
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for part in _parts(items, chunk):
            with _without_ctrl_c():
                waiting.append(pool.submit(_all, work, part))
            if len(waiting) >= n_workers * AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenExecutor as error:
        raise CurateError(
            "CurateError: a worker process was ended from outside, as the system does when memory runs out. "
            "What was finished before is kept. Free some memory, and run the command again."
        ) from error


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back, so that a process that is begun meanwhile is deaf to it from its first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _parts(items: Iterable[Item], chunk: int) -> Iterator[list[Item]]:
    source = iter(items)
    while part := list(itertools.islice(source, chunk)):
        yield part


def _all(work: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [work(item) for item in items]


def _begin() -> None:
    """Make a worker process deaf to Ctrl-C, which its parent handles, and mortal with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    from curate.images import hear_warnings

    hear_warnings()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
