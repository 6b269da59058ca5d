"""Tables that a person asked for: Parquet, or CSV as spreadsheets read it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate import tables
from curate.errors import AlreadyExists
from curate.files import write_bytes

SUFFIXES = (".parquet", ".csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def refuse(path: Path | None, overwrite: bool) -> None:
    """Raise, before any work, when a table could not be written.

    Raises:
        ValueError: a suffix says nothing that is known, or the path is a folder.
        AlreadyExists: a file is there, and may not be replaced.
    """
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f'The table "{path}" must end in {" or ".join(SUFFIXES)}.')
    if path.is_dir():
        raise ValueError(f'"{path}" is a folder; name a file in it.')
    if path.exists() and not overwrite:
        raise AlreadyExists(f"AlreadyExists: {path} is there already. Replace it with --overwrite.")


def write(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> None:
    """Write rows, whole or not at all.

    In a CSV file what is in a list is joined with "; ", an absent value is an empty cell, and a text that a
    spreadsheet would take for a formula begins with an apostrophe.

    Args:
        columns: those to write, in this order.
        path: .parquet or .csv; replaced when it is there.
    """
    if path.suffix.lower() == ".parquet":
        tables.write(tables.from_rows([dict(row) for row in rows], list(columns)), path)
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    write_bytes(path, text.getvalue().encode("utf-8-sig"))  # with the mark, spreadsheets read it as UTF-8


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
