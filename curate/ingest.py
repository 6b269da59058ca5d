"""From a folder of images to the sample table, and from its mask files to masks of one kind."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate.engines.local import Workers
from curate.examine import Job, examine
from curate.faults import Fault, in_order
from curate.formats import FORMATS, recognise
from curate.ground_truth import has_mask
from curate.intake import Intake, Places, Reading, silent
from curate.registry import lookup
from curate.sample_rows import sample_id
from curate.schema import load
from curate.tables import from_rows, to_rows

__all__ = ["build_table", "read_source", "sample_id", "write_masks"]


def read_source(
    root: Path,
    format_name: str = "auto",
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Reading:
    """Let a reader list a dataset folder; decodes no image.

    Args:
        root: the dataset's folder.
        format_name: a name in FORMATS, or "auto".
        source: name of the source in the table and in the ids; the format's name unless told.
        options: further arguments of the reader, e.g. {"mapping": {"OK": "normal", "NG": "anomalous"}}.

    Raises:
        Missing, Unreadable: `root` is no folder that can be read.
        DataFault: no format matches.
        ValueError: unknown format or option.
    """
    if format_name == "auto":
        format_name, _ = recognise(root)
    reader = lookup(FORMATS, format_name, "format")
    known = list(inspect.signature(reader.read).parameters)[1:]
    if unknown := [name for name in options or {} if name not in known]:
        raise ValueError(
            f"The format {format_name} has no option {', '.join(unknown)}. "
            f"Known: {', '.join(known) or 'none'}."
        )
    category = (options or {}).get("category")
    if category is not None and not isinstance(category, str):
        raise ValueError(f'The option category must be a text, not {category!r}: write it as "{category}".')
    table = reader.read(root, **(options or {}))
    faults: list[Fault] = table.attrs.pop("faults")
    return Reading(source or format_name, format_name, table, faults)


def build_table(
    root: Path,
    format_name: str = "auto",
    source: str | None = None,
    progress: Callable[[int], None] = silent,
    options: Mapping[str, Any] | None = None,
) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a dataset folder, decode every image of it once, and keep the whole table in memory.

    Args:
        progress: called with the number of images just finished.

    Returns:
        The sample table (contract sample.json), sorted by relative path, and the faults, errors first. Images
        that cannot be used are left out of the table and are among the faults. Masks are not looked at.

    Raises:
        See read_source.
    """
    reading = read_source(root, format_name, source, options)
    with Workers() as workers:
        intake = Intake(reading, Places(), workers)
        rows = [row for batch in intake.batches(progress) for row in batch]
    return from_rows(rows, list(load("sample")["properties"])), in_order(intake.faults)


def write_masks(table: pd.DataFrame, folder: Path, progress: Callable[[int], None] = silent) -> list[Fault]:
    """Write <folder>/<sample_id>.png for every anomalous sample with masks or shapes: 8-bit grey, 0 or 255.

    Only files that differ are written, so an interrupted run goes on where it stopped. A mask that cannot be
    read or has not its image's size is not written, and an older one of that sample is removed. A mask
    without any defect pixel is written: the checks report it.

    Returns:
        The faults, errors first.

    Raises:
        StorageFull: no space is left; what was written before is whole.
    """
    rows = [row for row in to_rows(table) if row["label"] == "anomalous" and has_mask(row)]
    jobs = [Job(row, row["sample_id"], row, mask=True, masks=folder) for row in rows]
    faults = []
    with Workers() as workers:
        for outcome in workers.each(examine, jobs):
            progress(1)
            if outcome.fault is not None:
                faults.append(outcome.fault)
    return in_order(faults)
