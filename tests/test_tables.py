"""Tables come back from disk as they went there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate import tables
from curate.errors import Missing, Unreadable
from curate.files import sha256_file


def sample() -> pd.DataFrame:
    return tables.from_rows(
        [
            {
                "name": "a",
                "list": ["x", "y"],
                "boxes": [{"box_xyxy": [1.0, 2.0, 3.0, 4.0], "defect_type": "open"}],
                "number": 1.5,
                "none": None,
            },
            {"name": "b", "list": [], "boxes": None, "number": None, "none": None},
        ],
        ["name", "list", "boxes", "number", "none"],
    )


def test_nested_values_and_nulls_survive(tmp_path: Path) -> None:
    tables.write(sample(), tmp_path / "t.parquet")
    assert tables.to_rows(tables.read(tmp_path / "t.parquet")) == tables.to_rows(sample())


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    tables.write(sample(), tmp_path / "a.parquet")
    tables.write(tables.read(tmp_path / "a.parquet"), tmp_path / "b.parquet")
    assert sha256_file(tmp_path / "a.parquet") == sha256_file(tmp_path / "b.parquet")


def test_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    tables.write(tables.from_rows([], ["a", "b"]), tmp_path / "t.parquet")
    back = tables.read(tmp_path / "t.parquet")
    assert list(back.columns) == ["a", "b"]
    assert back.empty


def test_numpy_values_become_plain() -> None:
    table = pd.DataFrame({"n": [np.int64(3)], "f": [np.nan], "v": [np.array([1.0, 2.0])]})
    assert tables.to_rows(table) == [{"n": 3, "f": None, "v": [1.0, 2.0]}]


def test_absent_and_damaged_tables_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="does not exist"):
        tables.read(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(Unreadable, match=r"t\.parquet"):
        tables.read(tmp_path / "t.parquet")
