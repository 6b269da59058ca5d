"""Tables on disk: Parquet, whole or absent, with nested columns and true nulls."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import Missing, Unreadable
from curate.files import write_bytes


def _plain(value: Any) -> Any:
    """Numpy scalars and arrays, NaN and NA as the plain Python values that JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value


def to_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts of plain Python values; missing values are None."""
    columns = {name: [_plain(value) for value in table[name].tolist()] for name in table.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def from_rows(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """A table of object columns with exactly `columns`, in that order; absent values are None."""
    data = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns}
    return pd.DataFrame(data, columns=columns)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write Parquet atomically; equal rows give equal bytes.

    Raises:
        StorageFull: no space is left; the old file, if any, is unchanged.
    """
    rows = to_rows(table)
    arrays = {name: pa.array([row[name] for row in rows]) for name in table.columns}
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays), buffer)
    write_bytes(path, buffer.getvalue())


def read(path: Path) -> pd.DataFrame:
    """Read a table that `write` made; nested values come back as lists and dicts, nulls as None.

    Raises:
        Missing: there is no such file.
        Unreadable: the file is damaged.
    """
    if not path.exists():
        raise Missing(f"Missing: {path} does not exist.")
    try:
        arrow = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise Unreadable(
            f"Unreadable: {path} is not a readable Parquet file ({error}). "
            "Run the step that made it again; it makes a new one."
        ) from error
    return from_rows(arrow.to_pylist(), arrow.column_names)
