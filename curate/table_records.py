"""Rows of tables, and the images that they speak of: found by path, by the end of a path, or by name."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from curate.annotation_files import leaves, located
from curate.cell_values import EMPTY, Numeral
from curate.faults import Fault, shown
from curate.images import SUFFIXES
from curate.table_columns import Columns
from curate.tabular import Sheet
from curate.walking import Tree

Translations = Mapping[str, Mapping[str, str]]
SHOWN = 120


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table.

    Attributes:
        table: the table's name in messages.
        folder: relative folder that the table's paths start from.
        row: its number in the table.
        values: our column -> text; without empty ones.
        whole: hash of all cells, also of the unused ones.
    """

    table: str
    folder: str
    row: int
    values: dict[str, str]
    whole: int

    @property
    def where(self) -> str:
        """The row, for messages."""
        return f"{self.table}, row {self.row}"


def records(
    sheet: Sheet,
    columns: Columns,
    faults: list[Fault],
    values: Translations | None = None,
    constants: Mapping[str, str] | None = None,
) -> list[Record]:
    """All rows of a table in terms of our columns.

    Args:
        faults: gets rows with too many cells, which are left out, and rows cut short.
        values: our column -> their word -> ours; in upper or lower case.
        constants: our column -> text, where a row does not say.
    """
    words = {
        ours: {theirs.casefold(): word for theirs, word in table.items()}
        for ours, table in (values or {}).items()
    }
    texts: dict[str, str] = {}
    found = []
    n_columns = len(sheet.columns)
    for number, cells in sheet.rows:
        if len(cells) != n_columns:
            if any(cells[n_columns:]):
                problem = f"has {len(cells)} cells, but the table has {n_columns} columns; it is left out"
                faults.append(_of_row(sheet.name, number, "bad_row", "error", problem))
                continue
            if len(cells) < n_columns:
                problem = f"has {len(cells)} of {n_columns} cells; the others count as empty"
                faults.append(_of_row(sheet.name, number, "short_row", "warning", problem))
        taken = columns.values(cells)
        for ours, text in list(taken.items()):
            if ours in words and text.casefold() in words[ours]:
                text = words[ours][text.casefold()]
            if text.casefold() in EMPTY:
                del taken[ours]
            elif not isinstance(text, Numeral):  # equal texts share memory; a number equals its text
                taken[ours] = texts.setdefault(text, text)
        found.append(
            Record(sheet.name, sheet.folder, number, {**(constants or {}), **taken}, hash(tuple(cells)))
        )
    return found


def _of_row(table: str, row: int, code: str, severity: str, problem: str) -> Fault:
    kind = "error" if severity == "error" else "warning"
    return Fault(code, kind, table, f"{table}, row {row}: {problem}.", "Correct the row, or export it again.")  # type: ignore[arg-type]


class Images:
    """Finds the images of a folder by the paths or names that tables give."""

    def __init__(self, tree: Tree, prefix: str | None = None) -> None:
        """Index the images; `prefix`, and the root's own path, are cut from paths that begin so."""
        self.tree = tree
        beginnings = [_slashed(place).rstrip("/") for place in (prefix or "", str(tree.root.absolute()))]
        self._beginnings = [f"{place}/" for place in beginnings if place]
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._images: set[str] = set()
        for path in tree.files:
            name = path.rpartition("/")[2].casefold()
            stem, dot, suffix = name.rpartition(".")
            if f"{dot}{suffix}" in SUFFIXES:
                self._images.add(path)
                self._by_name.setdefault(name, []).append(path)
                self._by_stem.setdefault(stem, []).append(path)

    def find(self, named: str, folder: str) -> list[str]:
        """The images that a path or name fits: one; none; or several with equal names.

        The path may begin at the table's folder, at the root, or somewhere below it; the suffix may lack.
        """
        name = unicodedata.normalize("NFC", self.cut(named)).removeprefix("./")
        if leaves(name):
            return []
        for start in (folder, "") if folder else ("",):
            exact = located(self.tree, start, name) if "/" in name or start else name
            if exact in self._images:
                return [exact]
        end = name.casefold()
        last = end.rpartition("/")[2]
        fitting = [path for path in self._by_name.get(last, []) if _ends(path.casefold(), end)]
        if fitting:
            return fitting
        stems = self._by_stem.get(last, [])
        return [path for path in stems if _ends(path.casefold().rpartition(".")[0], end)]

    def cut(self, named: str) -> str:
        """A path without the prefix."""
        name = _slashed(named)
        for place in self._beginnings if "/" in name else ():
            if name[: len(place)].casefold() == place.casefold():
                return name[len(place) :]
        return name


def _slashed(path: str) -> str:
    return path.strip().replace("\\", "/")


def _ends(path: str, end: str) -> bool:
    return path == end or path.endswith(f"/{end}")


def by_image(
    images: Images, rows: Iterable[Record], column: str, faults: list[Fault]
) -> dict[str, list[Record]]:
    """Rows of each image, in the order of the tables; what names none, several or one outside is reported.

    Args:
        column: our column that names the image.
        faults: gets row_without_image, ambiguous_image, path_outside and duplicate_row.
    """
    known: dict[tuple[str, str], list[str]] = {}
    found: dict[str, list[Record]] = {}
    for row in rows:
        named = row.values.get(column, "")
        place = (named, row.folder)
        if place not in known:
            known[place] = images.find(named, row.folder) if named else []
        paths = known[place]
        if len(paths) == 1:
            found.setdefault(paths[0], []).append(row)
        else:
            faults.append(_unplaced(images, row, named, paths))
    return {path: list(_once(path, group, faults)) for path, group in found.items()}


def _once(path: str, group: list[Record], faults: list[Fault]) -> Iterator[Record]:
    first: dict[int, Record] = {}
    for row in group:
        earlier = first.setdefault(row.whole, row)
        if earlier is row or earlier.values != row.values:
            yield row
            continue
        message = f"{row.where} repeats row {earlier.row} of {earlier.table}; it counts once."
        faults.append(Fault("duplicate_row", "warning", path, message, "Remove one of them."))


def _unplaced(images: Images, row: Record, named: str, paths: list[str]) -> Fault:
    said = shown(named[:SHOWN])
    if not named:
        message = f"{row.where}: names no image; the row is left out."
        return Fault("row_without_image", "error", row.table, message, "Complete the row, or remove it.")
    if paths:
        some = ", ".join(paths[:3])
        message = f'{row.where}: "{said}" is the name of {len(paths)} images ({some}); the row is left out.'
        remedy = 'Put the folder before the name, or compose both: columns = {"image": "{Lot}/{File}"}.'
        return Fault("ambiguous_image", "error", paths[0], message, remedy, tuple(paths[1:]))
    if leaves(images.cut(named)):
        message = (
            f'{row.where}: "{said}" leads out of the folder; it is not followed, and the row is left out.'
        )
        remedy = "Say with the option prefix which beginning of the paths stands for the folder."
        return Fault("path_outside", "error", row.table, message, remedy)
    message = f'{row.where}: the image "{said}" is not in the folder; the row is left out.'
    return Fault("row_without_image", "error", row.table, message, "Add the image, or remove the row.")
