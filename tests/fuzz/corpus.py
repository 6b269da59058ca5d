"""The cases: every registered reader's golden tree, damaged in every way that fits the files in it.

`python -m tests.fuzz.corpus FORMAT NUMBER FOLDER` writes the tree of a case, to look at and to ingest.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from random import Random

from curate.formats import FORMATS
from curate.images import is_image
from tests.fuzz.layouts import LAYOUTS, on_file
from tests.fuzz.mutations import WORDED, Mutation
from tests.fuzz.pictures import PICTURES
from tests.fuzz.settings import TOML, YAML
from tests.fuzz.structured import JSON
from tests.fuzz.tables import CSV, EXCEL, PARQUET, XML, excel, parquet
from tests.fuzz.trees import Change, Node, Stage, Tree, load
from tests.helpers.golden import GOLDEN

SEED = 20260704
N_COMBINED = 24
BY_SUFFIX: Mapping[str, tuple[Mutation, ...]] = {
    ".json": JSON, ".yaml": YAML, ".toml": TOML, ".csv": CSV, ".xml": XML, ".txt": WORDED, ".xlsx": EXCEL,
    ".parquet": PARQUET,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One damaged tree.

    Attributes:
        tree: the whole one.
        number: within the reader; with the reader's name it is the seed of all chance in the case.
        changes: what is done to the tree, in turn.
    """

    format: str
    tree: Tree
    number: int
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        names = " + ".join(change.__name__ for change in self.changes)
        shown_by = f"python -m tests.fuzz.corpus {self.format} {self.number} DIR"
        return f"{self.format} {self.number}: {names} (seed {SEED}, shown by: {shown_by})"

    def damaged(self) -> dict[str, Node]:
        """The tree of the case, the same every time."""
        rng = Random(f"{SEED}/{self.format}/{self.number}")
        tree = dict(self.tree)
        for change in self.changes:
            try:
                tree = change(tree, rng)
            except (ValueError, KeyError, IndexError, SyntaxError, OSError, RecursionError):
                if change is self.changes[0]:
                    raise
                continue  # what the change before left cannot be taken apart any more
        return tree


def cases(name: str) -> list[Case]:
    """The cases of a reader: each change once for each way to store its tables, and some in pairs."""
    plans: list[tuple[Tree, tuple[Change, ...]]] = []
    for tree, changes in _variants(load(GOLDEN / name)):
        plans += [(tree, (change,)) for change in changes]
    rng = Random(f"{SEED}/{name}")
    tree, changes = next(_variants(load(GOLDEN / name)))
    plans += [(tree, tuple(rng.sample(changes, 2))) for _ in range(N_COMBINED)]
    return [Case(name, tree, number, changes) for number, (tree, changes) in enumerate(plans)]


def _variants(tree: dict[str, Node]) -> Iterator[tuple[Tree, list[Change]]]:
    """The golden tree with all its changes, and the same with its tables as Excel and Parquet files."""
    changes = [*LAYOUTS, *(on_file(mutation, is_image) for mutation in PICTURES)]
    suffixes = {PurePosixPath(path).suffix.lower() for path in tree}
    changes += [
        on_file(one, _ends(suffix))
        for suffix in sorted(suffixes & BY_SUFFIX.keys())
        for one in BY_SUFFIX[suffix]
    ]
    yield tree, changes
    if {"curate-table.toml", "curate-fpc.toml"} & tree.keys():
        for suffix, stored in ((".xlsx", excel), (".parquet", parquet)):
            kept = {path: node for path, node in tree.items() if not path.endswith(".csv")}
            tables = {
                path: node for path, node in tree.items() if isinstance(node, bytes) and path.endswith(".csv")
            }
            named = {
                path: node.replace(b".csv", suffix.encode())
                if isinstance(node, bytes) and path.endswith(".toml")
                else node
                for path, node in kept.items()
            }
            made = {path[:-4] + suffix: stored(content) for path, content in tables.items()}
            yield named | made, [on_file(mutation, _ends(suffix)) for mutation in BY_SUFFIX[suffix]]


def _ends(suffix: str) -> Callable[[str], bool]:
    return lambda path: path.lower().endswith(suffix)


def all_cases() -> list[Case]:
    """The whole corpus."""
    return [case for name in FORMATS for case in cases(name)]


if __name__ == "__main__":
    Stage(Path(sys.argv[3])).show(cases(sys.argv[1])[int(sys.argv[2])].damaged())
