"""Tables that a person asked for."""

import csv
from pathlib import Path

import pytest

from curate import spreadsheets, tables
from curate.errors import AlreadyExists

ROWS = [
    {"name": "=2+3", "n": -1, "types": ["a", "b"], "left": "out"},
    {"name": "Maß, groß", "n": None, "types": []},
]
COLUMNS = ["n", "name", "types"]


def test_csv_opens_in_spreadsheets_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    spreadsheets.write(ROWS, COLUMNS, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [COLUMNS, ["-1", "'=2+3", "a; b"], ["", "Maß, groß", ""]]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    spreadsheets.write(ROWS, COLUMNS, path)
    assert tables.to_rows(tables.read(path)) == [{name: row[name] for name in COLUMNS} for row in ROWS]


def test_what_could_not_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "there.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    spreadsheets.refuse(None, False)
    spreadsheets.refuse(tmp_path / "there.csv", True)
    with pytest.raises(ValueError, match=r"must end in \.parquet or \.csv"):
        spreadsheets.refuse(tmp_path / "rows.xlsx", False)
    with pytest.raises(ValueError, match="is a folder"):
        spreadsheets.refuse(tmp_path / "folder.csv", False)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        spreadsheets.refuse(tmp_path / "there.csv", False)
