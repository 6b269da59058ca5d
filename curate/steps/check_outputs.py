"""Step: writes the findings of the checks as a report and as a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import __version__, tables
from curate.errors import AlreadyExists
from curate.files import write_bytes, write_text
from curate.steps import labels
from curate.steps.check import COLUMNS, told_apart
from curate.steps.record import Context

TABLES = (".parquet", ".csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def refuse(report: Path | None, table: Path | None, overwrite: bool) -> None:
    """Raise, before any work, when an output could not be written.

    Raises:
        ValueError: a suffix says nothing that is known.
        AlreadyExists: a file is there, and may not be replaced.
    """
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f'The report is an HTML file; "{report}" must end in .html.')
    if table is not None and table.suffix.lower() not in TABLES:
        raise ValueError(f'The table "{table}" must end in {" or ".join(TABLES)}.')
    for path in (report, table):
        if path is not None and path.is_dir():
            raise ValueError(f'"{path}" is a folder; name a file in it.')
        if path is not None and path.exists() and not overwrite:
            raise AlreadyExists(f"AlreadyExists: {path} is there already. Replace it with --overwrite.")


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
        write_table(content["findings"], table)
    if report is not None:
        write_text(report, _page(context, content))


def write_table(findings: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write findings as a table.

    In a CSV file related files are joined with "; ", and a cell that a spreadsheet would take for a formula
    begins with an apostrophe.
    """
    if path.suffix.lower() == ".parquet":
        tables.write(tables.from_rows([dict(row) for row in findings], COLUMNS), path)
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in findings:
        cells = [*(row[name] for name in COLUMNS[:-1]), "; ".join(row["related"])]
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))  # with the mark, spreadsheets read it as UTF-8


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
