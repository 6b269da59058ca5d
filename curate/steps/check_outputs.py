"""Step: writes the findings of the checks as a report and as a table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import __version__, spreadsheets, tables
from curate.errors import AlreadyExists
from curate.files import write_text
from curate.steps import labels
from curate.steps.check import COLUMNS, told_apart
from curate.steps.record import Context


def refuse(report: Path | None, table: Path | None, overwrite: bool) -> None:
    """Raise, before any work, when an output could not be written.

    Raises:
        ValueError: a suffix says nothing that is known.
        AlreadyExists: a file is there, and may not be replaced.
    """
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f'The report is an HTML file; "{report}" must end in .html.')
    if report is not None and report.is_dir():
        raise ValueError(f'"{report}" is a folder; name a file in it.')
    if report is not None and report.exists() and not overwrite:
        raise AlreadyExists(f"AlreadyExists: {report} is there already. Replace it with --overwrite.")
    spreadsheets.refuse(table, overwrite)


def write(context: Context, content: Mapping[str, Any], report: Path | None, table: Path | None) -> None:
    """Write what was asked for.

    Args:
        content: the result of curate.steps.check.run, with gate (list of Limit, or None) and fixes (list of
            Fix) beside it.
        report: HTML file, or None.
        table: .parquet or .csv, or None.

    Raises:
        StorageFull, Unreadable: the place may not be written, or is full.
    """
    if table is not None:
        spreadsheets.write(content["findings"], COLUMNS, table)
    if report is not None:
        write_text(report, _page(context, content))


def _page(context: Context, content: Mapping[str, Any]) -> str:
    from curate.check_report import Report, render

    paths = context.paths
    report = Report(
        dataset=paths.name,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        n_images=content["n_images"],
        findings=content["findings"],
        ran=content["checks"],
        not_run=content["not_run"],
        not_judged=content["not_judged"],
        gate=content["gate"],
        fixes=[f"{fix.at[:10]}, {fix.check}: {fix.detail}" for fix in content["fixes"]],
    )
    delivered, _ = labels.delivered_but_drawn(context)
    samples, _ = told_apart(context, delivered)
    return render(report, tables.to_rows(samples), paths.masks)
