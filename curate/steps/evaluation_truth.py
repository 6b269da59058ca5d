"""Which masks of the test part people took from a detector's own proposals; these flatter its figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate import drawn_masks, tables
from curate.offered import TABLE, corrections
from curate.opinions import Standing
from curate.proposal_table import mask_of
from curate.steps import labels
from curate.steps.record import Context
from curate.workspace import DatasetPaths

Row = Mapping[str, Any]


def proposed(context: Context, detector: str, test: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """How many test images have a mask in force that a person took from a detector's proposals.

    Args:
        test: sample id -> category of the labelled test images.

    Returns:
        By category, where there are any: n_images, and n_unedited, those of them whose mask is pixel by pixel
        what was proposed, as far as the proposals are still there.
    """
    shown = {
        name: digests
        for name, one in labels.standing(context).items()
        if name in test and one.mask and (digests := _shown(one, detector))
    }
    if not shown:
        return {}
    rows, corrected = _rows(context.paths, detector, list(shown)), corrections(context.paths, detector)
    masks = labels.drawn(context)
    counts: dict[str, dict[str, int]] = {}
    for name, digests in sorted(shown.items()):
        own = [row for row in rows if row["sample_id"] == name and row["digest"] in digests]
        if name in corrected and not own:
            continue  # what was shown was the source's ground truth, to be corrected
        found = counts.setdefault(test[name], {"n_images": 0, "n_unedited": 0})
        found["n_images"] += 1
        found["n_unedited"] += _is_unedited(context.paths.drawn_masks, name, masks[name], own)
    return counts


def _shown(held: Standing, detector: str) -> set[str]:
    """Digests of the detector's proposals that people saw who gave the mask in force."""
    from curate.store.fields import detector_fields

    digests: set[str] = set()
    for row in held.decisions.values():
        shown = row.get("shown") or {}
        name = shown.get("detector")
        if row.get("mask") == held.mask and name and detector_fields(name) == detector_fields(detector):
            digests |= set(shown.get("proposals") or ())
    return digests


def _rows(paths: DatasetPaths, detector: str, sample_ids: Sequence[str]) -> list[dict[str, Any]]:
    table = paths.detector(detector) / TABLE
    if not table.exists():
        return []
    found = tables.read(table)
    return tables.to_rows(found[found["sample_id"].isin(sample_ids)])


def _is_unedited(folder: Path, sample_id: str, named: str, rows: Sequence[Row]) -> bool:
    mask = drawn_masks.read(folder, sample_id, named)
    try:
        return bool(rows) and bool(np.array_equal(mask_of(rows, (mask.shape[0], mask.shape[1])), mask))
    except ValueError:  # of another picture
        return False
