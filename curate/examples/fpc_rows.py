"""The rows of the example's table: what an inspection machine says of drawn circuits, and planted faults."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

COLUMNS = (
    "PIC", "ITEM", "LOT", "PNL", "PCS", "SHOT", "AREA", "AOI", "CAM", "LED", "TS", "RES_UM", "JDG", "NG",
    "DX", "DY", "DW", "DH", "VRS", "VRS_TYPE", "MEMO",
)  # fmt: skip
MAPPING = {
    "image": "PIC", "product": "ITEM", "lot": "LOT", "panel": "PNL", "piece": "PCS", "position": "SHOT",
    "section": "AREA", "station": "AOI", "camera": "CAM", "lighting": "LED", "captured_at": "TS",
    "um_per_px": "RES_UM", "result": "JDG", "machine_code": "NG", "x_um": "DX", "y_um": "DY", "w_um": "DW",
    "h_um": "DH", "verified_label": "VRS", "verified_defect_type": "VRS_TYPE",
}  # fmt: skip
CODES = {
    "D01": ("scratch", ""), "D02": ("foreign_particle", ""), "D03": ("bubble", ""), "D04": ("stain", ""),
    "D05": ("open", ""), "D06": ("mousebite", ""), "D07": ("pinhole", ""),
    "F90": ("", "normal"), "U00": ("", "unknown"),
}  # fmt: skip
CODE_OF = {defect_type: code for code, (defect_type, _) in CODES.items() if defect_type}
SHIFT_BEGINS = datetime(2026, 7, 3, 6, 0, 0)
Row = dict[str, str]


@dataclass
class Shot:
    """One image of the example.

    Attributes:
        defects: names of the defects drawn on it, none on a normal one.
        boxes_px: box around each, x0, y0, x1, y1; known once it is drawn.
        um_per_px: scale; known once it is drawn.
    """

    lot: str
    panel: str
    piece: int
    section: str
    defects: tuple[str, ...] = ()
    name: str = ""
    boxes_px: list[tuple[int, int, int, int]] = field(default_factory=list)
    um_per_px: float = 1.0

    @property
    def path(self) -> str:
        """Below the example's folder."""
        name = self.name or f"{self.lot}_{self.panel}_{self.piece}_{self.section}.png"
        return f"images/{self.lot}/{self.section}/{name}"


@dataclass(frozen=True)
class Planted:
    """A fault put in on purpose.

    Attributes:
        code: that the reader gives it.
        row: of the table; None for an image without one.
        about: what is wrong, for the README.
    """

    code: str
    row: int | None
    about: str


def decimal(value: float) -> str:
    """A number with a decimal comma.

    >>> decimal(12.5), decimal(3.0)
    ('12,5', '3')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", ",")


class Table:
    """The table as it grows; row 1 has the column names."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.planted: list[Planted] = []

    def add(self, row: Row, *more: str) -> int:
        """Append a row, with cells too many if asked; returns its number."""
        self.rows.append([row.get(name, "") for name in COLUMNS] + list(more))
        return len(self.rows) + 1

    def plant(self, code: str, row: Row, about: str, *more: str) -> int:
        """Append a row that has a fault."""
        number = self.add(row, *more)
        self.planted.append(Planted(code, number, about))
        return number


def base(shot: Shot, order: int, judged: str = "OK", **changed: str) -> Row:
    """What the machine writes for an image without a defect."""
    when = SHIFT_BEGINS + timedelta(seconds=47 * order)
    return {
        "PIC": shot.path.rpartition("/")[2],
        "ITEM": "FX7",
        "LOT": shot.lot,
        "PNL": shot.panel,
        "PCS": str(shot.piece),
        "SHOT": {"acf": "1", "coverlay": "2", "sus": "3"}[shot.section],
        "AREA": shot.section.upper(),
        "AOI": "AOI-2",
        "CAM": "C1" if shot.section == "acf" else "C2",
        "LED": "ring",
        "TS": f"{when:%d.%m.%Y %H:%M:%S}",
        "RES_UM": decimal(shot.um_per_px),
        "JDG": judged,
        "MEMO": str(order),
        **changed,
    }


def boxed(box_px: tuple[int, int, int, int], um_per_px: float) -> Row:
    """The cells of a box, in micrometres."""
    x0, y0, x1, y1 = (value * um_per_px for value in box_px)
    return {"DX": decimal(x0), "DY": decimal(y0), "DW": decimal(x1 - x0), "DH": decimal(y1 - y0)}


def of_shot(shot: Shot, order: int) -> list[Row]:
    """The machine's rows for an image: one, or one per defect."""
    if not shot.defects:
        return [base(shot, order)]
    return [
        base(shot, order, "NG", NG=CODE_OF[name], **boxed(box, shot.um_per_px))
        for name, box in zip(shot.defects, shot.boxes_px, strict=True)
    ]


def filled(shots: dict[str, list[Shot]]) -> Table:
    """The whole table.

    Args:
        shots: role -> images; see curate.examples.fpc.
    """
    table = Table()
    order = 0

    def rows(role: str, **changed: str) -> list[tuple[Shot, Row]]:
        nonlocal order
        found = []
        for shot in shots[role]:
            order += 1
            found += [(shot, {**row, **changed}) for row in of_shot(shot, order)]
        return found

    for _, row in rows("plain"):
        table.add(row)
    some_box = (40, 30, 90, 60)
    for shot, row in rows("false call", JDG="NG", NG="F90"):
        table.add(row | boxed(some_box, shot.um_per_px))
    for shot, row in rows("not sure", JDG="NG", NG="U00"):
        table.add(row | boxed(some_box, shot.um_per_px))
    for shot, row in rows("verified good", JDG="NG", NG="D01", VRS="OK"):
        table.add(row | boxed(some_box, shot.um_per_px))
    for _, row in rows("escape"):
        empty = dict.fromkeys(("NG", "DX", "DY", "DW", "DH"), "")
        table.add(row | empty | {"JDG": "OK", "VRS": "NG", "VRS_TYPE": shots["escape"][0].defects[0]})
    _plant(table, {role: rows(role) for role in shots if role.startswith("!")})
    table.planted += [
        Planted("image_without_row", None, f"{shot.path}: in no row that is used")
        for shot in (*shots["no row"], *shots["!same name"])
    ]
    return table


def _plant(table: Table, rows: dict[str, list[tuple[Shot, Row]]]) -> None:
    """The rows with faults; the roles of their images begin with "!"."""
    plant = table.plant
    any_row = rows["!repeated"][0][1]
    for lot in ("L2605C", "L2605D", "L2606A"):
        plant("row_without_image", any_row | {"PIC": f"{lot}_P1_1_acf.png"}, "the image was never exported")
    outside = any_row | {"PIC": "..\\..\\archive\\L2604A_P1_1_acf.png"}
    plant("path_outside", outside, "the path climbs out of the folder")
    table.add(any_row)
    plant("duplicate_row", any_row, "the row before, once more")
    row = rows["!torn"][0][1]
    table.planted.append(Planted("contradicting_rows", table.add(row), "OK here, NG in the next row"))
    table.add(row | {"JDG": "NG"})
    row = rows["!two lots"][0][1]
    table.planted.append(Planted("contradicting_rows", table.add(row), "another lot in the next row"))
    table.add(row | {"LOT": "L2607X"})
    for _, row in rows["!odd code"]:
        plant("unknown_code", row | {"JDG": "NG", "NG": "D77"}, "D77 is not in codes.csv")
    wrong: list[dict[str, Any]] = [{"DX": "99000"}, {"DW": "0"}, {"DH": "inf"}, {"RES_UM": ""}]
    reasons = ("right of the image", "no width", "endless", "in µm, but RES_UM is empty")
    for (_, row), change, about in zip(rows["!odd box"], wrong, reasons, strict=True):
        plant("bad_box", row | change, f"box {about}")
    row = rows["!odd values"][0][1]
    number = plant("bad_value", row | {"RES_UM": "1,O", "TS": "31.02.2026 06:00:00"}, "O for 0 in RES_UM")
    table.planted.append(Planted("bad_value", number, "31 February"))
    plant("ambiguous_image", rows["!same name"][0][1], "two folders have an image of this name")
    plant("unknown_label", rows["!odd word"][0][1] | {"JDG": "RETRY"}, "RETRY is neither OK nor NG")
    plant("bad_row", any_row, "two cells more than columns", "x", "y")
