"""Images in any folders with a table that says what they are: CSV, Parquet or Excel, with any column names.

The option `columns` maps our columns to the table's; one that has our name already needs no mapping. Ours are
`image` (path or bare file name), `label`, `defect_types`, `mask`, a box in px (`x0`, `y0`, `x1`, `y1`, half
open, or `x`, `y`, `w`, `h`), `category`, `split`, `part_id`, and the further columns of the sample table.
Several rows of one image are joined: each may give a box and a defect type; in all else they must agree.
Images that no row names are left out: the table says what belongs to the dataset.

Without a label column, an image with a defect type, a box or a mask is anomalous, and any other unknown. An
image whose rows contradict each other in the label, or whose label says normal while a row has a defect, is
taken in as unknown; one whose rows differ in category, split or part is left out.

The options may stand in a file curate-table.toml in the root; only with it the layout is recognised.

Licence: of the data; a table may state one in its column `licence`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from curate import table_options
from curate.annotation_files import located
from curate.cell_values import SPLITS, label
from curate.faults import Fault
from curate.images import is_image
from curate.masks import cut
from curate.readings import absolute, images, row, without_shared_masks
from curate.readings import table as as_table
from curate.table_columns import resolve
from curate.table_records import Images, Record, by_image, records
from curate.table_values import CORNERS, EXTENT, TEXTS, Gatherer, habits, whole_boxes
from curate.walking import Tree, walk

SETTINGS = "curate-table.toml"
QUANTITIES = ("um_per_px", *CORNERS, *EXTENT)
KNOWN: dict[str, Sequence[str]] = {
    "image": ("relative_path",), "label": (), "defect_types": ("defect_type",), "mask": ("gt_mask_path",),
    "category": (), "split": (), "part_id": (), **dict.fromkeys(TEXTS, ()), "captured_at": (),
    "machine_code": (), **dict.fromkeys(QUANTITIES, ()),
}  # fmt: skip
AGREED = ("category", "split", "part_id", "mask", *TEXTS)
KINDS = ("binary", "grey", "classes")
NO_TYPE = "defect"


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the root has a curate-table.toml."""
    return [] if table_options.has_file(root, SETTINGS) else [f"no {SETTINGS} that says what the table means"]


def read(
    root: Path,
    table: str | list[str] | None = None,
    columns: Mapping[str, str] | str | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    category: str | None = None,
    constants: Mapping[str, str] | None = None,
    mask_rule: str | None = None,
    mask_kind: str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    day_first: bool | None = None,
    header_row: int | None = None,
    prefix: str | None = None,
) -> pd.DataFrame:
    """One row per image that the table names; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        table: path of the table, below the root or else from the working directory; or several, or a pattern.
        columns: our column -> theirs, or a text with theirs in braces ("{Lot}/{File}"); or a file with that.
        values: our column -> their word -> ours: {"label": {"OK": "normal", "NG": "anomalous"}}.
        category: of all images; the name of the root where neither this nor the table says.
        constants: our column -> value, where a row does not say.
        mask_rule: which pixels of a mask are defect; "> 0" unless told.
        mask_kind: what mask values mean: "binary" (unless told), "grey" or "classes"; see the sample table.
        sheet: of an Excel file.
        encoding: of a CSV file that is not UTF-8.
        decimal: "," or "." where numbers such as 1,234 leave it open.
        day_first: whether 3/7/2026 is 3 July, where no date of the table tells.
        header_row: number of the row with the column names.
        prefix: beginning of the table's paths that stands for the root.

    Raises:
        ValueError: an option cannot be.
        CurateError: the table or the settings cannot be used.
    """
    given = {name: value for name, value in locals().items() if name != "root"}
    tree = walk(root)
    options = table_options.effective(tree, SETTINGS, given)
    if options.values.get("table") is None:
        raise ValueError(
            "The format table needs the option table, the path of the table: --option table=labels.csv."
        )
    with table_options.settled(options, SETTINGS):
        reading = _Reading(tree, options)
    found = reading.rows()
    frame = as_table(without_shared_masks(found, reading.faults), reading.faults)
    frame.attrs["columns"] = reading.mappings
    frame.attrs["options"] = options.values
    return frame


class _Reading:
    """One reading of a folder."""

    def __init__(self, tree: Tree, options: table_options.Options) -> None:
        self.tree = tree
        self.faults: list[Fault] = list(tree.faults)
        self.mappings: list[dict[str, Any]] = []
        self.category = options.text("category")
        self.rule = options.text("mask_rule") or "> 0"
        cut(self.rule)
        self.kind = options.text("mask_kind") or "binary"
        if self.kind not in KINDS:
            raise ValueError(f'The option mask_kind must be {", ".join(KINDS)}, not "{self.kind}".')
        rows = self._records(options)
        decimal, days_first = habits(
            rows, QUANTITIES, options.text("decimal"), options.values.get("day_first")
        )
        self.gather = Gatherer(decimal, days_first, faults=self.faults)
        self.images = Images(tree, options.text("prefix"))
        self.groups = by_image(self.images, rows, "image", self.faults)

    def _records(self, options: table_options.Options) -> list[Record]:
        given = table_options.columns_given(self.tree, options, KNOWN)
        words, constants = table_options.words(options), table_options.constants(options)
        found: list[Record] = []
        for sheet in table_options.sheets(self.tree, options, ()):
            used = resolve(sheet, given, KNOWN, needed=("image",))
            partial, faults = whole_boxes(used.sources, sheet.name)
            used = used.without(partial)
            self.faults += faults
            self.mappings.append({"table": sheet.name, "used": used.sources, "unused": used.unused})
            found += records(sheet, used, self.faults, words, constants)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The images that the table names."""
        found = [
            taken for path, group in self.groups.items() if (taken := self._image(path, group)) is not None
        ]
        self._report_others(found)
        return found

    def _image(self, path: str, group: list[Record]) -> dict[str, Any] | None:
        said = self.gather.agreed(path, group, AGREED)
        if said is None:
            return None
        known: dict[str, Any] = {name: said[name] for name in TEXTS if name in said}
        known["category"] = self.category or said.get("category") or self.tree.root.absolute().name
        known["part_id"] = said.get("part_id")
        known["split"] = self._split(path, group, said.get("split"))
        known["um_per_px"] = self.gather.quantity(path, group, "um_per_px")
        known["captured_at"] = self.gather.moment(path, group)
        codes = list(
            dict.fromkeys(one.values["machine_code"] for one in group if "machine_code" in one.values)
        )
        known["machine_code"] = "; ".join(codes) or None
        known |= self._truth(path, group, said.get("mask"))
        return row(self.tree, path, known.pop("label"), **known)

    def _truth(self, path: str, group: list[Record], mask: str | None) -> dict[str, Any]:
        """Label, defect types, boxes and mask."""
        types = list(dict.fromkeys(name for one in group for name in _types(one)))
        placed = [
            (one, corners, (_types(one) or [NO_TYPE])[0])
            for one in group
            if (corners := self.gather.corners(path, one, None)) is not None
        ]
        shown = "anomalous" if types or placed or mask else None
        found = self._label(path, group, shown)
        if found == "normal":
            return {"label": found}
        truth: dict[str, Any] = {
            "label": found,
            "boxes": self.gather.boxes(path, self.tree.files[path], placed),
        }
        if found == "anomalous":
            truth["defect_types"] = sorted(types)
            truth |= self._mask(path, group, mask)
        return truth

    def _label(self, path: str, group: list[Record], shown: str | None) -> str:
        """The label that the rows agree on; `shown` is what defects in them amount to."""
        said: dict[str, Record] = {}
        for one in group:
            word = one.values.get("label")
            if word is None:
                continue
            meant = label(word)
            if meant is None:
                message = (
                    f'{one.where}: the label "{word[:80]}" of {path} is not known; it counts as unknown.'
                )
                remedy = 'Say what it means: values = {"label": {"...": "normal"}}.'
                self.gather.add("unknown_label", path, message, remedy)
                meant = "unknown"
            said.setdefault(meant, one)
        if len(said) > 1:
            self.gather.contradiction(path, "label", said, "it is taken in as unknown")
            return "unknown"
        if said and shown and "normal" in said:
            message = f"{said['normal'].where}: {path} is normal, but has a defect type, a box or a mask; "
            self.gather.add("contradicting_rows", path, f"{message}it is taken in as unknown.")
            return "unknown"
        return next(iter(said), shown or "unknown")

    def _mask(self, path: str, group: list[Record], named: str | None) -> dict[str, Any]:
        if named is None:
            return {}
        first = next(one for one in group if "mask" in one.values)
        for start in dict.fromkeys((first.folder, "")):
            found = located(self.tree, start, self.images.cut(named))
            if found is not None and is_image(found):
                file = absolute(self.tree.files[found])
                return {"gt_mask_path": file, "mask_rule": self.rule, "mask_kind": self.kind}
        message = f'{first.where}: the mask "{named[:120]}" of {path} is not in the folder.'
        self.gather.add("missing_mask", path, message, 'Add the mask, or label the image "unknown".')
        return {}

    def _split(self, path: str, group: list[Record], word: str | None) -> str | None:
        if word is None:
            return None
        found = SPLITS.get(word.casefold())
        if found is None:
            first = next(one for one in group if one.values.get("split") == word)
            self.gather.bad_value(
                path, first, "split", f"is none of {', '.join(dict.fromkeys(SPLITS.values()))}"
            )
        return found

    def _report_others(self, found: list[dict[str, Any]]) -> None:
        """Images that no row speaks of."""
        masks = {one.get("gt_mask_path") for one in found}
        for path in images(path for path in self.tree.files if path not in self.groups):
            if absolute(self.tree.files[path]) not in masks:
                message = f"{path} is in no row of the table; it is left out."
                remedy = "Add a row for it, or leave it so."
                self.faults.append(Fault("image_without_row", "warning", path, message, remedy))


def _types(one: Record) -> list[str]:
    """Defect types of a row."""
    return [name.strip() for name in one.values.get("defect_types", "").split(";") if name.strip()]
