"""The smallest threshold that raises no alarm on the given normal images; needs no defect."""

import numpy as np

from curate.images import Array
from curate.scores import checked


def choose(scores: Array, labels: Array) -> float:
    """The next number above the highest normal score, in the type of `scores`.

    Args:
        scores: (N,) anomaly scores, finite, higher is more suspicious.
        labels: (N,) bool, True is anomalous; anomalous images are ignored.

    Raises:
        ValueError: the shapes differ, a score is not finite, or no image is normal.

    >>> threshold = choose(np.array([0.1, 0.5, 0.9]), np.array([False, False, True]))
    >>> 0.5 < threshold < 0.5000001
    True
    """
    values, anomalous = checked(scores, labels)
    if anomalous.all():
        raise ValueError(
            f'The rule "max_normal" needs normal images; found none among {len(values)}. '
            "Add normal images to the calibration part."
        )
    above = np.nextafter(values[~anomalous].max(), values.dtype.type(np.inf))
    if not np.isfinite(above):
        raise ValueError(
            "The highest normal score is the largest number of its type: no threshold lies above."
        )
    return float(above)
