"""Dataset folders as values: a tree is read once, changed in memory, and shown on the disk as it is now."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias


@dataclass(frozen=True)
class Link:
    """A symbolic link with its target as it is written."""

    target: str


@dataclass(frozen=True)
class Folder:
    """A folder, which may be empty."""


@dataclass(frozen=True)
class Pipe:
    """A named pipe: to open it for reading waits for ever."""


Node: TypeAlias = bytes | Link | Folder | Pipe
Tree: TypeAlias = Mapping[str, Node]
Change: TypeAlias = Callable[[Tree, Random], dict[str, Node]]


def load(root: Path) -> dict[str, Node]:
    """Files below a folder: relative path to content."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


class Stage:
    """A folder that shows one tree after another; only what differs from the one before is written.

    Names may hold bytes that are not UTF-8, as surrogates (os.fsdecode).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self._shown: dict[str, Node] = {}

    def show(self, tree: Tree) -> None:
        """Make the folder hold `tree` and nothing else."""
        stale = [path for path, node in self._shown.items() if tree.get(path) != node]
        for path in sorted(stale, key=len, reverse=True):
            self._remove(path)
        for path in sorted(tree.keys() - self._shown.keys(), key=len):
            self._make(path, tree[path])
            self._shown[path] = tree[path]

    def _remove(self, relative: str) -> None:
        path = os.path.join(self.root, relative)  # noqa: PTH118 - a Path would drop what names may end in
        if not isinstance(self._shown.pop(relative), Folder):
            os.unlink(path)  # noqa: PTH108
        while path != str(self.root):
            try:
                os.rmdir(path)  # noqa: PTH106
            except OSError:
                if os.path.lexists(path):
                    return
            path = os.path.dirname(path)  # noqa: PTH120

    def _make(self, relative: str, node: Node) -> None:
        path = os.path.join(self.root, relative)  # noqa: PTH118
        os.makedirs(path if isinstance(node, Folder) else os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        if isinstance(node, bytes):
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(node)
        elif isinstance(node, Link):
            os.symlink(node.target, path)  # noqa: PTH211
        elif isinstance(node, Pipe):
            os.mkfifo(path)
