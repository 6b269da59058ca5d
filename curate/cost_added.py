"""Rows for the table of costs that were measured elsewhere: another machine, another program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate import schema
from curate.errors import DataFault, listed
from curate.files import read_json


def read_added(paths: Sequence[Path], taken: Sequence[str]) -> list[dict[str, Any]]:
    """Rows from files: a row, a list of rows, or what `curate cost --json` printed elsewhere.

    A name that is taken gets the file's name behind it.

    Raises:
        Missing, Unreadable: a file is not there, or is no JSON.
        DataFault: rows break data_schemas/cost.json; all faults of all files are listed.
    """
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    for path in paths:
        content = read_json(path)
        rows = content.get("detectors", [content]) if isinstance(content, dict) else content
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            broken.append(f"{path}: expected an object, or a list of objects")
            continue
        broken += [f"{path}: {fault}" for fault in schema.faults(rows, "cost")]
        for row in rows if not broken else []:
            names = {*taken, *(each["name"] for each in found)}
            name = f"{row['name']} ({path.stem})" if row["name"] in names else row["name"]
            found.append({**row, "name": name, "added": True})
    if broken:
        raise DataFault(
            "DataFault: what --add names breaks data_schemas/cost.json:\n"
            f"{listed(broken)}\nCorrect the files."
        )
    return found
