"""Arrays kept for a while: in memory while they are small, in a nameless temporary file beyond that."""

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

IN_MEMORY = 256 << 20  # bytes


class Spool:
    """Append arrays, read them back by number.

    >>> with Spool() as spool:
    ...     spool.append(np.arange(3)), spool.append(np.eye(2)), spool[0].tolist()
    (0, 1, [0, 1, 2])
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self.file = tempfile.SpooledTemporaryFile(max_size=in_memory)
        self.starts: list[int] = []

    def append(self, array: np.ndarray) -> int:
        """Keep an array; returns its number."""
        self.file.seek(0, 2)
        self.starts.append(self.file.tell())
        np.lib.format.write_array(self.file, np.ascontiguousarray(array), allow_pickle=False)
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        self.file.seek(self.starts[number])
        found: np.ndarray = np.lib.format.read_array(self.file, allow_pickle=False)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
