"""TPR at a false-positive rate: the share of anomalous items found while few normal ones are alarms."""

from curate.images import Array
from curate.operating_points import check_rate, within_fpr
from curate.ranking import Counts
from curate.scores import checked, need_both

LEVEL = "item"
FPR = 0.05


def compute(predicted: Array, truth: Array, fpr: float = FPR) -> float:
    """The highest true-positive rate of all thresholds whose false-positive rate is at most `fpr`.

    Nothing is interpolated: a threshold attains it on these items. That is PBn of Baitieva et al., n being
    100 x fpr. A threshold interpolated between two scores may give more alarms than it says.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.
        fpr: in [0, 1].

    Returns:
        A number in [0, 1]; 0 where the highest scores, being equal, exceed `fpr` already.

    Raises:
        ValueError: the shapes differ, a score is NaN, one of the two labels is absent, or fpr is not in
            [0, 1].

    Source: Baitieva et al., CVPR Workshops 2025, arXiv:2503.23451

    >>> import numpy as np
    >>> compute(np.array([0.1, 0.4, 0.3, 0.8]), np.array([False, False, True, True]))
    0.5
    """
    values, anomalous = checked(predicted, truth, finite=False)
    check_rate("fpr", fpr)
    need_both(anomalous, "TPR at a false-positive rate")
    return float(of(Counts.of_scores(values, anomalous), fpr))


def of(counts: Counts, fpr: float = FPR) -> Array:
    """(...) TPR at a false-positive rate of counted items; NaN where one of the two labels is absent."""
    return counts.where_both(within_fpr(counts, fpr).tpr)
