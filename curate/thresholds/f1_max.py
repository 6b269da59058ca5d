"""The threshold with the highest F1 on the given scores; needs normal and anomalous images."""

import numpy as np

from curate.images import Array
from curate.scores import checked, need_both


def choose(scores: Array, labels: Array) -> float:
    """Threshold with the highest F1, half way down to the next lower score.

    Among thresholds of equal F1 the highest is taken: it gives the fewest false alarms. Images of equal score
    stay together. The result is exact in the type of `scores`, so that comparing in that type gives the same
    answer as comparing in float64. O(N log N).

    Args:
        scores: (N,) anomaly scores, finite, higher is more suspicious.
        labels: (N,) bool, True is anomalous.

    Raises:
        ValueError: the shapes differ, a score is not finite, or one of the two labels is absent.

    >>> choose(np.array([0.125, 0.25, 0.75, 0.875]), np.array([False, False, True, True]))
    0.5
    """
    values, anomalous = checked(scores, labels)
    need_both(anomalous, 'The rule "f1_max"')
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(anomalous[order])
    last_of_equal = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    f1 = 2 * hits[last_of_equal] / (last_of_equal + 1 + hits[-1])
    best = int(np.argmax(f1))
    upper = ranked[last_of_equal[best]]
    if best + 1 == len(last_of_equal):
        return float(upper)
    lower = ranked[last_of_equal[best + 1]]
    middle = lower / 2 + upper / 2  # halves first: the sum of two large scores may overflow
    return float(middle if lower < middle <= upper else upper)
