"""Finds mask files with values that their kind does not have.

A binary mask has one value beside 0: more of them come from lossy compression or smoothing, and then the
rule of the format decides what is defect, or from classes that were taken for a mask. A mask of classes has
the values that the source declares.
"""

from collections import defaultdict
from typing import Any

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.ground_truth import DEFAULT_RULE
from curate.masks import HIGHEST, limits

CODE = "mask_values"
SEVERITY = "warning"
NEEDS = ("mask_facts",)
MOST_CLASSES = 32  # more in one mask are shades, not kinds of defect
SHOWN = 5
Row = dict[str, Any]


def run(evidence: Evidence) -> list[Fault]:
    """One fault per image whose mask files have values against their rule; grey masks may have any."""
    rows = evidence.masks_of_samples()
    declared: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for row in rows:
        for entry in row["mask_classes"] or ():
            if entry["defect_type"]:
                declared[row["source"], row["category"]][entry["value"]] = entry["defect_type"]
    faults = []
    for row in rows:
        known = declared.get((row["source"], row["category"]), {})
        if found := _against_rule(row, known):
            message = f"{row['relative_path']}: {found[0]}."
            faults.append(Fault(CODE, "warning", row["relative_path"], message, found[1]))
    return in_order(faults)


def _against_rule(row: Row, declared: dict[int, str]) -> tuple[str, str] | None:
    """What is wrong with the values of a mask, and the remedy."""
    low, high = limits(row["mask_rule"] or DEFAULT_RULE)
    values = sorted(value for value in row["values"] or () if value <= high)  # above: a border that is void
    if row["mask_kind"] == "binary":
        if (low, high) != (1, HIGHEST) or len(values) < 2:
            return None  # a rule such as "> 127" is there for masks with blurred edges
        return (
            f"its mask should have one value beside 0, but has {len(values)}: {_listed(values)}; all of "
            "them count as defect",
            "Save masks without loss and without smoothing; if the values are classes, state that.",
        )
    if row["mask_kind"] != "classes":
        return None
    if declared:
        unknown = [value for value in values if value not in declared]
        names = ", ".join(f"{value} {name}" for value, name in sorted(declared.items()))
        if not unknown:
            return None
        return (
            f"its mask has the values {_listed(unknown)}, for which the source names no defect "
            f"(it names {names})",
            "Name them where the source lists its classes, or draw the mask with the known values.",
        )
    if len(values) <= MOST_CLASSES:
        return None
    return (
        f"its mask of classes has {len(values)} values ({_listed(values)}), more than {MOST_CLASSES}",
        "Save the mask without loss and without smoothing.",
    )


def _listed(values: list[int]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(map(str, values[:SHOWN])) + more
