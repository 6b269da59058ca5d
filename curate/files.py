"""Files that are whole or absent: written beside the target, flushed, then renamed."""

import errno
import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from curate.errors import Missing, StorageFull, Unreadable

PARTIAL = ".partial"
OWN_PARTIAL = re.compile(r"\..*\.(\d+)-[^.]+\.partial")
DAY_S = 24 * 60 * 60
HASH_BLOCK = 1 << 20
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
_NUMBERS = itertools.count()  # of the files that this process began


def write_bytes(path: Path, content: bytes, durable: bool = True, mode: int = 0o644) -> None:
    """Write a file that appears under its name only when it is complete.

    Args:
        path: target; missing parent folders are made; an existing file is replaced.
        content: all of the file.
        durable: flush to the disk before renaming, so that a power cut leaves the old or the new file.
        mode: who may do what with the file.

    Raises:
        StorageFull: no space is left, or the quota is reached; the target is unchanged.
        Unreadable: the folder may not be written.
    """
    with _appearing(path, mode) as handle:
        try:
            rest = memoryview(content)
            while rest:  # a file object of Python's would double the time of a small one
                rest = rest[os.write(handle, rest) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def whole(path: Path, durable: bool = True, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when the block ends without an error; see write_bytes."""
    with _appearing(path, mode) as handle, os.fdopen(handle, "wb") as file:
        yield file
        if durable:
            file.flush()
            os.fsync(handle)


@contextmanager
def _appearing(path: Path, mode: int) -> Iterator[int]:
    """A descriptor to write to and to close; the file gets its name when the block ends without an error."""
    with writing(path):
        handle, name = _begin(path, mode)
        try:
            yield handle
            partial = Path(name)
            partial.chmod(mode)  # whatever the umask
            partial.replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _begin(path: Path, mode: int) -> tuple[int, str]:
    """Open a new file beside the target: its descriptor and its name, which tells the process."""
    folder, name = os.path.split(path)
    start = os.path.join(folder, f".{name[:40]}.{os.getpid()}-")  # noqa: PTH118 -- thousands are written
    made = False
    while True:
        partial = f"{start}{next(_NUMBERS):x}{PARTIAL}"
        try:
            return os.open(partial, NEW_FILE, mode), partial
        except FileExistsError:  # of a killed process that had the same number
            continue
        except FileNotFoundError:
            if made:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
            made = True


def sweep(folder: Path, only_dead: bool = True) -> list[Path]:
    """Remove the unfinished files that killed processes left anywhere below a folder.

    Args:
        folder: need not exist; links are not followed.
        only_dead: keep what a living process may still be writing: files whose process lives, and files of an
            unknown process younger than a day. False is for a folder that no other command may write; there,
            too, files of a living process are kept: the triage page's server writes masks meanwhile.

    Returns:
        The files removed.
    """
    removed = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if not name.endswith(PARTIAL) or (_may_be_alive(path) if only_dead else _is_alive(name)):
                continue
            if only_dead or name.startswith("."):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _may_be_alive(path: Path) -> bool:
    """Whether the process that writes an unfinished file may still run; when in doubt, it does."""
    try:
        if time.time() - path.stat().st_mtime > DAY_S:
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return _is_alive(path.name) or not OWN_PARTIAL.fullmatch(path.name)


def _is_alive(name: str) -> bool:
    """Whether the process that an unfinished file's name tells runs."""
    if (found := OWN_PARTIAL.fullmatch(name)) is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's write errors into messages that name the path and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(
                f"StorageFull: no space left while writing {path}. What was finished before is kept. "
                "Free some space, or choose another workspace with --home, and run the command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Unreadable(
                f"Unreadable: {path} may not be written ({error.strerror}). "
                "Give yourself write permission, or choose another place."
            ) from error
        raise


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; see write_bytes."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content is equal bytes; see write_bytes."""
    write_text(path, to_json(content) + "\n")


def to_json(content: Any) -> str:
    """JSON with sorted keys and two spaces of indent."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        Missing: there is no such file.
        Unreadable: it may not be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing(f"Missing: {path} does not exist.") from error
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no JSON, or nested too deeply
        raise Unreadable(f"Unreadable: {path} is not a readable JSON file ({error}).") from error


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(content: Any) -> str:
    """Hex SHA-256 (16 digits) of any JSON content; equal content, equal fingerprint.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    canonical = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
