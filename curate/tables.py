"""Tables on disk: Parquet, whole or absent, with nested columns and true nulls."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import Missing, Unreadable
from curate.files import whole, write_bytes
from curate.schema import load

BATCH = 5000  # rows that are in memory at a time
PLAIN = frozenset({str, int, bool, type(None)})
ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


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
    columns = {
        name: [value if type(value) in PLAIN else _plain(value) for value in table[name].tolist()]
        for name in table.columns
    }
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


@cache
def arrow_schema(contract: str) -> pa.Schema:
    """The column types that a contract in data_schemas/ gives a Parquet file."""
    return pa.schema([(name, _arrow(kind)) for name, kind in load(contract)["properties"].items()])


def _arrow(kind: Mapping[str, Any]) -> pa.DataType:
    """Arrow's type for a JSON schema of one value."""
    named = kind.get("type") or [_name_of(value) for value in kind["enum"] if value is not None]
    name = named if isinstance(named, str) else next(one for one in named if one != "null")
    if name == "array":
        return pa.list_(_arrow(kind["items"]))
    if name == "object":
        return pa.struct([(key, _arrow(inner)) for key, inner in kind["properties"].items()])
    return ARROW[name]


def _name_of(value: Any) -> str:
    return "string" if isinstance(value, str) else "integer"


@contextmanager
def streaming(path: Path, contract: str) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Write a table in batches: the file appears under its name when the block ends without an error.

    Yields a function that takes rows; at most BATCH of them are kept in memory. Equal rows give equal bytes,
    however they are cut into batches.

    Raises:
        StorageFull: no space is left; the old file, if any, is unchanged.
    """
    schema = arrow_schema(contract)
    with whole(path) as file, pq.ParquetWriter(file, schema) as writer:
        held: list[dict[str, Any]] = []

        def take(rows: list[dict[str, Any]]) -> None:
            held.extend(rows)
            while len(held) >= BATCH:
                writer.write_table(pa.Table.from_pylist(held[:BATCH], schema))
                del held[:BATCH]

        yield take
        if held:
            writer.write_table(pa.Table.from_pylist(held, schema))


def batches(
    path: Path, n_rows: int = BATCH, columns: Sequence[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, a batch at a time, with all columns or some; else as read.

    Raises:
        Missing, Unreadable: see read.
    """
    with _parquet(path) as file:
        for batch in file.iter_batches(batch_size=n_rows, columns=columns):
            yield batch.to_pylist()


def n_rows(path: Path) -> int:
    """Number of rows of a table, from its foot; see read for what it raises."""
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    if not path.exists():
        raise Missing(f"Missing: {path} does not exist.")
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise Unreadable(
            f"Unreadable: {path} is not a readable Parquet file ({error}). "
            "Run the step that made it again; it makes a new one."
        ) from error


def read(path: Path) -> pd.DataFrame:
    """Read a table that `write` or `streaming` made; nested values come back as lists and dicts.

    Raises:
        Missing: there is no such file.
        Unreadable: the file is damaged.
    """
    with _parquet(path) as file:
        arrow = file.read()
    return from_rows(arrow.to_pylist(), arrow.column_names)
