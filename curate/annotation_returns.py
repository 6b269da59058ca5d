"""Files that come back from outside annotators: their content in memory, within limits, and nothing else.

They come from anybody. No name in them is opened, and an archive is never unpacked: the one member that holds
the annotations is read.
"""

import lzma
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from curate.errors import Missing, Unreadable
from curate.faults import plain

MAX_BYTES = 512 << 20
MAX_MEMBERS = 200_000
BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, ValueError,
    zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip


def content_of(path: Path, member: str = "") -> bytes:
    """A file's content, or that of one member of a ZIP archive.

    Args:
        member: name of the file with the annotations in an archive, in any folder; "": there are no archives.

    Raises:
        Missing: there is no such file.
        Unreadable: it may not be read, is too large, or is an archive without that member.
    """
    if not path.is_file():
        raise Missing(f"Missing: {path} is not a file. Give the file that the annotation tool exported.")
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
        if is_archive:
            return _from_archive(path, member)
        if (size := path.stat().st_size) > MAX_BYTES:
            raise Unreadable(_too_large(path, size))
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"Unreadable: {path} cannot be read ({error.strerror or error}).") from error


def _from_archive(path: Path, member: str) -> bytes:
    if not member:
        raise Unreadable(
            f"Unreadable: {path} is an archive. Export the project as JSON; that is a file of its own."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            found = [each for each in entries if PurePosixPath(each.filename).name == member]
            if len(entries) > MAX_MEMBERS or len(found) != 1:
                raise Unreadable(
                    f"Unreadable: {path} has {len(entries)} members and {len(found)} called {member}, "
                    'expected one. Export the task as "CVAT for images 1.1".'
                )
            with archive.open(found[0]) as file:
                content = file.read(MAX_BYTES + 1)  # the size that the archive states may be a lie
    except BROKEN as error:
        raise Unreadable(
            f"Unreadable: {path} is a damaged or encrypted archive ({plain(error, 100)}). Export it again."
        ) from error
    if len(content) > MAX_BYTES:
        raise Unreadable(_too_large(path, found[0].file_size))
    return content


def _too_large(path: Path, size: int) -> str:
    return (
        f"Unreadable: {path} holds {size} bytes, more than the {MAX_BYTES} that are read. Export the work in "
        "several parts."
    )
