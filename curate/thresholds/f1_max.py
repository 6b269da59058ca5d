"""The threshold with the highest F1 on the given scores; needs normal and anomalous images."""

import numpy as np

from curate.cut_points import PLURALS, Ladder, need_anomalies, need_normals
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal", "anomalous")
WHEN = "Defects are as frequent in calibration as on the line; to compare with published figures."


def choose(evidence: Evidence) -> Cut:
    """Threshold with the highest F1, half way down to the next lower score.

    Among thresholds of equal F1 the highest is taken: it gives the fewest false alarms. Items of equal score
    stay together. O(N log N).

    F1 depends on how many of the given items are anomalous. On a line with fewer defects the best threshold
    lies higher; the rule "cost_minimal" takes the line's own rate.

    Raises:
        ValueError: one of the two labels is absent.

    >>> scores, anomalous = np.array([0.125, 0.25, 0.75, 0.875]), np.array([False, False, True, True])
    >>> choose(Evidence.of(scores, anomalous)).threshold
    0.5
    """
    n_anomalous = float(need_anomalies(evidence, "f1_max").weights.sum())
    n_normal = float(need_normals(evidence, "f1_max").weights.sum())
    ladder = Ladder.of(evidence)
    alarms = ladder.hits + ladder.false_alarms
    f1 = 2 * ladder.hits / (alarms + n_anomalous)
    best = int(np.argmax(f1))
    share = n_anomalous / (n_anomalous + n_normal)
    return Cut(
        ladder.cut(evidence, best),
        warnings=(
            f"F1 is the best where {share:.3g} of the {PLURALS[evidence.level]} are anomalous, as here; "
            "where fewer are, another threshold is.",
        ),
        facts={"f1": float(f1[best]), "anomalous_fraction": share},
    )
