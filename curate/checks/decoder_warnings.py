"""Passes on the complaints of the decoder: the image opens, but its file is not as the standard wants it."""

from curate.checks import Evidence
from curate.faults import Fault, passed_on

CODE = "decoder_warnings"
SEVERITY = "warning"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per image, as ingest met it; another program may refuse the file, or decode other pixels."""
    return passed_on(evidence.faults, CODE)
