"""Where an anomaly map is strongest: one box, for a person to be shown it closely."""

import numpy as np

from curate.images import Array
from curate.masks import label_regions, regions

CORE = 0.5  # of the way from the median to the highest value: from there on pixels belong to the region


def hottest(anomaly_map: Array) -> tuple[int, int, int, int] | None:
    """Smallest box around the region that holds the most of a map's excess over its median.

    A map that is cut off at its top has many highest pixels: the region with the most of them wins.

    Args:
        anomaly_map: (H, W), higher is more anomalous, any scale.

    Returns:
        Box x0, y0, x1, y1 in pixels, half-open; None where the map is flat.

    >>> hottest(np.array([[0, 0, 0, 0], [0, 9, 8, 0], [7, 0, 0, 0]]))
    (0, 1, 3, 3)
    """
    values = np.asarray(anomaly_map, dtype=np.float64)
    low, high = float(np.median(values)), float(values.max())
    if high <= low:
        return None
    hot = values >= low + CORE * (high - low)
    labels, n_regions = label_regions(hot)
    excess = np.bincount(labels.ravel(), weights=(values - low).ravel(), minlength=n_regions + 1)[1:]
    return regions(hot)[int(np.argmax(excess))].box_xyxy
