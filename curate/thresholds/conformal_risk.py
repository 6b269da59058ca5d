"""Conformal risk control: bounds the expected miss rate for any distribution; needs defects only."""

from curate.conformal_cuts import conformal_cut
from curate.cut_points import PLURALS, need_anomalies, once_each
from curate.rate_cuts import one_per_group
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region")
NEEDS = ("anomalous",)
WHEN = "There are defects in calibration, and the share that is missed shall be bounded."


def choose(evidence: Evidence, *, beta: float = 0.05, per: str = "item") -> Cut:
    """Highest threshold with an expected miss rate of at most beta on defects like those of calibration.

    The loss of a group is the share of its anomalous items below the threshold; it can only grow with the
    threshold. With the losses of n groups, the threshold is the highest with (sum of losses + 1) / (n + 1) <=
    beta: then the expected loss of the next group is within beta. With single items that is the k-th smallest
    score, k = floor(beta (n + 1)). With per="group" a group is lost as soon as one of its items is missed.

    Raises:
        ValueError: beta outside (0, 1), unknown `per`, or no anomalous item.

    Source: Angelopoulos et al. 2022, Conformal Risk Control, arXiv:2208.02814.

    >>> import numpy as np
    >>> choose(Evidence.of(np.arange(1.0, 20), np.ones(19, dtype=bool)), beta=0.1).threshold
    2.0
    """
    anomalies = once_each(need_anomalies(evidence, "conformal_risk"), "conformal_risk")
    threshold, reason = conformal_cut(anomalies, beta, "beta", per)
    n, n_groups = len(anomalies.scores), len(one_per_group(anomalies, highest=False).scores)
    facts: dict[str, Fact] = {"n_anomalous": n, "n_groups": n_groups, "beta_smallest": 1 / (n_groups + 1)}
    if reason:
        return Cut(threshold, None, False, "", reason, facts=facts)
    normals = evidence.normals
    if len(normals.scores):
        facts["false_alarm_rate"] = float((normals.scores >= threshold).mean())
    what = PLURALS[evidence.level]
    of = "P(any miss in a new group)" if per == "group" else f"Expected share of anomalous {what} missed"
    claim = f"{of} <= {beta:g}, if new defects are like the {n:,} anomalous {what} of calibration."
    kinds = "Kinds of defect that calibration lacks are not covered."
    return Cut(threshold, claim=claim, warnings=(kinds,), facts=facts)
