"""Average precision: the mean of the precision at each anomalous item, by the step rule."""

import numpy as np

from curate.images import Array
from curate.ranking import Counts, ratio
from curate.scores import checked, need_both

LEVEL = "item"


def compute(predicted: Array, truth: Array) -> float:
    """AP = sum of (R_n - R_{n-1}) P_n over thresholds n, as scikit-learn has it.

    Items of equal score are found together. The trapezoidal area under the same points is higher, and no
    operating point of the scores attains it.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.

    Returns:
        A number in (0, 1]; scores that tell nothing give the share of anomalous items.

    Raises:
        ValueError: the shapes differ, a score is NaN, or one of the two labels is absent.

    Source: Davis and Goadrich, ICML 2006, doi:10.1145/1143844.1143874, on why points must not be joined.

    >>> round(compute(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])), 4)
    0.8333
    """
    values, anomalous = checked(predicted, truth, finite=False)
    need_both(anomalous, "Average precision")
    return float(of(Counts.of_scores(values, anomalous)))


def of(counts: Counts) -> Array:
    """(...) average precision of counted items; NaN where one of the two labels is absent."""
    alarms = counts.true_positives + counts.false_positives
    precision = np.divide(counts.true_positives, alarms, out=np.zeros_like(alarms), where=alarms > 0)
    total = np.einsum("...k,...k->...", counts.positive, precision)
    return counts.where_both(ratio(total, counts.n_positive))
