"""The access log: one JSON line per request; full files are put aside, and the oldest goes."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LARGEST_BYTES = 10 << 20
N_OLD = 5
LONGEST_TEXT = 300


class AccessLog:
    """Appends lines; several processes may share the file.

    Each line holds the keys at, person, address, method, path, what, status and n_bytes. Neither tokens nor
    cookies nor what follows a "?" are written.
    """

    def __init__(
        self, path: Path, largest_bytes: int = LARGEST_BYTES, longest_text: int = LONGEST_TEXT
    ) -> None:
        self.path, self._largest, self._longest = path, largest_bytes, longest_text

    def write(self, **told: Any) -> None:
        """Append one line.

        Raises:
            OSError: the disk is full, or the file may not be written.
        """
        cut = {
            key: value[: self._longest] if isinstance(value, str) else value for key, value in told.items()
        }
        row = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **cut}
        line = (json.dumps(row, ensure_ascii=True) + "\n").encode()  # no line break can come in from outside
        while True:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if not self._is_current(handle):  # another process put it aside meanwhile
                    continue
                if os.fstat(handle).st_size < self._largest:
                    os.write(handle, line)
                    return
                self._put_aside()
            finally:
                os.close(handle)

    def _is_current(self, handle: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(handle)
        return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)

    def _put_aside(self) -> None:
        """Called with the lock held: access.log becomes access.log.1, and so on."""
        for number in range(N_OLD - 1, 0, -1):
            old = self.path.with_name(f"{self.path.name}.{number}")
            if old.exists():
                old.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
