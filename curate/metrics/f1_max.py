"""F1-max: the highest F1 that any threshold gives on these very items; an oracle, not what a line sees."""

from curate.images import Array
from curate.operating_points import best_f1
from curate.ranking import Counts, ratio
from curate.scores import checked, need_both

LEVEL = "item"


def compute(predicted: Array, truth: Array) -> float:
    """The highest F1 of all thresholds, chosen with the labels it is reported on.

    So it is a ceiling for comparing detectors. A threshold for use is chosen on a calibration part; its F1 on
    the test part is lower. F1 depends on the share of anomalous items, which is seldom that of a line.

    Args:
        predicted: anomaly scores of any shape, higher is more suspicious; infinite is allowed.
        truth: the same shape, bool, True is anomalous.

    Returns:
        A number in (0, 1], at least 2 s / (1 + s), where s is the share of anomalous items.

    Raises:
        ValueError: the shapes differ, a score is NaN, or one of the two labels is absent.

    >>> import numpy as np
    >>> round(compute(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])), 4)
    0.8
    """
    values, anomalous = checked(predicted, truth, finite=False)
    need_both(anomalous, "F1-max")
    return float(of(Counts.of_scores(values, anomalous)))


def threshold(predicted: Array, truth: Array) -> float:
    """The threshold of F1-max: the highest score that gives it. `score >= threshold` is anomalous.

    Raises:
        ValueError: see compute.

    >>> import numpy as np
    >>> threshold(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.4
    """
    values, anomalous = checked(predicted, truth, finite=False)
    need_both(anomalous, "F1-max")
    return float(best_f1(Counts.of_scores(values, anomalous)).threshold)


def of(counts: Counts) -> Array:
    """(...) F1-max of counted items; NaN where one of the two labels is absent."""
    best = best_f1(counts)
    hits, alarms = best.true_positives, best.true_positives + best.false_positives
    return counts.where_both(ratio(2 * hits, alarms + counts.n_positive))
