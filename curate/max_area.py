"""The highest level of an anomaly map at which a component is larger than an area that may be overlooked."""

import cv2
import numpy as np

from curate.images import Array


def highest_level(anomaly_map: Array, max_area_px: int = 0) -> float:
    """The highest threshold at which `anomaly_map >= threshold` has a larger component than allowed.

    That is the maximum of the map's area opening by max_area_px + 1 pixels; 8-connected. It is exact:
    components only grow while the threshold falls, so the distinct values are halved until one is left.

    Args:
        anomaly_map: (H, W), finite.
        max_area_px: from 0 up to H x W - 1. With 0 the answer is the highest value.

    Raises:
        ValueError: another shape, a value that is not finite, or an area outside that range.

    >>> highest_level(np.array([[9.0, 1.0, 5.0], [1.0, 1.0, 4.0]]), 1)
    4.0
    """
    values = np.asarray(anomaly_map)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(
            f"Expected a finite (H, W) map; found shape {values.shape}, or values that are not finite."
        )
    if not 0 <= max_area_px < values.size:
        raise ValueError(f"Expected an area of 0 to {values.size - 1} pixels; found {max_area_px}.")
    # fewer than max_area_px + 1 pixels lie above this one, so no answer is higher
    highest = np.partition(values, values.size - 1 - max_area_px, axis=None)[values.size - 1 - max_area_px]
    levels = np.unique(values[values <= highest])
    low, high = 0, len(levels) - 1  # at the lowest level the whole map is one component
    while low < high:
        middle = (low + high + 1) // 2
        if _largest(values >= levels[middle]) > max_area_px:
            low = middle
        else:
            high = middle - 1
    return float(levels[low])


def _largest(mask: Array) -> int:
    """Pixels of the largest 8-connected component."""
    _, _, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return int(facts[1:, cv2.CC_STAT_AREA].max(initial=0))
