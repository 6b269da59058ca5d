"""The threshold with the highest Youden index: hit rate minus false alarm rate."""

import numpy as np

from curate.cut_points import Ladder, need_anomalies, need_normals
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal", "anomalous")
WHEN = "To compare detectors: it ignores how rare defects are, so on a line it stops too many good parts."


def choose(evidence: Evidence) -> Cut:
    """Threshold with the highest J = hit rate - false alarm rate, half way down to the next lower score.

    Among thresholds of equal J the highest is taken. How many of the items are anomalous does not matter.
    It costs least only where a miss costs N false alarms and there are N normal parts to an anomalous one.

    Raises:
        ValueError: one of the two labels is absent.

    Source: Youden 1950, doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3

    >>> scores, anomalous = np.array([0.125, 0.25, 0.75, 0.875]), np.array([False, False, True, True])
    >>> choose(Evidence.of(scores, anomalous)).threshold
    0.5
    """
    n_anomalous = float(need_anomalies(evidence, "youden").weights.sum())
    n_normal = float(need_normals(evidence, "youden").weights.sum())
    ladder = Ladder.of(evidence)
    index = ladder.hits / n_anomalous - ladder.false_alarms / n_normal
    best = int(np.flatnonzero(index >= index.max() - 1e-12)[0])  # equal ones differ by rounding
    rate = float(ladder.false_alarms[best]) / n_normal
    warning = f"It ignores how rare defects are: {1000 * rate:.3g} of 1,000 normal items raise an alarm here."
    facts = {"youden": float(index[best]), "false_alarm_rate": rate}
    return Cut(ladder.cut(evidence, best), warnings=(warning,), facts=facts)
