"""How many processors torch uses."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

In = TypeVar("In")


def n_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch in the calling thread inside the block.

    Its own threads spin while they wait for each other, which burns the time of processors that decode,
    encode and extract features meanwhile; and sums do not depend on the number of processors this way.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_on(device: torch.device, n_threads: int) -> int:
    """As many threads as asked for on the CPU; one on any other device.

    A GPU works through one queue, and torch's linear algebra must not be called there for the first time by
    two threads at once: it then fails with "lazy wrapper should be called at most once".
    """
    return n_threads if device.type == "cpu" else 1


def run_parallel(work: Callable[[In], None], items: Iterable[In], n_threads: int = 0) -> None:
    """Call work(item) for all items on several threads, with one torch thread each; 0: one a core."""
    with one_torch_thread(), ThreadPoolExecutor(n_threads or n_cores(), initializer=_single) as pool:
        for done in [pool.submit(work, item) for item in items]:
            done.result()


def _single() -> None:
    torch.set_num_threads(1)
