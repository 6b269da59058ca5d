"""The journal of a scoring run: which images are finished, so that a killed run can go on.

Line 1 holds the fingerprint of the run's inputs; each further line one finished image. Maps are written
without waiting for the disk, so a line carries their sizes and checksums, and a later run believes only lines
whose files are whole.
"""

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from curate import tables
from curate.files import PARTIAL, write_bytes, writing

JOURNAL = "predictions.jsonl"
MAP_FOLDERS = ("raw", "display")
FORMAT = 2  # of the stored maps and of a line; a new number scores everything again


@dataclass(frozen=True)
class Written:
    """A file that was written: path from the detector's folder, size and CRC-32."""

    path: str
    n_bytes: int
    crc32: int

    @classmethod
    def write(cls, folder: Path, path: str, content: bytes) -> Self:
        """Write content to folder / path, whole or not at all."""
        write_bytes(folder / path, content, durable=False)
        return cls(path, len(content), zlib.crc32(content))

    def is_whole(self, folder: Path) -> bool:
        """True when the file is there with the content that was written."""
        try:
            content = (folder / self.path).read_bytes()
        except OSError:
            return False
        return len(content) == self.n_bytes and zlib.crc32(content) == self.crc32


@dataclass(frozen=True)
class Line:
    """One finished image; maps and their reductions are None for a detector that gives no maps."""

    sample_id: str
    anomaly_score: float
    reductions: dict[str, float] | None
    raw: Written | None
    display: Written | None

    def to_json(self) -> str:
        """One line of the journal."""
        files = {"raw": self.raw and vars(self.raw), "display": self.display and vars(self.display)}
        return json.dumps(vars(self) | files, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The reverse of to_json."""
        content: dict[str, Any] = json.loads(text)
        for name in ("raw", "display"):
            content[name] = Written(**content[name]) if content[name] else None
        return cls(**content)

    def is_whole(self, folder: Path) -> bool:
        """True when the files of the line are whole."""
        return all(each is None or each.is_whole(folder) for each in (self.raw, self.display))


class Journal:
    """Finished images of a run with certain inputs.

    Args:
        path: of the journal; lies in the detector's folder.
        fingerprint: of the run's inputs; a journal of other inputs is dropped.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.head = json.dumps({"fingerprint": fingerprint})
        found = read_lines(path, self.head)
        self.lines = {line.sample_id: line for line in found if line.is_whole(path.parent)}
        self._rewrite(list(self.lines))

    def _rewrite(self, order: Sequence[str]) -> None:
        texts = [self.head, *(self.lines[sample_id].to_json() for sample_id in order)]
        content = ("\n".join(texts) + "\n").encode()
        if not self.path.exists() or self.path.read_bytes() != content:
            write_bytes(self.path, content)

    def append(self, lines: Sequence[Line]) -> None:
        """Add finished images; they are on the disk when this returns.

        Raises:
            StorageFull: no space is left.
        """
        with writing(self.path), self.path.open("ab") as file:
            file.write("".join(line.to_json() + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        self.lines |= {line.sample_id: line for line in lines}

    def close(self, order: Sequence[str]) -> None:
        """Keep the lines of these images in this order, and remove what a kill left half written.

        Maps that no line names stay: a page may still show them. See sweep_maps.
        """
        self.lines = {sample_id: self.lines[sample_id] for sample_id in order}
        self._rewrite(order)
        for folder in MAP_FOLDERS:
            for file in self.path.parent.glob(f"{folder}/.*{PARTIAL}"):
                file.unlink(missing_ok=True)


def read_lines(path: Path, head: str | None = None) -> list[Line]:
    """Lines of a journal, in order, up to the first damaged one; none unless its first line is `head`."""
    try:
        first, *rest = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    found: list[Line] = []
    if head is not None and first != head:
        return found
    for text in rest:
        try:
            found.append(Line.from_json(text))
        except (ValueError, TypeError, KeyError):
            break  # cut short by a kill; what follows cannot be trusted
    return found


def maps_are_there(folder: Path) -> bool:
    """Whether every map that predictions.parquet names is on the disk with the size that was written."""
    sizes = {each.path: each.n_bytes for each in _maps(folder)}
    present = {f"{kind}/{name}": size for kind in MAP_FOLDERS for name, size in _files(folder / kind)}
    return all(path in sizes and present.get(path) == sizes[path] for path in _named(folder))


def sweep_maps(folder: Path) -> int:
    """Remove map files that predictions.parquet does not name; to be called once pages show the named ones.

    Does nothing while a run is unfinished, in this process or another: its maps are not named yet.

    Args:
        folder: of the detector in the workspace.

    Returns:
        How many files were removed.
    """
    if not (folder / "predictions.parquet").exists():
        return 0
    named = _named(folder)
    if named != {each.path for each in _maps(folder)}:
        return 0
    unnamed = [
        folder / kind / name
        for kind in MAP_FOLDERS
        for name, _ in _files(folder / kind)
        if f"{kind}/{name}" not in named
    ]
    for path in unnamed:
        path.unlink(missing_ok=True)
    return len(unnamed)


def _maps(folder: Path) -> list[Written]:
    lines = read_lines(folder / JOURNAL)
    return [each for line in lines for each in (line.raw, line.display) if each]


def _named(folder: Path) -> set[str]:
    table = tables.read(folder / "predictions.parquet")
    return {path for kind in ("raw_map", "display_map") for path in table[kind] if path is not None}


def _files(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of the files in a folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [(entry.name, entry.stat().st_size) for entry in entries if entry.is_file()]
