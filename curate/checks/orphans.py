"""Passes on what lies alone: masks, boxes or annotations without their image, rows without file, and back."""

from curate.checks import Evidence
from curate.faults import Fault, passed_on

CODE = "orphans"
SEVERITY = "error"


def run(evidence: Evidence) -> list[Fault]:
    """The reader's faults about files without their counterpart, under their own codes."""
    return passed_on(evidence.faults, CODE)
