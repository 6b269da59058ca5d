"""From a map, or a score grid, to one image score."""

import numpy as np


def reduce(values: np.ndarray, how: str, top_fraction: float) -> float:
    """The image score.

    Args:
        values: any shape, not empty; only those that show the image.
        how: "max"; "mean"; or "top_mean", the mean of the highest ceil(top_fraction * n) values.
        top_fraction: in (0, 1].

    >>> reduce(np.array([1.0, 2.0, 3.0, 4.0]), "top_mean", 0.5)
    3.5
    """
    if how == "max":
        return float(values.max())
    flat = values.ravel()
    if how == "top_mean":
        n = max(1, int(np.ceil(top_fraction * flat.size)))
        flat = np.partition(flat, flat.size - n)[-n:]
    return float(flat.mean(dtype=np.float64))
