"""Passes on what the reader reported about the dataset's layout: masks, folders, boxes, names."""

from curate.checks import Evidence
from curate.faults import Fault, passed_on

CODE = "layout"
SEVERITY = "error"


def run(evidence: Evidence) -> list[Fault]:
    """The reader's faults that no other check passes on, under their own codes."""
    return passed_on(evidence.faults, CODE)
