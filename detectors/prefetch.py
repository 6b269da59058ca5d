"""Does work ahead of its consumer, in threads, in order, with a bounded number of items in memory."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def prefetch(
    work: Callable[[In], Out], items: Iterable[In], n_workers: int = 2, n_ahead: int = 16
) -> Iterator[Out]:
    """Like map(work, items), with up to `n_ahead` results computed before they are asked for.

    An error of `work` is raised when its turn comes; leaving the loop early stops the threads.

    >>> list(prefetch(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    pending: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(n_workers)
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= n_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def batches(items: Iterable[In], n: int) -> Iterator[list[In]]:
    """Items in order, n at a time; the last batch may be smaller.

    >>> list(batches([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, n)):
        yield batch
