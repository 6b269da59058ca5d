"""Slices of a sample table: which rows to evaluate together, by category, defect type, lot, camera, size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from curate.images import Array
from curate.tables import to_rows

NOT_STATED = "not stated"
DEFECT_TYPE, VIEW, CATEGORY = "defect_type", "view", "category"


@dataclass(frozen=True)
class Slice:
    """Some rows of a table that have something in common.

    Attributes:
        column: what they have in common: a column, "defect_type", "view", or a column of sizes.
        value: what it is there; "not stated" where the table is silent.
        chosen: (N,) bool, the rows.
    """

    column: str
    value: str
    chosen: Array


def slices(
    rows: pd.DataFrame, columns: Sequence[str], edges: Mapping[str, Sequence[float]] | None = None
) -> list[Slice]:
    """Slice a table by each column for itself.

    Evaluate each slice by its own rows. A slice may lack normal or anomalous rows; figures then say so.

    Args:
        rows: sample table, with further columns if wanted.
        columns: any columns with one value per row, such as category, product, lot, site, station, camera or
            lighting, and two that are made here. "defect_type": the anomalous rows that have a type, with all
            normal rows of their categories as the negatives; a row of two types is in two slices. "view":
            position and camera together.
        edges: of a column of numbers, such as the diameter of a row's largest region, the edges of its bins,
            rising; a bin holds its lower edge and not its upper one. The outermost bins are open. A size
            belongs to a defect: normal rows of the categories in a bin are its negatives. Every column with
            edges is sliced too.

    Returns:
        The slices of the first column, then of the second ...; by value, "not stated" last. Bins without an
        anomalous row are left out.

    Raises:
        ValueError: a column is unknown or holds lists, edges do not rise, or a size is negative or no number.
    """
    records = to_rows(rows)
    bins = dict(edges or {})
    out: list[Slice] = []
    for column in dict.fromkeys([*columns, *bins]):
        needed = {DEFECT_TYPE: ("defect_types",), VIEW: ("position", "camera")}.get(column, (column,))
        absent = [name for name in needed if name not in rows.columns]
        if absent:
            known = ", ".join([DEFECT_TYPE, VIEW, *map(str, rows.columns)])
            raise ValueError(f'Unknown column "{absent[0]}" to slice by. Known: {known}.')
        if column in bins:
            out += _by_defect(column, records, *_binning(column, bins[column]))
        elif column == DEFECT_TYPE:
            out += _by_defect(column, records, lambda row: row["defect_types"] or [NOT_STATED], None)
        else:
            out += _by_value(column, records)
    return out


def with_largest_region(rows: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """The rows with the size of each one's largest region, so that they can be sliced by size.

    An image is found where any of its regions is, so the largest one stands for it.

    Args:
        rows: sample table.
        regions: region table (data_schemas/region.json): sample_id, area_px, diameter_px, diameter_um.

    Returns:
        A copy with largest_area_px, largest_diameter_px and largest_diameter_um; None without a region, and
        in µm where a region has no scale.
    """
    found = rows.copy()
    grouped = regions.groupby("sample_id", sort=False)
    for name in ("area_px", "diameter_px", "diameter_um"):
        numbers = pd.to_numeric(regions[name])
        by_sample = numbers.groupby(regions["sample_id"], sort=False).max()
        whole = grouped.size() == numbers.notna().groupby(regions["sample_id"], sort=False).sum()
        found[f"largest_{name}"] = rows["sample_id"].map(by_sample.where(whole))
    return found


def _by_value(column: str, records: Sequence[Mapping[str, Any]]) -> list[Slice]:
    """A slice per value of a column."""
    values = [_text(column, row) for row in records]
    return [Slice(column, value, np.array([v == value for v in values])) for value in _ordered(set(values))]


def _by_defect(
    column: str,
    records: Sequence[Mapping[str, Any]],
    values_of: Callable[[Mapping[str, Any]], Sequence[str]],
    order: Sequence[str] | None,
) -> list[Slice]:
    """A slice per property of defects: anomalous rows that have it, and normal rows of their categories."""
    having: dict[str, list[int]] = {}
    for number, row in enumerate(records):
        if row["label"] == "anomalous":
            for value in dict.fromkeys(values_of(row)):
                having.setdefault(value, []).append(number)
    out = []
    for value in order or _ordered(set(having)):
        if value not in having:
            continue
        categories = {records[number]["category"] for number in having[value]}
        chosen = np.array([row["label"] == "normal" and row["category"] in categories for row in records])
        chosen[having[value]] = True
        out.append(Slice(column, value, chosen))
    return out


def _binning(
    column: str, edges: Sequence[float]
) -> tuple[Callable[[Mapping[str, Any]], Sequence[str]], list[str]]:
    """Which bin a row is in, and the names of all bins in order."""
    ends = np.asarray(edges, dtype=np.float64)
    if not len(ends) or not np.isfinite(ends).all() or np.any(np.diff(ends) <= 0):
        raise ValueError(f'Expected finite edges of "{column}" that rise; found {list(edges)}.')
    names = [f"< {ends[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(ends))]
    names += [f">= {ends[-1]:g}", NOT_STATED]

    def of(row: Mapping[str, Any]) -> Sequence[str]:
        size = row[column]
        if size is None:
            return [NOT_STATED]
        if isinstance(size, bool) or not isinstance(size, int | float) or size < 0:
            raise ValueError(f'Expected sizes of 0 or more in "{column}"; found {size!r}.')
        return [names[int(np.searchsorted(ends, size, side="right"))]]

    return of, names


def _text(column: str, row: Mapping[str, Any]) -> str:
    if column == VIEW:
        return " / ".join(dict.fromkeys(str(row[name]) for name in ("position", "camera") if row[name])) or (
            NOT_STATED
        )
    value = row[column]
    if isinstance(value, list | dict):
        raise ValueError(f'Expected one value per row in "{column}" to slice by it; found a list.')
    return NOT_STATED if value is None or value == "" else str(value)


def _ordered(values: set[str]) -> list[str]:
    return sorted(values, key=lambda value: (value == NOT_STATED, value))
