"""Step: re-checks an exported dataset against its manifest."""

from pathlib import Path
from typing import Any

from curate.faults import to_rows
from curate.verify import verify


def run(folder: Path) -> dict[str, Any]:
    """Check every file of an export.

    Returns:
        folder, ok, n_files, findings (rows of dicts), n_errors, n_warnings.

    Raises:
        Missing: the folder does not exist.
    """
    findings = to_rows(verify(folder))
    n_errors = sum(row["severity"] == "error" for row in findings)
    n_files = sum(1 for path in folder.rglob("*") if path.is_file())
    return {
        "folder": str(folder),
        "ok": n_errors == 0,
        "n_files": n_files,
        "findings": findings,
        "n_errors": n_errors,
        "n_warnings": len(findings) - n_errors,
    }
