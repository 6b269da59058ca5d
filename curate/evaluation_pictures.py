"""Picture strips of an evaluation: the image with its truth outlined, the anomaly map, and the mask."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curate.anomaly_maps import read_raw
from curate.check_report import shown
from curate.errors import CurateError
from curate.images import Array, encode_jpeg
from curate.thumbnails import picture, truth_of

SIDE_PX, GAP_PX = 168, 6
QUALITY = 82
MAX_BYTES = 6_000_000  # of all pictures of a page, which base64 makes a third larger
MASK_RGB, PAPER = (213, 94, 0), 255


class Strips:
    """Makes strips one at a time, until the page would become too large."""

    def __init__(self, samples: Mapping[str, Mapping[str, Any]], masks: Path) -> None:
        """samples: sample_id to row of the sample table; masks: folder of the canonical masks."""
        self.samples, self.masks = samples, masks
        self.left = MAX_BYTES

    def image(self, sample_id: str, map_path: Path | None, shown_range: tuple[float, float] | None) -> str:
        """A strip as an HTML image; "" where the picture cannot be read, or there is no room left."""
        row = self.samples.get(sample_id)
        if row is None or self.left <= 0:
            return ""
        jpeg = strip(row, self.masks, map_path, shown_range)
        if jpeg is None or len(jpeg) > self.left:
            return ""
        self.left -= len(jpeg)
        data = base64.b64encode(jpeg).decode()
        told = shown(f"{row['relative_path']}: image, anomaly map, truth")
        return f'<img src="data:image/jpeg;base64,{data}" alt="{told}">'


def strip(
    row: Mapping[str, Any], masks: Path, map_path: Path | None, shown_range: tuple[float, float] | None
) -> bytes | None:
    """A JPEG with three panes side by side; None when the image cannot be read.

    Args:
        row: of the sample table.
        masks: folder of the canonical masks.
        map_path: raw map; None leaves its pane grey.
        shown_range: map values of the darkest and the lightest colour; those of the map itself when None.
    """
    small = picture(row, masks, SIDE_PX)
    if small is None:
        return None
    size_wh = (small.shape[1], small.shape[0])
    panes = [small, _map(map_path, size_wh, shown_range), _mask(row, masks, size_wh)]
    gap = np.full((small.shape[0], GAP_PX, 3), PAPER, dtype=np.uint8)
    return encode_jpeg(np.hstack([panes[0], gap, panes[1], gap, panes[2]]), QUALITY)


def _map(path: Path | None, size_wh: tuple[int, int], shown_range: tuple[float, float] | None) -> Array:
    empty = np.full((size_wh[1], size_wh[0], 3), 235, dtype=np.uint8)
    if path is None:
        return empty
    try:
        values = read_raw(path)
    except CurateError:
        return empty
    low, high = shown_range or (float(values.min()), float(values.max()))
    span = high - low if high > low else 1.0
    grey = np.nan_to_num(np.clip((values - low) / span, 0, 1), nan=0.0)
    small = cv2.resize(np.rint(grey * 255).astype(np.uint8), size_wh, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cv2.applyColorMap(small, cv2.COLORMAP_INFERNO)[:, :, ::-1])


def _mask(row: Mapping[str, Any], masks: Path, size_wh: tuple[int, int]) -> Array:
    """The truth in colour on white; grey where it is not known."""
    pane = np.full((size_wh[1], size_wh[0], 3), 255, dtype=np.uint8)
    pane[[0, -1], :] = pane[:, [0, -1]] = 200
    if row["label"] == "normal":
        return pane
    truth = truth_of(row, masks, (int(row["height"]), int(row["width"])))
    if truth is None:
        return np.full_like(pane, 235)
    # 65535: one defect pixel among a thousand must not round to none
    covered = cv2.resize(truth.astype(np.uint16) * 65535, size_wh, interpolation=cv2.INTER_AREA) > 0
    pane[covered] = MASK_RGB
    return pane
