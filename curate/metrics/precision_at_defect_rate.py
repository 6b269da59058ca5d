"""Precision at the line's defect rate: of the alarms that a line will see, the share that is anomalous."""

import numpy as np

from curate.images import Array
from curate.operating_points import at_threshold, check_rate, within_fpr
from curate.ranking import Counts
from curate.scores import checked, need_both

LEVEL = "item"
FPR = 0.05


def compute(
    predicted: Array,
    truth: Array,
    defect_rate: float | None = None,
    threshold: float | None = None,
    fpr: float = FPR,
) -> float:
    """Precision = d TPR / (d TPR + (1 - d) FPR), where d is the defect rate.

    Data sets hold far more anomalous items than a line makes. A detector with a TPR of 1 and an FPR of 0.05
    has a precision of 0.95 where half of the items are anomalous, and of 0.02 where one in 1,000 is.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.
        defect_rate: of the line, in [0, 1]; None takes the share of these items, which is ordinary precision.
        threshold: a score >= threshold is an alarm; None takes the operating point at `fpr`.
        fpr: without a threshold, the one that finds most with a false-positive rate of at most this.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: the shapes differ, a score is NaN, one of the two labels is absent, a rate is not in
            [0, 1], or there is no alarm, so that there is no precision.

    >>> scores, labels = np.array([0.1, 0.4, 0.3, 0.8]), np.array([False, False, True, True])
    >>> round(compute(scores, labels, defect_rate=0.01, threshold=0.3), 4)
    0.0198
    """
    values, anomalous = checked(predicted, truth, finite=False)
    check_rate("fpr", fpr)
    need_both(anomalous, "Precision")
    precision = float(of(Counts.of_scores(values, anomalous), defect_rate, threshold, fpr))
    if np.isnan(precision):
        where = f"with a false-positive rate <= {fpr}" if threshold is None else f">= {threshold}"
        raise ValueError(
            f"Precision needs an alarm on the line; found none {where}. Lower the threshold, or allow more."
        )
    return precision


def of(
    counts: Counts, defect_rate: float | None = None, threshold: float | None = None, fpr: float = FPR
) -> Array:
    """(...) precision of counted items; NaN where a label is absent or there is no alarm."""
    point = within_fpr(counts, fpr) if threshold is None else at_threshold(counts, threshold)
    return counts.where_both(point.precision(defect_rate))
