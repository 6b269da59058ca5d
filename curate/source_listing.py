"""Tells quickly whether anything below a source changed: paths, sizes and times of all its files."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from curate.errors import Missing


def listing(root: Path) -> str:
    """Checksum of every file's path, size and time: changes when anything below the source does.

    Links are followed, except to a folder that contains them.

    Raises:
        Missing: the folder does not exist, or is a file.
    """
    if not root.is_dir():
        kind = "is a file" if root.exists() else "does not exist"
        raise Missing(f"Missing: the source {root} {kind}. Expected a folder of images.")
    digest = hashlib.sha256()
    for line in _lines(os.fspath(root), frozenset()):
        digest.update(line)
    return digest.hexdigest()[:16]


def _lines(folder: str, above: frozenset[str]) -> Iterator[bytes]:
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        yield os.fsencode(folder) + b" closed\n"
        return
    for entry in entries:
        try:
            state = entry.stat()
        except OSError:
            yield os.fsencode(entry.path) + b" absent\n"
            continue
        if entry.is_dir():
            yield os.fsencode(entry.path) + b"\n"
            yield from _lines(entry.path, above | {real})
        else:
            yield os.fsencode(entry.path) + f" {state.st_size} {state.st_mtime_ns}\n".encode()
