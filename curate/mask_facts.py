"""What the checks want to know about a ground-truth mask, measured once while it is read."""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from curate.images import Array
from curate.masks import SPECK_PX, filled

COLUMNS = ["sample_id", "n_px", "n_regions", "n_specks", "n_border", "smallest_px", "values"]
MAX_VALUES = 256  # a grey mask has no more; a 16-bit one may


def measure(mask: Array, values: Iterable[int] = ()) -> dict[str, Any]:
    """Facts of one mask.

    Args:
        mask: (H, W) bool, True on the defect.
        values: distinct values above 0 of the mask files.

    Returns:
        n_px (defect pixels), n_regions (8-connected), n_specks (regions of at most 4 px), n_border (regions
        that touch the image's border), smallest_px (0 without a region), values (sorted, the first 256).

    >>> measure(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool), [255])["n_border"]
    1
    """
    areas, n_border = _regions(mask)
    return {
        "n_px": int(areas.sum()),
        "n_regions": len(areas),
        "n_specks": int(np.count_nonzero(areas <= SPECK_PX)),
        "n_border": n_border,
        "smallest_px": int(areas.min()) if len(areas) else 0,
        "values": sorted(values)[:MAX_VALUES],
    }


def _regions(mask: Array) -> tuple[Array, int]:
    """Areas of the regions in px, and how many of them touch the border; only where the mask has pixels."""
    if (place := filled(mask)) is None:
        return np.zeros(0, np.int64), 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask[place].view(np.uint8), connectivity=8)
    top, left = place[0].start, place[1].start
    x0, y0 = stats[1:, cv2.CC_STAT_LEFT] + left, stats[1:, cv2.CC_STAT_TOP] + top
    x1, y1 = x0 + stats[1:, cv2.CC_STAT_WIDTH], y0 + stats[1:, cv2.CC_STAT_HEIGHT]
    at_border = (x0 == 0) | (y0 == 0) | (x1 == mask.shape[1]) | (y1 == mask.shape[0])
    return stats[1:, cv2.CC_STAT_AREA].astype(np.int64), int(np.count_nonzero(at_border))
