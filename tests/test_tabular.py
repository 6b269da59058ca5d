"""Tables as machines and people write them, and files that only look like tables."""

import os
import re
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from curate import tabular
from curate.cell_values import day_first, decimal_sign, moment, number
from curate.errors import CurateError, Missing, Unreadable
from curate.table_columns import Columns
from curate.table_records import records
from curate.table_values import habits
from curate.tabular import column_names, open_sheet


def csv(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_rows_carry_the_number_that_a_spreadsheet_shows(tmp_path: Path) -> None:
    path = csv(tmp_path, 'a;b\r\n\r\n1;"two\r\nlines"\r\n;\r\n3;4\r\n')
    sheet = open_sheet(path, "t.csv")
    assert sheet.columns == ["a", "b"]
    assert list(sheet.rows) == [(3, ["1", "two\r\nlines"]), (5, ["3", "4"])]


def test_excels_separator_line_is_followed(tmp_path: Path) -> None:
    sheet = open_sheet(csv(tmp_path, "sep=|\na,x|b\n1|2\n"), "t.csv")
    assert sheet.columns == ["a,x", "b"]
    assert list(sheet.rows) == [(3, ["1", "2"])]


def test_lines_above_the_column_names_are_skipped_as_told(tmp_path: Path) -> None:
    path = csv(tmp_path, "Machine: AOI-2\n\nFile,Result\na.png,OK\n")
    sheet = open_sheet(path, "t.csv", header_row=3)
    assert sheet.columns == ["File", "Result"]
    assert list(sheet.rows) == [(4, ["a.png", "OK"])]


def test_excel_gives_values_and_row_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    page.append(["File", "When", "Size"])
    page.append([None, None, None])
    page.append(["a.png", datetime(2026, 7, 3, 8, 5), 3.0])
    book.create_sheet("Two").append(["x", "y"])
    book.save(tmp_path / "t.xlsx")
    sheet = open_sheet(tmp_path / "t.xlsx", "t.xlsx")
    assert list(sheet.rows) == [(3, ["a.png", "2026-07-03T08:05:00", "3"])]
    assert open_sheet(tmp_path / "t.xlsx", "t.xlsx", sheet="Two").columns == ["x", "y"]
    with pytest.raises(Missing, match=r'no sheet "Three"\. Sheets: Sheet, Two'):
        open_sheet(tmp_path / "t.xlsx", "t.xlsx", sheet="Three")


@pytest.mark.parametrize("suffix", ["xlsx", "parquet"])
def test_cells_that_are_numbers_keep_their_value_beside_texts_with_a_decimal_comma(
    tmp_path: Path, suffix: str
) -> None:
    """As text "1.234" and "0.125" would be thousands, and "282.5" no number at all."""
    table = pd.DataFrame({"Size": ["1,25", "12,5", "3,5"], "X": [1.234, 282.5, 0.125]})
    path = tmp_path / f"t.{suffix}"
    if suffix == "xlsx":
        table.to_excel(path, index=False)
    else:
        table.to_parquet(path)
    columns = Columns({"um_per_px": "Size", "x": "X"}, [], {"um_per_px": 0, "x": 1}, {}, {"Size": 0, "X": 1})
    rows = records(open_sheet(path, path.name), columns, [])
    decimal, _ = habits(rows, ("um_per_px", "x"), None, None)
    assert decimal == ","
    assert [number(row.values["um_per_px"], decimal) for row in rows] == [1.25, 12.5, 3.5]
    assert [number(row.values["x"], decimal) for row in rows] == [1.234, 282.5, 0.125]


def test_an_excel_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular, "MAX_UNPACKED", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (2 << 20))
    with pytest.raises(Unreadable, match="bytes that unpack to 2097152, too many for a table"):
        open_sheet(tmp_path / "bomb.xlsx", "bomb.xlsx")
    assert column_names(tmp_path / "bomb.xlsx") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b"\n\n\n"),
        ("t.csv", b"a,b\n\x00\x01,2\n"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16")),
        ("t.xlsx", b"not a zip"),
        ("t.xlsx", b""),
        ("t.parquet", b"PAR1 but not"),
        ("t.parquet", b""),
    ],
)
def test_what_is_no_table_gives_a_message_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = csv(tmp_path, content, name)
    with pytest.raises(Unreadable, match=name):
        open_sheet(path, name)


def test_a_zip_that_is_no_workbook_and_a_huge_cell_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("hello.txt", "x")
    with pytest.raises(Unreadable, match=r"t\.xlsx is not an Excel file"):
        open_sheet(tmp_path / "t.xlsx", "t.xlsx")
    sheet = open_sheet(csv(tmp_path, 'a,b\n"' + "x" * 200_000 + '",1\n'), "t.csv")
    with pytest.raises(CurateError, match=r"t\.csv is damaged"):
        list(sheet.rows)


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    """An Excel file with other text in one of its parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(old, new))


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["image", "label"])
    book.active.append(["a.png", "OK"])
    book.save(path)
    return path


def test_a_small_excel_file_that_grows_beyond_reason_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx")
    rewritten(path, b"<sheetData>", b"<sheetData>" + b" " * (40 << 20))
    with pytest.raises(Unreadable, match="bytes that unpack to 419"):
        open_sheet(path, "t.xlsx")


def test_an_excel_sheet_whose_first_rows_are_damaged_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx")
    rewritten(path, b"<sheetData>", b"<sheetData><row><c")
    with pytest.raises(Unreadable, match=r"t\.xlsx is damaged"):
        open_sheet(path, "t.xlsx")


def test_an_excel_file_without_a_sheet_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx")
    with zipfile.ZipFile(path) as archive:
        (entry,) = re.findall(rb"<sheet .*?/>", archive.read("xl/workbook.xml"))
    rewritten(path, entry, b"")
    with pytest.raises(Missing, match=r"t\.xlsx has no sheet of cells"):
        open_sheet(path, "t.xlsx")


def test_rows_that_reach_to_the_last_column_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular, "MAX_WIDE_ROWS", 3)
    path = workbook(tmp_path / "t.xlsx")
    wide = b"".join(b'<row r="%d"><c r="XFD%d"/></row>' % (n, n) for n in range(3, 8))
    rewritten(path, b"</sheetData>", wide + b"</sheetData>")
    with pytest.raises(Unreadable, match="more than 3 rows of more than 2000 cells"):
        list(open_sheet(path, "t.xlsx").rows)


def test_a_folder_or_a_pipe_named_like_a_table_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    os.mkfifo(tmp_path / "p.csv")
    for name in ("f.csv", "p.csv"):
        with pytest.raises(Unreadable, match="is no file but a folder, a pipe or a device"):
            open_sheet(tmp_path / name, name)
        assert column_names(tmp_path / name) == []


def test_a_table_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "MAX_ROWS", 3)
    sheet = open_sheet(csv(tmp_path, "a,b\n1,2\n3,4\n5,6\n"), "t.csv")
    with pytest.raises(Unreadable, match=r"t\.csv has more than 3 rows"):
        list(sheet.rows)


def test_column_names_are_read_from_the_head_only(tmp_path: Path) -> None:
    path = csv(tmp_path, "Datei;Los\n" + "x;y\n" * 50_000)
    assert column_names(path) == ["Datei", "Los"]
    assert column_names(tmp_path / "absent.csv") == []


@pytest.mark.parametrize(
    ("text", "decimal", "problem"),
    [
        ("1,234", None, "could be a thousand or a fraction"),
        ("1.5", ",", "has a decimal point"),
        ("inf", ".", "is not finite"),
        ("1e999", ".", "is not finite"),
        ("0x10", ".", "is not a number"),
        ("1,5", ".", "is not a number"),
        ("12 µm", ".", "is not a number"),
        ("1_000", ".", "is not a number"),
    ],
)
def test_what_is_no_number_is_refused(text: str, decimal: str | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        number(text, decimal)


def test_the_decimal_sign_is_proven_by_any_number_that_allows_one_only() -> None:
    assert decimal_sign(["7", "1,234", "0,5"]) == ","
    assert decimal_sign(["7", "1,234"]) is None
    assert decimal_sign(["1,234.5"]) == "."
    assert number("0,125", ",") == 0.125


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-03", "2026-07-03"),
        ("2026/7/3 8:05", "2026-07-03T08:05:00"),
        ("20260703", "2026-07-03"),
        ("20260703080509", "2026-07-03T08:05:09"),
        ("2026-07-03T08:05:09.25+01:00", "2026-07-03T08:05:09.250000+01:00"),
        ("03.07.2026, 08:05", "2026-07-03T08:05:00"),
        ("7/25/2026 12:05 am", "2026-07-25T00:05:00"),
    ],
)
def test_common_forms_of_a_moment(text: str, expected: str) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-02-30", "3/7/26", "1712010112000", "2026-07-03 25:00", "2026-07-03 13:00 pm"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        moment(text)


def test_dates_that_prove_both_orders_prove_none() -> None:
    assert day_first(["25/7/2026", "7/25/2026"]) is None
