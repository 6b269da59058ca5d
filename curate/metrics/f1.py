"""F1 of decisions: the harmonic mean of precision and recall, for one threshold."""

import numpy as np

from curate.images import Array

LEVEL = "decision"


def compute(predicted: Array, truth: Array) -> float:
    """F1 = 2 TP / (2 TP + FP + FN).

    Args:
        predicted: bool of any shape, True where `score >= threshold`.
        truth: the same shape, bool, True is anomalous.

    Returns:
        A number in [0, 1]; 0 when nothing was found.

    Raises:
        ValueError: the shapes differ, one is not bool, or the truth holds nothing anomalous, so that there is
            nothing to find.

    >>> compute(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    alarms, anomalous = np.asarray(predicted), np.asarray(truth)
    if alarms.shape != anomalous.shape:
        raise ValueError(
            f"Expected decisions and truth of one shape; found {alarms.shape} and {anomalous.shape}."
        )
    if alarms.dtype != np.bool_ or anomalous.dtype != np.bool_:
        raise ValueError(
            f"Expected bool arrays; found {alarms.dtype} and {anomalous.dtype}. "
            "Compare the scores with a threshold first."
        )
    n_anomalous, n_alarms = int(anomalous.sum()), int(alarms.sum())
    if n_anomalous == 0:
        raise ValueError(f"F1 needs anomalous labels; found none among {anomalous.size}. Add anomalous ones.")
    return 2 * int((alarms & anomalous).sum()) / (n_alarms + n_anomalous)
