"""CSV, XML, Excel and Parquet that are wrong in the ways of their kind."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from random import Random

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.mutations import ANY, N_REPEATED, TEXT, WORDS, Mutation
from tests.fuzz.paths import CANARY, HOSTILE_PATHS

Cells = list[list[str]]


def _cells(content: bytes) -> Cells:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def _written(cells: Cells) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(cells)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _on_cells(edit: Callable[[Cells, Random], None]) -> Mutation:
    def mutation(content: bytes, rng: Random) -> bytes:
        cells = _cells(content)
        edit(cells, rng)
        return _written(cells)

    mutation.__name__ = edit.__name__.strip("_")
    return mutation


def _cell(cells: Cells, rng: Random) -> None:
    row = rng.choice(cells[1:] or cells)
    row[rng.randrange(len(row))] = rng.choice(WORDS)


def _cell_path(cells: Cells, rng: Random) -> None:
    row = rng.choice(cells[1:] or cells)
    row[rng.randrange(len(row))] = rng.choice(HOSTILE_PATHS)


def _column_paths(cells: Cells, rng: Random) -> None:
    """A whole column leads out of the dataset."""
    at = rng.randrange(len(cells[0]))
    for row in cells[1:]:
        row[at : at + 1] = [rng.choice(HOSTILE_PATHS)]


def _column_words(cells: Cells, rng: Random) -> None:
    at, word = rng.randrange(len(cells[0])), rng.choice(WORDS)
    for row in cells[1:]:
        row[at : at + 1] = [word]


def column_led_outside(at: int) -> Mutation:
    """A mutation of CSV: every cell of one column leads out of the dataset."""

    def mutation(content: bytes, rng: Random) -> bytes:
        cells = _cells(content)
        column, hostile = at % len(cells[0]), rng.choice(HOSTILE_PATHS)
        for row in cells[1:]:
            row[column : column + 1] = [hostile]
        return _written(cells)

    mutation.__name__ = f"column_{at}_led_outside"
    return mutation


def _columns_counted(cells: Cells, rng: Random) -> None:
    """Rows with too few and with too many cells."""
    for row in cells:
        row[rng.randrange(len(row) + 1) :] = [] if rng.random() < 0.5 else ["x"] * rng.randint(1, 40)


def _header(cells: Cells, rng: Random) -> None:
    """Column names that are lost, there twice, or hostile."""
    names = cells[0]
    names[rng.randrange(len(names))] = rng.choice((*WORDS, *names))


def _headless(cells: Cells, rng: Random) -> None:
    del cells[0]


def _wide(cells: Cells, rng: Random) -> None:
    for row in cells:
        row.extend(["x"] * 3000)


def _rows_again(cells: Cells, rng: Random) -> None:
    cells.extend([list(rng.choice(cells)) for _ in range(3)] * (N_REPEATED // 3))


def _contradicting(cells: Cells, rng: Random) -> None:
    """The rows once more, with the cells of one column in another order."""
    at = rng.randrange(len(cells[0]))
    column = [row[at] for row in cells[1:]]
    rng.shuffle(column)
    cells.extend([*row[:at], word, *row[at + 1 :]] for row, word in zip(cells[1:], column, strict=True))


def unclosed(content: bytes, rng: Random) -> bytes:
    """A quote that is never closed."""
    at = rng.choice([0, *(match.end() for match in re.finditer(rb"[,\n]", content))])
    return content[:at] + b'"' + content[at:]


def separators(content: bytes, rng: Random) -> bytes:
    return content.replace(b",", rng.choice((b";", b"\t", b"|", b":", b" ", b", ", b",,", b"\x00", b"\x1f")))


_EDITS = (
    *[_cell] * 3, *[_cell_path] * 3, *[_column_paths] * 2, *[_column_words] * 2, *[_columns_counted] * 2,
    *[_header] * 2, _headless, _wide, _rows_again, _contradicting,
)  # fmt: skip
CSV: tuple[Mutation, ...] = (
    *TEXT, *map(_on_cells, _EDITS), unclosed, unclosed, separators, *map(column_led_outside, range(10)),
)  # fmt: skip


def excel(content: bytes) -> bytes:
    """A CSV table as an Excel file."""
    book = openpyxl.Workbook()
    for row in _cells(content):
        book.active.append(row)
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def parquet(content: bytes) -> bytes:
    """A CSV table as a Parquet file."""
    names, *rows = _cells(content)
    columns = {name: [row[at] if at < len(row) else "" for row in rows] for at, name in enumerate(names)}
    saved = io.BytesIO()
    pq.write_table(pa.table(columns), saved)
    return saved.getvalue()


def member_changed(content: bytes, rng: Random) -> bytes:
    """One part of an Excel file is damaged inside of an archive that is whole."""
    parts = _members(content)
    name = rng.choice(sorted(parts))
    parts[name] = rng.choice((*ANY, external_entity, laughs))(parts[name], rng)
    return _zipped(parts)


def member_lost(content: bytes, rng: Random) -> bytes:
    parts = _members(content)
    del parts[rng.choice(sorted(parts))]
    return _zipped(parts)


def member_outside(content: bytes, rng: Random) -> bytes:
    return _zipped(_members(content) | {f"../../{CANARY}.png": b"x", "/etc/passwd": b"x"})


def zip_bomb(content: bytes, rng: Random) -> bytes:
    """A sheet of 100 MB of blanks in 100 kB."""
    parts = _members(content)
    sheet = next(name for name in parts if name.endswith("sheet1.xml"))
    return _zipped(parts | {sheet: parts[sheet].replace(b"<sheetData>", b"<sheetData>" + b" " * (100 << 20))})


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(parts: dict[str, bytes]) -> bytes:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return saved.getvalue()


EXCEL: tuple[Mutation, ...] = (*ANY, *[member_changed] * 12, *[member_lost] * 4, member_outside)
PARQUET: tuple[Mutation, ...] = (*ANY, *ANY)


def laughs(content: bytes, rng: Random) -> bytes:
    """Entities of entities: a kilobyte that stands for gigabytes."""
    entities = b"".join(
        b'<!ENTITY l%d "%s">' % (n, b"lol" if n == 0 else b"&l%d;" % (n - 1) * 10) for n in range(10)
    )
    return b"<!DOCTYPE annotation [" + entities + b"]>" + _in_text(content, rng, b"&l9;")


def external_entity(content: bytes, rng: Random) -> bytes:
    place = rng.choice((b"file:///etc/passwd", f"../{CANARY}.png".encode(), b"http://localhost:1/x"))
    kind = rng.choice((b'<!ENTITY x SYSTEM "%s">', b'<!ENTITY %% x SYSTEM "%s"> %%x;'))
    return b"<!DOCTYPE annotation [" + kind % place + b"]>" + _in_text(content, rng, b"&x;")


def outer_type(content: bytes, rng: Random) -> bytes:
    return b'<!DOCTYPE annotation SYSTEM "file:///etc/passwd">' + content


def xml_deep(content: bytes, rng: Random) -> bytes:
    return _in_text(content, rng, b"<a>" * 100_000 + b"</a>" * rng.choice((0, 100_000)))


def xml_word(content: bytes, rng: Random) -> bytes:
    return _in_text(content, rng, re.sub(r"[<&\x00]", "", rng.choice(WORDS)).encode())


def xml_path(content: bytes, rng: Random) -> bytes:
    word = re.sub(r"[<&\x00\ud800]", "", rng.choice(HOSTILE_PATHS))
    return _in_text(content, rng, word.encode())


def xml_element(content: bytes, rng: Random) -> bytes:
    """An element is lost, renamed, or there thousands of times."""
    found = list(re.finditer(rb"<(\w+)>[^<]*</\1>|<object>.*?</object>", content, re.S))
    if not found:
        return content
    match = rng.choice(found)
    times = rng.choice((0, 0, 2, N_REPEATED))
    return content[: match.start()] + match[0] * times + content[match.end() :]


def _in_text(content: bytes, rng: Random, word: bytes) -> bytes:
    found = list(re.finditer(rb">[^<]*</", content))
    if not found:
        return content + word
    match = rng.choice(found)
    return content[: match.start() + 1] + word + content[match.end() - 2 :]


XML: tuple[Mutation, ...] = (
    *TEXT, laughs, laughs, external_entity, external_entity, external_entity, outer_type, xml_deep, xml_deep,
    *[xml_word] * 8, *[xml_path] * 6, *[xml_element] * 6,
)  # fmt: skip
