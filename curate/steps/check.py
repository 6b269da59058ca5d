"""Step: runs the quality checks over the sample table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate import tables
from curate.checks import CHECKS
from curate.faults import to_rows
from curate.files import fingerprint, read_json
from curate.registry import lookup
from curate.steps.joined import masks_digest
from curate.steps.record import Context, digest, once

COLUMNS = ["code", "severity", "relative_path", "message", "remedy", "related"]


def run(context: Context, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the named checks, or all, and store their findings.

    Returns:
        findings (rows of dicts), n_errors, n_warnings, checks, split (whether there is one), fresh.

    Raises:
        ValueError: a name is no check.
    """
    paths = context.paths
    chosen = _known(names or list(CHECKS))
    inputs = {
        "checks": chosen,
        "samples": digest(paths.samples),
        "faults": digest(paths.faults),
        "split": digest(paths.split),
        "masks": masks_digest(context),
        "files": _files_now(context),
    }

    def work() -> dict[str, Any]:
        result = only(context, chosen)
        tables.write(tables.from_rows(result["findings"], COLUMNS), paths.findings)
        return result

    return once(paths, "check", inputs, [paths.findings], work)


def only(context: Context, names: Sequence[str]) -> dict[str, Any]:
    """Run some checks and store nothing, so that the findings of the others stay; else as run."""
    chosen = _known(names)
    evidence = _evidence(context)
    rows = [row for name in chosen for row in to_rows(lookup(CHECKS, name, "check").run(evidence))]
    n_errors = sum(row["severity"] == "error" for row in rows)
    return {
        "findings": rows,
        "n_errors": n_errors,
        "n_warnings": len(rows) - n_errors,
        "checks": chosen,
        "split": evidence.split is not None or bool(evidence.samples["split"].notna().any()),
    }


def _known(names: Sequence[str]) -> list[str]:
    for name in names:
        lookup(CHECKS, name, "check")
    return list(names)


def _files_now(context: Context) -> str:
    """Checksum of the sizes and times of the source's images and masks: they may change after ingest."""
    columns = tables.read(context.paths.samples)[["filepath", "gt_mask_path"]]
    return fingerprint([_state(path) for column in columns for path in columns[column] if path is not None])


def _state(path: str) -> list[int] | None:
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def _evidence(context: Context) -> Any:
    from curate.checks import Evidence

    paths = context.paths
    ingest_faults = [row for rows in read_json(paths.faults).values() for row in rows]
    split = tables.read(paths.split) if paths.split.exists() else None
    return Evidence(samples=tables.read(paths.samples), masks=paths.masks, faults=ingest_faults, split=split)
