"""TNR at a miss rate: the share of normal items that pass while few anomalous ones are missed."""

from curate.images import Array
from curate.operating_points import check_rate, within_miss_rate
from curate.ranking import Counts
from curate.scores import checked, need_both

LEVEL = "item"
MISS_RATE = 0.05


def compute(predicted: Array, truth: Array, miss_rate: float = MISS_RATE) -> float:
    """The highest true-negative rate of all thresholds that miss at most `miss_rate` of the anomalous items.

    Nothing is interpolated: a threshold attains it on these items. That is PGn of Baitieva et al., n being
    100 x miss_rate. A threshold interpolated between two scores misses more than it says: with 10 anomalous
    items and 0.05, one of them.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.
        miss_rate: false-negative rate, in [0, 1].

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: the shapes differ, a score is NaN, one of the two labels is absent, or miss_rate is
            not in [0, 1].

    Source: Baitieva et al., CVPR Workshops 2025, arXiv:2503.23451

    >>> import numpy as np
    >>> compute(np.array([0.1, 0.4, 0.3, 0.8]), np.array([False, False, True, True]))
    0.5
    """
    values, anomalous = checked(predicted, truth, finite=False)
    check_rate("miss_rate", miss_rate)
    need_both(anomalous, "TNR at a miss rate")
    return float(of(Counts.of_scores(values, anomalous), miss_rate))


def of(counts: Counts, miss_rate: float = MISS_RATE) -> Array:
    """(...) TNR at a miss rate of counted items; NaN where one of the two labels is absent."""
    return counts.where_both(1 - within_miss_rate(counts, miss_rate).fpr)
