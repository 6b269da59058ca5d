"""Pixel figures of a detector, from the maps and masks in the workspace."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from curate.anomaly_maps import read_raw
from curate.images import Array
from curate.masks import boxes_to_mask, read_mask
from curate.pixel_histograms import accumulate
from curate.steps.record import Context
from curate.tables import to_rows
from curate.truth import in_force


def pixel_auroc(context: Context, rows: pd.DataFrame, detector: str) -> float | None:
    """Pixel AUROC over the images whose ground truth is known at pixel level.

    Normal images count as all background; anomalous ones need a mask that is not empty, or boxes, whose whole
    area then counts as defect.

    Args:
        rows: with the columns of the sample table and raw_map.

    Returns:
        None when no image has a defect pixel, or no map.
    """
    folder, masks = context.paths.detector(detector), context.paths.masks
    usable, has_defect = [], False
    for row in to_rows(rows):
        truth = truth_of(row, masks) if row["raw_map"] is not None else None
        if truth is not None:
            usable.append(row)
            has_defect |= bool(truth.any())
    if not has_defect:
        return None
    maps = _Each(usable, lambda row: read_raw(folder / row["raw_map"]))
    return accumulate(maps, _Each(usable, lambda row: np.asarray(truth_of(row, masks)))).auroc()


class _Each(Sequence[Array]):
    """Arrays of rows, read when they are asked for, so that one at a time is in memory."""

    def __init__(self, rows: list[dict[str, Any]], read: Callable[[dict[str, Any]], Array]) -> None:
        self._rows, self._read = rows, read

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> "_Each": ...
    def __getitem__(self, index: int | slice) -> "Array | _Each":
        if isinstance(index, slice):
            return _Each(self._rows[index], self._read)
        return self._read(self._rows[index])


def truth_of(row: dict[str, object], masks: Path) -> Array | None:
    """(H, W) bool ground truth of one image; None where it is not known."""
    image_hw = int(str(row["height"])), int(str(row["width"]))
    if row["label"] == "normal":
        return np.zeros(image_hw, dtype=bool)
    if (path := in_force(row, masks)) is not None:
        truth = read_mask(path, "> 0")
    elif isinstance(row["boxes"], list) and row["boxes"]:
        truth = boxes_to_mask([box["box_xyxy"] for box in row["boxes"]], image_hw)
    else:
        return None
    return truth if truth.any() and truth.shape == image_hw else None
