"""From the rows of one image to its columns: what they agree on, numbers, moments, boxes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate import shapes
from curate.cell_values import day_first, decimal_sign, moment, number
from curate.errors import Unreadable
from curate.faults import Fault
from curate.images import read_hw
from curate.table_records import Record

TEXTS = (
    "product", "lot", "panel", "piece", "position", "section", "station", "camera", "lighting", "site",
    "operator", "licence", "citation",
)  # fmt: skip
IDENTITY = frozenset({"category", "split", "part_id", "product", "lot", "panel", "piece", "section"})
CORNERS, EXTENT = ("x0", "y0", "x1", "y1"), ("x", "y", "w", "h")
UNITS = {"px": "px", "pixel": "px", "pixels": "px", "um": "um", "µm": "um", "μm": "um", "micron": "um"}
ROUNDING = 3  # digits of a pixel; a conversion must not push an edge over the border


@dataclass
class Gatherer:
    """Reads the rows of images; collects what is wrong.

    Attributes:
        decimal: "," or "."; None where the tables do not tell.
        days_first: whether 3/7/2026 is 3 July; None where nothing tells.
        unit: of boxes whose columns do not name one: "px", "um", or None.
        anchor: what x and y of a box with w and h are: its "corner" (upper left) or its "centre".
    """

    decimal: str | None = "."
    days_first: bool | None = None
    unit: str | None = "px"
    anchor: str = "corner"
    faults: list[Fault] = field(default_factory=list)

    def add(self, code: str, path: str, message: str, remedy: str = "Correct the row.") -> None:
        """Note an error."""
        self.faults.append(Fault(code, "error", path, message, remedy))

    def agreed(self, path: str, group: Sequence[Record], names: Iterable[str]) -> dict[str, str] | None:
        """What the rows of an image say; a column they differ in is left empty, and reported.

        Returns:
            Our column -> text; None where they differ in what makes it this image of this part.
        """
        if len(group) == 1:
            return {name: group[0].values[name] for name in names if name in group[0].values}
        found: dict[str, str] = {}
        torn = False
        for name in names:
            said: dict[str, Record] = {}
            for row in group:
                if name in row.values:
                    said.setdefault(row.values[name], row)
            if len(said) == 1:
                found[name] = next(iter(said))
            elif said:
                torn |= name in IDENTITY
                outcome = "the image is left out" if name in IDENTITY else f"its {name} stays empty"
                self.contradiction(path, name, said, outcome)
        return None if torn else found

    def contradiction(self, path: str, name: str, said: Mapping[str, Record], outcome: str) -> None:
        """Note that the rows of an image differ."""
        words = " but ".join(f'{row.where}, says {name} "{text}"' for text, row in list(said.items())[:3])
        self.add("contradicting_rows", path, f"{path}: {words}; {outcome}.", "Correct the wrong row.")

    def quantity(self, path: str, group: Sequence[Record], name: str) -> float | None:
        """A positive number that the rows of an image agree on; what is none is reported."""
        found: dict[float, Record] = {}
        for row in group:
            text = row.values.get(name)
            if text is None:
                continue
            try:
                value = number(text, self.decimal)
                if value <= 0:
                    raise ValueError("is not above 0")
                found.setdefault(value, row)
            except ValueError as error:
                self.bad_value(path, row, name, error)
        if len(found) > 1:
            said = {f"{value:g}": row for value, row in found.items()}
            self.contradiction(path, name, said, f"its {name} stays empty")
        return next(iter(found)) if len(found) == 1 else None

    def moment(self, path: str, group: Sequence[Record], name: str = "captured_at") -> str | None:
        """The earliest moment that the rows of an image give; what is none is reported."""
        found = []
        for row in group:
            if text := row.values.get(name):
                try:
                    found.append(moment(text, self.days_first))
                except ValueError as error:
                    self.bad_value(path, row, name, error)
        return min(found, default=None)

    def bad_value(self, path: str, row: Record, name: str, problem: object) -> None:
        """Note a cell that cannot be read."""
        message = f'{row.where}: {name} "{row.values[name][:80]}" {problem}; it is left empty.'
        self.add("bad_value", path, message, "Correct the cell.")

    def corners(self, path: str, row: Record, um_per_px: float | None) -> list[float] | None:
        """x0, y0, x1, y1 in px of a row's box, unchecked; None without one, and, reported, without sense."""
        values = row.values
        try:
            for names, unit in _forms(values, self.unit):
                if absent := [name for name in names if name not in values]:
                    raise ValueError(f"has no {', '.join(absent)}")
                numbers = [number(values[name], self.decimal) for name in names]
                if names[2].startswith("w"):
                    numbers = _extended(numbers, self.anchor)
                return [round(value / _px(unit, um_per_px), ROUNDING) for value in numbers]
        except ValueError as error:
            self.add("bad_box", path, f"{row.where}: the box of {path} {error}; it is left out.")
        return None

    def boxes(
        self, path: str, file: Path, found: Sequence[tuple[Record, list[float], str]]
    ) -> list[dict[str, Any]] | None:
        """Boxes of an image as the sample table holds them; what leaves the image is reported."""
        if not found:
            return None
        try:
            image_hw: tuple[int, int] | None = read_hw(file)
        except Unreadable:
            image_hw = None  # taking the image in reports it
        boxes = []
        for row, corners, defect_type in found:
            box = shapes.box(corners, defect_type, image_hw)
            if isinstance(box, str):
                self.add("bad_box", path, f"{row.where}: the box of {path} {box}; it is left out.")
            elif box not in boxes:
                boxes.append(box)
        return boxes or None


def _forms(values: Mapping[str, str], unit: str | None) -> Iterable[tuple[tuple[str, ...], str | None]]:
    """The sets of columns that a row gives a box in, with their unit; pixels first."""
    for suffix, own in (("_px", "px"), ("_um", "um")):
        names = tuple(f"{name}{suffix}" for name in EXTENT)
        if any(name in values for name in names):
            yield names, own
    for names in (CORNERS, EXTENT):
        if any(name in values for name in names):
            stated = values.get("box_unit", unit or "")
            yield names, UNITS.get(stated.casefold().strip(), stated)


def _extended(numbers: list[float], anchor: str) -> list[float]:
    """Corners from x, y, w, h."""
    x, y, w, h = numbers
    if min(w, h) <= 0:
        raise ValueError(f"has the size {w:g} x {h:g}")
    left, top = (x - w / 2, y - h / 2) if anchor == "centre" else (x, y)
    return [left, top, left + w, top + h]


def _px(unit: str | None, um_per_px: float | None) -> float:
    """How many of the unit make a pixel."""
    if unit == "px":
        return 1.0
    if unit == "um":
        if um_per_px is None:
            raise ValueError("is in µm, but um_per_px of the image is not known")
        return um_per_px
    raise ValueError(
        f'has the unit "{unit}", expected px or um' if unit else "has no unit; say the option box_unit"
    )


def whole_boxes(sources: Mapping[str, str], table: str) -> tuple[set[str], list[Fault]]:
    """Columns of boxes that a table has only in part, such as x and y without a size; they give no box."""
    partial: set[str] = set()
    whole = False
    for names in (CORNERS, EXTENT, *(tuple(f"{name}{unit}" for name in EXTENT) for unit in ("_px", "_um"))):
        mapped = {name for name in names if name in sources}
        whole |= len(mapped) == len(names)
        partial |= mapped if len(mapped) < len(names) else set()
    if not partial or whole:
        return partial, []
    had = ", ".join(f'"{sources[name]}"' for name in sorted(partial))
    message = (
        f"{table} has {had} for boxes, but not all four of x, y, w, h or x0, y0, x1, y1; no box is read."
    )
    remedy = "Map the missing columns with the option columns, or leave it so."
    return partial, [Fault("bad_box", "warning", table, message, remedy)]


def habits(
    rows: Collection[Record], quantities: Collection[str], decimal: str | None, days_first: bool | None
) -> tuple[str | None, bool | None]:
    """Decimal sign and order of day and month of tables; as told, else as their cells prove."""
    if decimal not in (None, ".", ","):
        raise ValueError(f'The option decimal must be "." or ",", not "{decimal}".')
    if decimal is None:
        texts = (row.values[name] for row in rows for name in quantities if name in row.values)
        decimal = decimal_sign(texts)
    if days_first is None:
        days_first = day_first(row.values["captured_at"] for row in rows if "captured_at" in row.values)
    return decimal, days_first
