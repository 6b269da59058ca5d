"""From the rows of an inspection machine's table to the images of flexible printed circuits."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from curate.faults import Fault
from curate.fpc_verdicts import Code, Verdict, judged, listed
from curate.readings import images, row
from curate.schema import load
from curate.table_columns import recognised
from curate.table_records import Record
from curate.table_values import CORNERS, EXTENT, TEXTS, Gatherer
from curate.walking import Tree

SECTIONS = ("acf", "coverlay", "shield", "sus", "trace", "gold_finger")
PART = ("product", "lot", "panel", "piece")
IDENTIFIERS = (*PART, "section", "machine_code")
QUANTITIES = (
    "um_per_px", *CORNERS, *EXTENT, *(f"{name}_um" for name in EXTENT), *(f"{name}_px" for name in EXTENT),
)  # fmt: skip
SHARED = (*PART, "section", "station", "camera", "lighting", "site")
NO_TYPE = "defect"


@cache
def known() -> dict[str, tuple[str, ...]]:
    """The columns of data_schemas/fpc_manifest.json, with the other names that are recognised."""
    properties = load("fpc_manifest")["properties"]
    return {name: tuple(told.get("aliases", ())) for name, told in properties.items()}


def missing(columns: Iterable[str]) -> str | None:
    """What a table lacks to be one of an inspection machine; None when it is one."""
    found = recognised(columns, known())
    named = [name for name in IDENTIFIERS if name in found]
    if "image" not in found:
        return "no column that names images"
    if len(named) < 2:
        return f"fewer than two of the columns {', '.join(IDENTIFIERS)}"
    return None


def section_name(text: str) -> str:
    """A section as part of a category's name.

    >>> section_name(" Gold Finger ")
    'gold_finger'
    """
    return re.sub(r"[\s-]+", "_", text.strip().casefold())


def part_of(said: Mapping[str, str]) -> str | None:
    """The physical circuit: product/lot/panel/piece, "-" for what is not known; None without panel and piece.

    >>> part_of({"product": "A7", "lot": "L1", "piece": "3"})
    'A7/L1/-/3'
    """
    if "panel" not in said and "piece" not in said:
        return None
    depth = 4 if "piece" in said else 3
    return "/".join(said.get(name, "-") for name in PART[:depth])


class Circuits:
    """Makes the rows of the sample table; collects what is wrong in the gatherer's faults."""

    def __init__(
        self,
        tree: Tree,
        gather: Gatherer,
        codes: Mapping[str, Code] | None,
        trust: str,
        category: str | None,
        has: frozenset[str],
    ) -> None:
        """`has`: our columns that the tables feed."""
        self.tree, self.gather, self.codes, self.trust, self.has = tree, gather, codes, trust, has
        self.category = category
        self._folders: dict[str, dict[str, set[str]]] = {}
        self._products: set[str] = set()
        self._verdicts: dict[tuple[str, ...], Verdict] = {}

    def image(self, path: str, group: Sequence[Record]) -> dict[str, Any] | None:
        """One image with its rows; None, and a fault, when it cannot be said which part or section it is."""
        said = self.gather.agreed(path, group, TEXTS)
        if said is None:
            return None
        self._note(path, said)
        known_now = self._placed(path, said)
        if known_now is None:
            message = f"{group[0].where}: no section for {path}, and no folder of it is one; it is left out."
            remedy = "Fill in the section, or set the option category or constants."
            self.gather.add("missing_section", path, message, remedy)
            return None
        known_now["um_per_px"] = um_per_px = self.gather.quantity(path, group, "um_per_px")
        known_now["captured_at"] = self.gather.moment(path, group)
        codes = [code for one in group for code in listed(one.values.get("machine_code", ""), self.codes)]
        known_now["machine_code"] = "; ".join(dict.fromkeys(codes)) or None
        truth = self._truth(path, group, um_per_px)
        return row(self.tree, path, truth.pop("label"), **known_now, **truth)

    def without_row(self, path: str) -> dict[str, Any] | None:
        """An image that no row names, with what all images of its folder share; None without a category."""
        folder = self._folders.get(path.rpartition("/")[0], {})
        said = {name: next(iter(values)) for name, values in folder.items() if len(values) == 1}
        if not said.get("product") and len(self._products) == 1:
            said["product"] = next(iter(self._products))
        if not said.get("product") and self._products and not self.category:
            return None
        placed = self._placed(path, said)
        return None if placed is None else row(self.tree, path, "unknown", **placed)

    def _note(self, path: str, said: Mapping[str, str]) -> None:
        """Remember what the images of a folder share."""
        if "product" in said:
            self._products.add(said["product"])
        folder = self._folders.setdefault(path.rpartition("/")[0], {name: set() for name in SHARED})
        for name in SHARED:
            folder[name].add(said.get(name, ""))

    def _placed(self, path: str, said: Mapping[str, str]) -> dict[str, Any] | None:
        """Category, part and further texts; None where the tables have sections, but none for this image."""
        told: dict[str, Any] = {name: text for name, text in said.items() if text}
        section = section_name(told["section"]) if "section" in told else _of_folders(path)
        if section is None and "section" in self.has and not self.category:
            return None
        names = [name for name in (told.get("product"), section) if name]
        told["category"] = self.category or "_".join(names) or self.tree.root.absolute().name
        return told | {"section": section, "part_id": part_of(told)}

    def _truth(self, path: str, group: Sequence[Record], um_per_px: float | None) -> dict[str, Any]:
        verdicts = [self._verdict(one) for one in group]
        for one, verdict in zip(group, verdicts, strict=True):
            for code, told, remedy in verdict.problems:
                self.gather.add(code, path, f"{one.where}: {path} {told}.", remedy)
        label = self._label(path, group, verdicts)
        if label == "normal":
            return {"label": label}
        counted = ("anomalous",) if label == "anomalous" else ("anomalous", "unknown", None)
        placed = []
        for one, verdict in zip(group, verdicts, strict=True):
            if verdict.label in counted:
                corners = self.gather.corners(path, one, um_per_px)
                if corners is not None:
                    placed.append((one, corners, (verdict.types or (NO_TYPE,))[0]))
        boxes = self.gather.boxes(path, self.tree.files[path], placed)
        types = sorted({name for verdict in verdicts for name in verdict.types})
        return {"label": label, "boxes": boxes, "defect_types": types if label == "anomalous" else []}

    def _verdict(self, one: Record) -> Verdict:
        """What a row says; rows of equal words share the answer."""
        names = ("verified_label", "verified_defect_type", "result", "machine_code", "defect_type")
        key = tuple(one.values.get(name, "") for name in names)
        if key not in self._verdicts:
            self._verdicts[key] = judged(one.values, self.codes, self.trust)
        return self._verdicts[key]

    def _label(self, path: str, group: Sequence[Record], verdicts: Sequence[Verdict]) -> str:
        """Anomalous as soon as one row is; unknown where rows contradict each other."""
        labels = {verdict.label for verdict in verdicts}
        if len(group) > 1 and self._torn(path, group, verdicts):
            return "unknown"
        return next((name for name in ("anomalous", "unknown", "normal") if name in labels), "unknown")

    def _torn(self, path: str, group: Sequence[Record], verdicts: Sequence[Verdict]) -> bool:
        """Whether the machine's results differ, or a person's verdicts on one and the same defect."""
        said: dict[str, Record] = {}
        if self.trust == "machine" and not all(verdict.by_person for verdict in verdicts):
            for one in group:
                if "result" in one.values:
                    said.setdefault(one.values["result"], one)
            meant = {judged({"result": word}, None, "machine").label for word in said}
            if len(said) > 1 and len(meant) > 1:
                self.gather.contradiction(path, "result", said, "it is taken in as unknown")
                return True
        by_defect: dict[tuple[str, ...], dict[str, Record]] = {}
        for one, verdict in zip(group, verdicts, strict=True):
            if verdict.by_person:
                key = tuple(one.values.get(name, "") for name in ("machine_code", *QUANTITIES))
                by_defect.setdefault(key, {}).setdefault(str(verdict.label), one)
        for persons in by_defect.values():
            if len(persons) > 1:
                self.gather.contradiction(path, "verified_label", persons, "it is taken in as unknown")
                return True
        return False

    def report(self, spoken: set[str]) -> list[dict[str, Any]]:
        """Rows for the images that no row of the tables names; all of them are reported."""
        found = []
        for path in images(path for path in self.tree.files if path not in spoken):
            taken = self.without_row(path)
            if taken is None:
                message = f"{path} is in no row of the table, and nothing tells its category; it is left out."
                remedy = "Add a row for it."
                self.gather.add("image_without_row", path, message, remedy)
                continue
            found.append(taken)
            message = f"{path} is in no row of the table; it is taken in as unknown, in {taken['category']}."
            self.gather.faults.append(
                Fault("image_without_row", "warning", path, message, "Add a row for it, or leave it so.")
            )
        return found


def _of_folders(path: str) -> str | None:
    """The section that a folder of a path is named after."""
    names = [section_name(name) for name in path.split("/")[:-1]]
    return next((name for name in reversed(names) if name in SECTIONS), None)
