"""Lists the files of a dataset folder, and everything in it that cannot or should not be read.

Links to files and folders are followed, except a link to a folder that contains it: that would never end.
Pipes and devices are no files: to read one may wait for ever, or fill the memory. Names that begin with a dot
are ignored and reported. So are names that are not UTF-8, because neither JSON nor the database can hold
them.
"""

import os
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from curate.errors import Missing, Unreadable
from curate.faults import Fault, shown

CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass
class Tree:
    """A dataset folder as listed.

    Attributes:
        root: the folder.
        files: relative path with forward slashes, in Unicode NFC, to the file as it is named on disk; sorted.
        folders: relative paths of the folders below, sorted; without the root.
        faults: what was left out, and why.
    """

    root: Path
    files: dict[str, Path] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def inside(self, folder: str) -> list[str]:
        """Files directly in `folder` ("" is the root)."""
        return list(self._inside.get(folder, ()))

    def below(self, folder: str) -> list[str]:
        """Files in `folder` and in the folders below it."""
        if not folder:
            return list(self.files)
        after = chr(ord("/") + 1)
        return self._ordered[
            bisect_left(self._ordered, f"{folder}/") : bisect_left(self._ordered, f"{folder}{after}")
        ]

    def subfolders(self, folder: str) -> list[str]:
        """Names of the folders directly in `folder` ("" is the root)."""
        return [path.rpartition("/")[2] for path in self._subfolders.get(folder, ())]

    def has(self, folder: str) -> bool:
        """Whether there is such a folder below the root."""
        return folder in self._known

    # Built at the first question, so that a question costs no walk over all files.
    @cached_property
    def _inside(self) -> dict[str, list[str]]:
        return _by_folder(self.files)

    @cached_property
    def _subfolders(self) -> dict[str, list[str]]:
        return _by_folder(self.folders)

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(self.files)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.folders)


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    inside: dict[str, list[str]] = {}
    for path in paths:
        inside.setdefault(path.rpartition("/")[0], []).append(path)
    return inside


def is_folder(path: Path) -> bool:
    """True for a folder that can be reached; False also where permission or a link loop is in the way."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """True for a file that can be reached; see is_folder."""
    try:
        return path.is_file()
    except OSError:
        return False


def matching(root: Path, pattern: str) -> Iterator[Path]:
    """Files and folders below the root that fit a pattern such as "*/train"; what cannot be reached is passed
    over, where Path.glob raises."""
    *folders, last = pattern.split("/")
    found = [root]
    for part in folders:
        found = [path for folder in found for path in _fitting(folder, part) if is_folder(path)]
    for folder in found:
        yield from _fitting(folder, last)


def _fitting(folder: Path, part: str) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if fnmatchcase(path.name, part))
    except OSError:
        return []


def walk(root: Path) -> Tree:
    """List a dataset folder; see the module for what is left out.

    Raises:
        Missing: the folder does not exist, or is a file.
        Unreadable: the folder itself may not be read.
    """
    check_root(root)
    tree = Tree(root)
    here = root.resolve()
    above = frozenset(_identity(folder) for folder in (here, *here.parents))
    for relative, path, is_folder in _entries(root, "", above, tree.faults):
        if is_folder:
            tree.folders.append(relative)
        elif relative in tree.files:
            tree.faults.append(_twice(relative, tree.files[relative], path))
        else:
            tree.files[relative] = path
    _leave_out_backslashed(tree)
    tree.files = dict(sorted(tree.files.items()))
    tree.folders.sort()
    return tree


def _leave_out_backslashed(tree: Tree) -> None:
    """Leave out names with a backslash where another file has a folder: programs take both for one path."""
    taken = {path: path for path in tree.files if "\\" not in path}
    for path in sorted(tree.files.keys() - taken.keys()):
        first = taken.setdefault(path.replace("\\", "/"), path)
        if first != path:
            message = f"{path} is the same as {first} where a backslash divides folders; it is left out."
            remedy = "Rename it without a backslash."
            tree.faults.append(Fault("same_path", "error", path, message, remedy, (first,)))
            del tree.files[path]


def check_root(root: Path) -> None:
    """Raise unless `root` is a folder that may be listed; see walk."""
    try:
        if not root.exists():
            raise Missing(f"Missing: the folder {shown(root)} does not exist. Check the path.")
        if not root.is_dir():
            raise Missing(f"Missing: {shown(root)} is a file; expected the dataset's folder.")
        with os.scandir(root):
            pass
    except PermissionError as error:
        raise Unreadable(
            f"Unreadable: the folder {shown(root)} may not be read (no permission). "
            "Give yourself read and search permission (chmod u+rx)."
        ) from error
    except OSError as error:
        raise Unreadable(f"Unreadable: {shown(root)} cannot be read ({error.strerror}).") from error


def _entries(
    folder: Path, prefix: str, above: frozenset[tuple[int, int]], faults: list[Fault]
) -> Iterator[tuple[str, Path, bool]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        faults.append(_closed(prefix.rstrip("/"), error))
        return
    for entry in entries:
        path = Path(entry.path)
        relative = f"{prefix}{unicodedata.normalize('NFC', entry.name)}"
        if fault := _left_out(entry.name, f"{prefix}{entry.name}"):
            faults.append(fault)
            continue
        try:
            is_folder = entry.is_dir()
            if not (is_folder or entry.is_file()) and path.exists():
                faults.append(_special(relative))
                continue
            identity = _identity(path) if is_folder else None
        except OSError as error:
            faults.append(_closed(relative, error))
            continue
        if identity is None:
            yield relative, path, False
        elif identity in above:
            faults.append(_loop(relative, path))
        else:
            yield relative, path, True
            yield from _entries(path, f"{relative}/", above | {identity}, faults)


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def _left_out(name: str, relative: str) -> Fault | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        escaped = shown(relative)
        return Fault(
            "name_encoding",
            "error",
            escaped,
            f"{escaped} has a name that is not UTF-8, which neither JSON nor the database can hold; "
            "it is left out.",
            "Rename it, for example with: convmv -f latin1 -t utf8 --notest FILE.",
        )
    if name.startswith(".") or name in CLUTTER:
        return Fault(
            "hidden_file",
            "warning",
            relative,
            f"{relative} is hidden or left behind by another program; it is ignored.",
            "Remove it, or rename it if it belongs to the data.",
        )
    return None


def _closed(relative: str, error: OSError) -> Fault:
    if isinstance(error, PermissionError):
        message = (
            f"{relative or 'the folder'} may not be read (no permission); everything below it is left out."
        )
        return Fault(
            "no_permission", "error", relative, message, "Give yourself read permission (chmod u+rx)."
        )
    message = f"{relative} cannot be followed ({error.strerror}); it is left out."
    return Fault("link_loop", "error", relative, message, "Remove or repair the link.")


def _special(relative: str) -> Fault:
    message = f"{relative} is a pipe, socket or device, not a file; reading it could last for ever."
    return Fault("special_file", "error", relative, message, "Remove it.")


def _loop(relative: str, path: Path) -> Fault:
    target = f"a link to {shown(path.readlink())}" if path.is_symlink() else "mounted twice"
    message = f"{relative} is {target}, a folder that contains it; it is not followed."
    return Fault("link_loop", "error", relative, message, "Remove the link.")


def _twice(relative: str, first: Path, second: Path) -> Fault:
    message = (
        f"{relative} is there twice: the names differ only in how Unicode writes an accent "
        f"({first.name!a} and {second.name!a}); the second is left out."
    )
    return Fault("same_path", "error", relative, message, "Rename one of them.")
