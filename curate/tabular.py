"""Reads tables that machines and people export: CSV, Parquet, Excel; each cell as text, each row numbered.

A row's number is the one that a spreadsheet shows: the column names are row 1. In Parquet, which has no such
row, the first row is 1. Excel files give their values, never formulas, and are refused when they unpack to
more than MAX_UNPACKED bytes, or to so much more than their size that nobody can have typed or measured it.
"""

import codecs
import csv
import io
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from curate.annotation_files import MAX_BYTES
from curate.cell_values import Numeral
from curate.errors import DataFault, Missing, Unreadable
from curate.faults import shown

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".parquet", ".xlsx"})
SEPARATORS = ";\t,|"
HEAD_BYTES = 1 << 16
MAX_UNPACKED = 1 << 29
MAX_GROWTH, ALWAYS_UNPACKED = 200, 1 << 25  # tables of real cells grow 5 to 50 times
MAX_WIDE_ROWS = 1000
MAX_COLUMNS = 2000
MAX_ROWS = 5_000_000
PARQUET_BATCH = 10_000
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Sheet:
    """An open table.

    Attributes:
        name: as messages name it: the path from the dataset's root, or the file's name.
        folder: relative folder that its paths start from ("" is the root).
        columns: names in the first row, without surrounding blanks.
        rows: number and cells of each row that is not blank, read once; may have too few or too many cells.
    """

    name: str
    folder: str
    columns: list[str]
    rows: Iterator[Row] = field(repr=False)


def open_sheet(
    path: Path,
    name: str,
    folder: str = "",
    encoding: str | None = None,
    sheet: str | None = None,
    header_row: int = 1,
) -> Sheet:
    """Open a table and read its column names.

    Args:
        encoding: of CSV; UTF-8, with or without a byte order mark, unless told.
        sheet: of an Excel file; its first one unless told.
        header_row: number of the row with the column names, where lines of another kind stand above it.

    Raises:
        Missing: there is no such file or sheet.
        Unreadable: it is no table, or not one in this encoding.
        ValueError: unknown kind of file or encoding.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise Missing(f"Missing: the table {shown(path)} cannot be reached ({error.strerror}).") from error
    if not stat.S_ISREG(found.st_mode):
        raise _bad(name, "is no file but a folder, a pipe or a device")
    if (size_bytes := found.st_size) > MAX_BYTES:
        raise _bad(name, f"has {size_bytes} bytes, more than {MAX_BYTES}")
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f'The table {name} ends in "{kind}"; expected {", ".join(sorted(SUFFIXES))}.')
    try:
        if kind == ".parquet":
            columns, rows = _parquet(path)
        else:
            is_excel = kind == ".xlsx"
            lines = _excel(path, name, sheet) if is_excel else _csv(_decoded(path, name, encoding))
            columns, rows = _headed(lines, name, header_row)
    except (OSError, csv.Error) as error:
        raise _bad(name, f"cannot be read as a table ({error})") from error
    if not any(columns):
        raise _bad(name, f"has no column names in row {header_row}")
    if len(columns) > MAX_COLUMNS:
        raise _bad(name, f"has {len(columns)} columns, more than {MAX_COLUMNS}")
    return Sheet(name, folder, columns, _guarded(rows, name))


def column_names(path: Path) -> list[str]:
    """Column names of a table, from its first bytes; none where that is no table that can be read."""
    try:
        if not path.is_file():
            return []
        if path.suffix.lower() in (".parquet", ".xlsx"):
            return open_sheet(path, path.name).columns
        with path.open("rb") as file:
            text = file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")
        return _headed(_csv(text), path.name, 1)[0]
    except (DataFault, Missing, Unreadable, ValueError, OSError, csv.Error):
        return []


def _bad(name: str, problem: str) -> Unreadable:
    return Unreadable(f"Unreadable: the table {shown(name)} {problem}. Correct it, or export it again.")


def _guarded(rows: Iterable[Row], name: str) -> Iterator[Row]:
    """Rows that are not blank; what a damaged file raises becomes a message."""
    try:
        for number, cells in rows:
            if number > MAX_ROWS:
                raise _bad(name, f"has more than {MAX_ROWS} rows")
            if any(cells):
                yield number, cells
    except (Missing, Unreadable):
        raise
    except Exception as error:  # csv, zip, XML and Parquet readers raise many kinds on damaged files
        raise _bad(name, f"is damaged ({error})") from error


def _headed(lines: Iterator[Row], name: str, header_row: int) -> tuple[list[str], Iterator[Row]]:
    if header_row < 1:
        raise ValueError(f"header_row must be 1 or more, not {header_row}.")
    for number, cells in lines:
        if number >= header_row and any(cells):
            while cells and not cells[-1]:
                cells.pop()
            return cells, lines
    raise _bad(name, "is empty" if header_row == 1 else f"has no row {header_row} with column names")


def _decoded(path: Path, name: str, encoding: str | None) -> str:
    chosen = encoding or "utf-8-sig"
    try:
        is_text = getattr(codecs.lookup(chosen), "_is_text_encoding", True)
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError(
            f'Unknown encoding "{encoding}". Known, among others: utf-8, cp1252, shift_jis, gb18030.'
        )
    content = path.read_bytes()
    try:
        text = content.decode(chosen)
    except UnicodeError as error:
        place = getattr(error, "start", 0)
        line = content.count(b"\n", 0, place) + 1
        likely = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252, shift_jis or gb18030"
        raise Unreadable(
            f"Unreadable: the table {shown(name)} is not {encoding or 'UTF-8'} text (line {line}, "
            f'byte {place}). Save it as "CSV UTF-8", or say with the option encoding how it is written, '
            f"e.g. {likely}."
        ) from error
    if "\x00" in text:
        raise _bad(name, "holds zero bytes, so it is not the text that it seems to be")
    return text


def _csv(text: str) -> Iterator[Row]:
    """Rows of comma-, semicolon-, tab- or bar-separated text; the separator is that of most columns."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    first = lines.readline()
    told = first.strip().lower()
    skipped = 0
    if told.startswith("sep=") and len(told) == 5:  # Excel's own way to say it
        separator, skipped = told[4], 1
    else:
        lines.seek(0)
        separator = _separator(text)
    reader = csv.reader(lines, delimiter=separator)
    for number, cells in enumerate(reader, start=1 + skipped):
        yield number, [cell.strip() for cell in cells]


def _separator(text: str) -> str:
    """The separator that gives the first of the first lines with any the most cells."""
    for line in text[:HEAD_BYTES].splitlines():
        counts = {sign: len(next(csv.reader([line], delimiter=sign), [])) for sign in SEPARATORS}
        best = max(counts, key=lambda sign: counts[sign])
        if counts[best] > 1:
            return best
    return ","


def _parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = [str(name).strip() for name in file.schema_arrow.names]
    except Exception as error:  # pyarrow raises many kinds on damaged files, UnicodeDecodeError among them
        raise OSError(str(error)) from error

    def rows() -> Iterator[Row]:
        number = 0
        for batch in file.iter_batches(PARQUET_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            for values in zip(*columns, strict=True):
                number += 1
                yield number, [as_text(value) for value in values]

    return names, rows()


def _excel(path: Path, name: str, sheet: str | None) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _bad(name, f"is not an Excel file ({error})") from error
    size_bytes = path.stat().st_size
    if unpacked > min(MAX_UNPACKED, max(size_bytes * MAX_GROWTH, ALWAYS_UNPACKED)):
        raise _bad(name, f"has {size_bytes} bytes that unpack to {unpacked}, too many for a table")
    return _guarded(_excel_rows(path, name, sheet), name)


def _excel_rows(path: Path, name: str, sheet: str | None) -> Iterator[Row]:
    from openpyxl import load_workbook

    with path.open("rb") as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # openpyxl raises many kinds on files that are no workbook
            raise _bad(name, f"is not an Excel file ({error})") from error
        pages = {page.title: page for page in book.worksheets}
        if not pages or (sheet is not None and sheet not in pages):
            wanted = "no sheet of cells" if sheet is None else f'no sheet "{sheet}"'
            raise Missing(f"Missing: {shown(name)} has {wanted}. Sheets: {', '.join(pages) or 'none'}.")
        page = pages[sheet] if sheet is not None else next(iter(pages.values()))
        if hasattr(page, "reset_dimensions"):
            page.reset_dimensions()  # a wrong size in the file would hide rows
        n_wide = 0
        for number, values in enumerate(page.iter_rows(values_only=True), start=1):
            n_wide += len(values) > MAX_COLUMNS
            if n_wide > MAX_WIDE_ROWS:
                raise _bad(name, f"has more than {MAX_WIDE_ROWS} rows of more than {MAX_COLUMNS} cells")
            yield number, [as_text(value) for value in values]


def as_text(value: Any) -> str:
    """A cell's value as the text that a CSV export of it would hold; of a fraction, a Numeral.

    >>> as_text(3.0), as_text(None), as_text(float("nan")), as_text(datetime(2026, 7, 3, 8, 5))
    ('3', '', '', '2026-07-03T08:05:00')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else Numeral(repr(value))
    if isinstance(value, Decimal):
        return Numeral(str(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "; ".join(as_text(item) for item in value)
    return str(value).strip()
