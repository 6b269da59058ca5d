"""Passes on what the reader reported about the dataset's layout: masks, folders, boxes, names."""

from curate.checks import Evidence
from curate.faults import UNREADABLE, Fault, from_rows, in_order

CODE = "layout"
SEVERITY = "error"
ELSEWHERE = UNREADABLE | {"mask_size"}


def run(evidence: Evidence) -> list[Fault]:
    """The reader's faults that no other check passes on, under their own codes."""
    return in_order(fault for fault in from_rows(evidence.faults) if fault.code not in ELSEWHERE)
