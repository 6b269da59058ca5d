"""The highest level of an anomaly map at which a component is larger than an area that may be overlooked."""

import cv2
import numpy as np

from curate.images import Array


def highest_level(anomaly_map: Array, max_area_px: int = 0, within: Array | None = None) -> float:
    """The highest threshold at which `anomaly_map >= threshold` has a larger component than allowed.

    That is the maximum of the map's area opening by max_area_px + 1 pixels; 8-connected. It is exact:
    components only grow while the threshold falls, so the distinct values are halved until one is left.

    Args:
        anomaly_map: (H, W), finite.
        max_area_px: from 0 up to H x W - 1. With 0 the answer is the highest value.
        within: (H, W) bool, at least one True: only components that touch it count, and they count whole.

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
        if _largest(values >= levels[middle], within) > max_area_px:
            low = middle
        else:
            high = middle - 1
    return float(levels[low])


def region_levels(anomaly_map: Array, labels: Array, n_regions: int, max_area_px: int = 0) -> list[float]:
    """The highest level at each region of an image, or at the whole map where there is none.

    A region is found by a component that touches it; its own area does not matter.

    Args:
        labels: (H, W) integers, 0 outside and 1 to n_regions inside.

    Raises:
        ValueError: see highest_level.
    """
    if not n_regions:
        return [highest_level(anomaly_map, max_area_px)]
    return [highest_level(anomaly_map, max_area_px, labels == number) for number in range(1, n_regions + 1)]


def _largest(mask: Array, within: Array | None) -> int:
    """Pixels of the largest 8-connected component, of those that touch a place."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # what lies outside of the mask
    return int((areas if within is None else areas[labels[within]]).max(initial=0))
