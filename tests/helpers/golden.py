"""The hand-checked trees under tests/golden, to read or to damage a copy of."""

import shutil
from pathlib import Path
from typing import Any

from curate.faults import Fault
from curate.formats import FORMATS
from curate.registry import lookup
from curate.tables import to_rows
from tests.helpers.places import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"


def copied(name: str, folder: Path) -> Path:
    """A copy of a golden tree that a test may change."""
    return Path(shutil.copytree(GOLDEN / name, folder / name))


def read(name: str, root: Path, **options: Any) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """A reader's rows by relative path, and its faults."""
    table = lookup(FORMATS, name, "format").read(root, **options)
    return {row["relative_path"]: row for row in to_rows(table)}, table.attrs["faults"]


def column(rows: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """One column by relative path."""
    return {path: row[name] for path, row in rows.items()}


def codes(faults: list[Fault]) -> list[tuple[str, str]]:
    """Code and file of each fault."""
    return [(fault.code, fault.relative_path) for fault in faults]
