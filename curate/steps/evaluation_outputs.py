"""Step: writes an evaluation as a page with pictures, and as a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate import __version__, tables
from curate.errors import AlreadyExists, CurateError
from curate.evaluation_page import render
from curate.evaluation_pictures import Strips
from curate.evaluation_table import table as long_table
from curate.files import read_json, write_text
from curate.steps import labels
from curate.steps.record import Context
from curate.tables import to_rows


def refuse(report: Path | None, table: Path | None, overwrite: bool) -> None:
    """Raise, before any work, when an output could not be written.

    Raises:
        ValueError: a suffix says nothing that is known, or the name is a folder's.
        AlreadyExists: a file is there, and may not be replaced.
    """
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f'The report is an HTML file; "{report}" must end in .html.')
    if table is not None and table.suffix.lower() != ".parquet":
        raise ValueError(f'The table is a Parquet file; "{table}" must end in .parquet.')
    for path in (report, table):
        if path is not None and path.is_dir():
            raise ValueError(f'"{path}" is a folder; name a file in it.')
        if path is not None and path.exists() and not overwrite:
            raise AlreadyExists(f"AlreadyExists: {path} is there already. Replace it with --overwrite.")


def write(
    context: Context, evaluation: Mapping[str, Any], date: str, report: Path | None, table: Path | None
) -> None:
    """Write what was asked for.

    Args:
        evaluation: after data_schemas/evaluation.json.
        date: when it was computed.
        report: HTML file, or None.
        table: .parquet, or None.

    Raises:
        StorageFull, Unreadable: the place may not be written, or is full.
    """
    if table is not None:
        tables.write(long_table(evaluation), table)
    if report is not None:
        write_text(report, page(context, evaluation, date))


def page(context: Context, evaluation: Mapping[str, Any], date: str) -> str:
    """The report, with pictures from the workspace."""
    samples = {row["sample_id"]: row for row in to_rows(labels.current(context))}
    strips = Strips(samples, context.paths.masks)
    maps = {each["detector"]: _maps(context, each["detector"]) for each in evaluation["detectors"]}

    def picture(detector: str, sample_id: str, lightest: float | None) -> str:
        paths, shown_range = maps[detector]
        if shown_range is not None and lightest is not None and shown_range[0] < lightest:
            shown_range = shown_range[0], lightest
        return strips.image(sample_id, paths.get(sample_id), shown_range)

    return render(evaluation, picture, date, __version__)


def _maps(context: Context, detector: str) -> tuple[dict[str, Path], tuple[float, float] | None]:
    """Raw maps by sample, and the map values of the darkest and the lightest colour."""
    folder = context.paths.detector(detector)
    rows = to_rows(tables.read(folder / "predictions.parquet")[["sample_id", "raw_map"]])
    paths = {row["sample_id"]: folder / row["raw_map"] for row in rows if row["raw_map"] is not None}
    try:
        low, high = read_json(folder / "report.json")["display_range"]
    except (CurateError, KeyError, TypeError):
        return paths, None
    return paths, (low, high)
