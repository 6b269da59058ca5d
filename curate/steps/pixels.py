"""Pixel figures of a detector, from the maps and masks in the workspace."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd

from curate.anomaly_maps import read_raw
from curate.images import Array
from curate.masks import boxes_to_mask, read_mask
from curate.pixel_histograms import accumulate
from curate.steps.record import Context
from curate.tables import to_rows


def pixel_auroc(context: Context, rows: pd.DataFrame, detector: str) -> float | None:
    """Pixel AUROC over the images whose ground truth is known at pixel level.

    Normal images count as all background; anomalous ones need a mask that is not empty, or boxes, whose whole
    area then counts as defect.

    Args:
        rows: with the columns of the sample table and raw_map.

    Returns:
        None when no image has a defect pixel, or no map.
    """
    folder = context.paths.detector(detector)
    usable = []
    for row in to_rows(rows):
        truth = truth_of(row, context.paths.masks)
        if row["raw_map"] is not None and truth is not None:
            usable.append((folder / row["raw_map"], truth))
    if not any(truth.any() for _, truth in usable):
        return None
    return accumulate(_Maps([path for path, _ in usable]), [truth for _, truth in usable]).auroc()


class _Maps(Sequence[Array]):
    """Anomaly maps in files, read when they are asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> "_Maps": ...
    def __getitem__(self, index: int | slice) -> "Array | _Maps":
        if isinstance(index, slice):
            return _Maps(self._paths[index])
        return read_raw(self._paths[index])


def truth_of(row: dict[str, object], masks: Path) -> Array | None:
    """(H, W) bool ground truth of one image; None where it is not known."""
    image_hw = int(str(row["height"])), int(str(row["width"]))
    if row["label"] == "normal":
        return np.zeros(image_hw, dtype=bool)
    path = masks / f"{row['sample_id']}.png"
    if path.exists():
        truth = read_mask(path, "> 0")
    elif isinstance(row["boxes"], list) and row["boxes"]:
        truth = boxes_to_mask([box["box_xyxy"] for box in row["boxes"]], image_hw)
    else:
        return None
    return truth if truth.any() and truth.shape == image_hw else None
