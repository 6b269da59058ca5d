"""Tells files of several sources apart where their relative paths are equal."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Row = dict[str, Any]


def apart(
    samples: pd.DataFrame, faults: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[pd.DataFrame, list[Row]]:
    """Samples and faults whose relative paths say which file is meant.

    A path that two sources have begins with the source, "line 2: test/004.png"; others stay as they are.

    Args:
        samples: with source and relative_path.
        faults: rows of curate.faults.to_rows, by source.

    Returns:
        The samples, and the faults of all sources in one list.
    """
    shared = _shared(samples, faults)
    if not shared:
        return samples, [dict(row) for rows in faults.values() for row in rows]
    pairs = zip(samples["source"], samples["relative_path"], strict=True)
    named = samples.assign(relative_path=[_named(source, path, shared) for source, path in pairs])
    return named, [_fault(source, row, shared) for source, rows in faults.items() for row in rows]


def _shared(samples: pd.DataFrame, faults: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """Relative paths that more than one source has, files that could not be read included."""
    owner: dict[str, str] = {}
    shared = set()
    pairs = list(zip(samples["source"], samples["relative_path"], strict=True))
    for source, rows in faults.items():
        pairs += [(source, path) for row in rows for path in (row["relative_path"], *row["related"]) if path]
    for source, path in pairs:
        if owner.setdefault(path, source) != source:
            shared.add(path)
    return shared


def _named(source: str, path: str, shared: set[str]) -> str:
    return f"{source}: {path}" if path in shared else path


def _fault(source: str, row: Mapping[str, Any], shared: set[str]) -> Row:
    path = row["relative_path"]
    told = _named(source, path, shared)
    return {
        **row,
        "relative_path": told,
        "related": [_named(source, other, shared) for other in row["related"]],
        "message": row["message"].replace(path, told, 1) if path in shared else row["message"],
    }
