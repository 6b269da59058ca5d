"""Finds out what a folder holds from a few of its files, so that recognising a format costs no walk."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

FEW_FOLDERS, FEW_FILES, MOST_FILES, CHUNK = 60, 20, 60, 1 << 20


def first_file(
    root: Path, suffix: str, needed: Iterable[re.Pattern[bytes]], hint: str = "", levels: int = 2
) -> Path | None:
    """A file with the suffix in which all the patterns occur, among a few in the root and the levels below.

    Args:
        suffix: in lower case; the file's may be in upper case.
        needed: each matches 100 bytes at most.
        hint: names with one of these words ("coco|instances") are looked at first.
    """
    needed = tuple(needed)
    for looked_at, path in enumerate(_few(root, suffix, hint, levels)):
        if looked_at >= MOST_FILES:
            return None
        if _holds(path, needed):
            return path
    return None


def _few(root: Path, suffix: str, hint: str, levels: int) -> Iterator[Path]:
    folders = [root]
    for folder in folders:
        entries = _visible(folder)
        if len(folder.relative_to(root).parts) < levels:
            below = (Path(entry.path) for entry in entries if _is(os.DirEntry.is_dir, entry))
            folders += [path for path, _ in zip(below, range(FEW_FOLDERS - len(folders)), strict=False)]
        named = [entry for entry in entries if entry.name.lower().endswith(suffix)]
        named.sort(key=lambda entry: not re.search(hint, entry.name, re.I))
        for entry in named[:FEW_FILES]:
            if _is(os.DirEntry.is_file, entry):
                yield Path(entry.path)


def _visible(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as listing:
            shown = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(shown, key=lambda entry: os.fsencode(entry.name))


def _is(kind: Callable[["os.DirEntry[str]"], bool], entry: "os.DirEntry[str]") -> bool:
    try:
        return kind(entry)
    except OSError:  # a link that leads nowhere, or back to itself
        return False


def _holds(path: Path, needed: Iterable[re.Pattern[bytes]]) -> bool:
    missing, before = set(needed), b""
    try:
        with path.open("rb") as file:
            while missing and (chunk := file.read(CHUNK)):
                text = before + chunk
                missing -= {pattern for pattern in missing if pattern.search(text)}
                before = text[-100:]
    except OSError:
        return False
    return not missing
