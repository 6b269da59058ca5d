"""Passes on files whose name promises another format than they hold: a JPEG called .png."""

from curate.checks import Evidence
from curate.faults import Fault, passed_on

CODE = "wrong_extension"
SEVERITY = "warning"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per file, as ingest met it; programs that go by the suffix refuse it."""
    return passed_on(evidence.faults, CODE)
