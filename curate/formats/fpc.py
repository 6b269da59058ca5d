"""Images of flexible printed circuits with the table of an inspection machine: CSV, Parquet or Excel.

The images may lie in any folders. The table has one row per image, or one per defect; its columns are those
of data_schemas/fpc_manifest.json, under these names, known other names, or as the option `columns` maps them.
A second table may say what the machine's codes stand for: defect types, false calls (label normal), or
nothing sure (label unknown).

Category: <product>_<section>, or the section where no product is named. Part: product/lot/panel/piece, so the
views of one circuit stay together in every split; `position` tells the views apart.

Label: a machine's verdict is not the truth. A person's (`verified_label`) overrules it. Without one, and with
the option trust = "machine", OK is normal and NG is what its code stands for; that is good enough to begin
with, and triage mends it. With trust = "none" all that no person has verified is unknown. The machine's code
is kept in `machine_code` in any case. A box counts as ground truth where the image is anomalous; that of an
unknown image is kept, and counts once a person says so.

The options may stand in a file curate-fpc.toml in the root.

Licence: of the data; the table may state one in its column `licence`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate import table_options
from curate.faults import Fault
from curate.fpc_images import PART, QUANTITIES, Circuits, known, missing
from curate.fpc_verdicts import TRUST, codes
from curate.readings import table as as_table
from curate.table_columns import resolve
from curate.table_records import Images, Record, by_image, records
from curate.table_values import UNITS, Gatherer, habits, whole_boxes
from curate.tabular import column_names
from curate.walking import Tree, is_file, walk

SETTINGS = "curate-fpc.toml"
KINDS = frozenset({".csv", ".tsv", ".parquet", ".xlsx"})
MAX_EXAMINED = 50
ANCHORS = ("corner", "centre")


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the root, or a folder in it, has a table of an inspection machine."""
    if table_options.has_file(root, SETTINGS):
        return []
    lacks = []
    for path in _candidates(root):
        lack = missing(column_names(path))
        if lack is None:
            return []
        lacks.append(f"{path.relative_to(root)} has {lack}")
    return lacks[:3] or [f"no table (CSV, Parquet, Excel) of an inspection machine, and no {SETTINGS}"]


def _candidates(root: Path) -> Iterator[Path]:
    """Tables in the root and in the folders of it, a limited number; a pipe is none, it may never answer."""
    n_found = 0
    for folder in (root, *(path for path, is_dir in _listed(root) if is_dir)):
        for path, is_dir in _listed(folder):
            if not is_dir and is_file(path):
                n_found += 1
                if n_found > MAX_EXAMINED:
                    return
                yield path


def _listed(folder: Path) -> list[tuple[Path, bool]]:
    """Folders and what ends like a table in a folder, sorted; light, because it may hold many images."""
    found = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                is_dir = entry.is_dir()
                suffix = entry.name[entry.name.rfind(".") :].lower()
                if entry.name[0] != "." and (is_dir or suffix in KINDS):
                    found.append((Path(entry.path), is_dir))
    except OSError:
        return []
    return sorted(found)


def read(
    root: Path,
    table: str | list[str] | None = None,
    columns: Mapping[str, str] | str | None = None,
    codes: Mapping[str, Any] | str | None = None,
    trust: str | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    constants: Mapping[str, str] | None = None,
    category: str | None = None,
    box_unit: str | None = None,
    box_anchor: str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    day_first: bool | None = None,
    header_row: int | None = None,
    prefix: str | None = None,
) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        table: path of the machine's table, below the root or else from the working directory; or several, or
            a pattern ("*/result.csv"). Unless told, those that are recognised, in the root and its folders.
        columns: our column -> theirs, or a text with theirs in braces ("{Lot}/{File}"); or a TOML or JSON
            file with that. "" leaves a column out.
        codes: a table with machine_code, defect_type and, where a code is no defect, label; or a mapping from
            code to defect type or label. Without it each code is a defect type of its own.
        trust: "machine" (unless told) or "none".
        values: our column -> their word -> ours: {"section": {"CVL": "coverlay"}}.
        constants: our column -> value, where a row does not say: {"um_per_px": 2.5, "site": "Plant 3"}.
        category: of all images.
        box_unit: "px" or "um", of x, y, w, h and x0, y0, x1, y1 without unit.
        box_anchor: what x and y with w and h are: the "corner" (upper left, unless told) or the "centre".
        sheet: of an Excel file.
        encoding: of a CSV file that is not UTF-8.
        decimal: "," or "." where numbers such as 1,234 leave it open.
        day_first: whether 3/7/2026 is 3 July, where no date of the table tells.
        header_row: number of the row with the column names.
        prefix: beginning of the table's paths that stands for the root: "D:\\AOI\\export".

    Raises:
        ValueError: an option cannot be.
        CurateError: the table, the codes or the settings cannot be used.
    """
    given = {name: value for name, value in locals().items() if name != "root"}
    tree = walk(root)
    options = table_options.effective(tree, SETTINGS, given)
    faults = list(tree.faults)
    with table_options.settled(options, SETTINGS):
        rows, mappings = _records(tree, options, faults)
        circuits = _circuits(tree, options, rows, mappings, faults)
    groups = by_image(Images(tree, options.text("prefix")), rows, "image", faults)
    found = [taken for path, group in groups.items() if (taken := circuits.image(path, group)) is not None]
    faults += _unknown_parts(found)
    found += circuits.report(set(groups))
    frame = as_table(found, faults)
    frame.attrs["columns"] = mappings
    frame.attrs["options"] = options.values
    return frame


def _records(
    tree: Tree, options: table_options.Options, faults: list[Fault]
) -> tuple[list[Record], list[dict[str, Any]]]:
    """All rows of all tables, and which columns of each are used."""
    given = table_options.columns_given(tree, options, known())
    words, constants = table_options.words(options), table_options.constants(options)
    rows: list[Record] = []
    mappings = []
    for sheet in table_options.sheets(tree, options, _recognised(tree)):
        used = resolve(sheet, given, known(), needed=("image",))
        partial, incomplete = whole_boxes(used.sources, sheet.name)
        used = used.without(partial)
        faults += incomplete
        mappings.append({"table": sheet.name, "used": used.sources, "unused": used.unused})
        rows += records(sheet, used, faults, words, constants)
    return rows, mappings


def _recognised(tree: Tree) -> list[str]:
    """Tables of inspection machines, for which no option is needed."""
    near = [path for path in tree.files if path.count("/") < 2 and Path(path).suffix.lower() in KINDS]
    return [path for path in near if missing(column_names(tree.files[path])) is None]


def _circuits(
    tree: Tree,
    options: table_options.Options,
    rows: list[Record],
    mappings: list[dict[str, Any]],
    faults: list[Fault],
) -> Circuits:
    trust = _one_of(options, "trust", TRUST) or TRUST[0]
    anchor = _one_of(options, "box_anchor", ANCHORS) or ANCHORS[0]
    unit = _one_of(options, "box_unit", tuple(UNITS))
    decimal, days_first = habits(rows, QUANTITIES, options.text("decimal"), options.values.get("day_first"))
    gather = Gatherer(decimal, days_first, unit, anchor, faults)
    meanings = codes(tree, options, faults)
    fed = frozenset(ours for one in mappings for ours in one["used"]) | set(options.mapping("constants"))
    return Circuits(tree, gather, meanings, trust, options.text("category"), fed)


def _one_of(options: table_options.Options, name: str, allowed: tuple[str, ...]) -> str | None:
    text = options.text(name)
    if text is not None and text not in allowed:
        raise ValueError(f'The option {name} must be {" or ".join(allowed)}, not "{text}".')
    return text


def _unknown_parts(rows: list[dict[str, Any]]) -> list[Fault]:
    """One fault where images cannot be put together to circuits."""
    alone = sorted(row["relative_path"] for row in rows if row["part_id"] is None)
    if not alone:
        return []
    message = (
        f"{len(alone)} images, the first is {alone[0]}, have neither panel nor piece; each counts as a "
        "circuit of its own, so a split may divide the views of one."
    )
    remedy = f"Map the columns that name the circuit ({', '.join(PART)}) with the option columns."
    return [Fault("unknown_part", "warning", alone[0], message, remedy)]
