"""Finds files that cannot be read: those that ingest left out, and those gone or changed since."""

from pathlib import Path

from curate.checks import Evidence
from curate.faults import Fault, in_order, passed_on

CODE = "unreadable"
SEVERITY = "error"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per file."""
    faults = passed_on(evidence.faults, CODE)
    columns = evidence.samples[["relative_path", "filepath", "size_bytes"]]
    for relative_path, filepath, size_bytes in columns.itertuples(index=False):
        if change := _change(Path(filepath), size_bytes):
            message = f"{relative_path} {change} since it was ingested."
            faults.append(Fault(CODE, "error", relative_path, message, "Restore it, or run ingest again."))
    return in_order(faults)


def _change(path: Path, size_bytes: int) -> str | None:
    try:
        found = path.stat().st_size
    except OSError:
        return "has vanished, or may not be read any more,"
    return None if found == size_bytes else f"has changed from {size_bytes} to {found} bytes"
