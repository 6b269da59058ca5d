"""Masks that a person accepts, without a database: the file and the line in the mirror."""

from typing import Any

import numpy as np

from curate import drawn_masks, tables, verdicts
from curate.steps.record import Context


def rows_by_path(context: Context) -> dict[str, dict[str, Any]]:
    """The sample table as the source delivered it."""
    return {row["relative_path"]: row for row in tables.to_rows(tables.read(context.paths.samples))}


def accept(context: Context, path: str, mask: np.ndarray, second: int = 0, **changed: Any) -> str:
    """A verdict "anomalous" with a mask on the sample of this path; returns the mask's digest."""
    row = rows_by_path(context)[path]
    named = drawn_masks.store(context.paths.drawn_masks, row["sample_id"], mask)
    decide(context, path, "anomalous", second, mask=named, **changed)
    return named


def decide(context: Context, path: str, verdict: str, second: int = 0, **changed: Any) -> None:
    """A verdict on the sample of this path."""
    row = rows_by_path(context)[path]
    before = {"label": row["label"], "defect_types": row["defect_types"], "verdict": None}
    told = {
        "sample_id": row["sample_id"], "sha256": row["sha256"], "verdict": verdict, "defect_type": None,
        "by": "ada", "at": f"2026-01-01T00:00:{second:02d}+00:00", "before": before,
    }  # fmt: skip
    verdicts.append_mirror(context.paths.verdicts, [told | changed])
