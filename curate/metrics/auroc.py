"""Area under the ROC curve: the chance that an anomalous item scores higher than a normal one."""

import numpy as np

from curate.images import Array
from curate.ranking import Counts, ratio
from curate.scores import checked, need_both

LEVEL = "item"


def compute(predicted: Array, truth: Array) -> float:
    """Exact AUROC; equal scores count half. O(N log N), and only the scores are copied.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.

    Returns:
        A number in [0, 1]; 0.5 when the scores tell nothing.

    Raises:
        ValueError: the shapes differ, a score is NaN, or one of the two labels is absent.

    Source: Mann and Whitney 1947, doi:10.1214/aoms/1177730491

    >>> compute(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    values, anomalous = checked(predicted, truth, finite=False)
    need_both(anomalous, "AUROC")
    normal = np.sort(values[~anomalous])
    others = values[anomalous]
    below = int(np.searchsorted(normal, others, side="left").sum())
    not_above = int(np.searchsorted(normal, others, side="right").sum())
    return (below + not_above) / (2 * len(normal) * len(others))


def of(counts: Counts) -> Array:
    """(...) AUROC of counted items; NaN where one of the two labels is absent."""
    beaten = counts.n_negative[..., None] - counts.false_positives + counts.negative / 2
    pairs = np.einsum("...k,...k->...", counts.positive, beaten)
    return ratio(pairs, counts.n_positive * counts.n_negative)
