"""The highest threshold with a wanted miss rate on the anomalous items, and how sure that rate is."""

import math

import numpy as np

from curate.cut_points import PLURALS, between_0_and_1, need_anomalies
from curate.rate_cuts import (
    highest_cut,
    highest_rate,
    hits_allowed,
    one_per_group,
    refuse_pixels,
    too_few_to_certify,
    too_few_to_measure,
)
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region", "pixel")
NEEDS = ("anomalous",)
WHEN = "Only a stated share of defects may pass, and false alarms are what that costs."
OTHER_KINDS = "It holds for defects like those in calibration, not for kinds of defect that are absent there."


def choose(evidence: Evidence, *, beta: float = 0.05, confidence: float = 0.95, certify: bool = False) -> Cut:
    """Highest threshold below which at most `beta` of the anomalous items lie.

    Like fixed_fpr, seen from the other side: the highest miss rate that the data cannot exclude is given with
    it, and `certify` keeps that one within beta. Where groups hold several items, groups with a miss count.

    Raises:
        ValueError: beta or confidence outside (0, 1), certify with pixels, or no anomalous item.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404; Wilks 1941, doi:10.1214/aoms/1177731788.

    >>> cut = choose(Evidence.of(np.arange(100.0), np.ones(100, dtype=bool)), beta=0.05)
    >>> cut.threshold, cut.facts["n_missed"]
    (5.0, 5.0)
    """
    rate, _ = between_0_and_1("beta", beta), between_0_and_1("confidence", confidence)
    anomalies = need_anomalies(evidence, "fixed_miss_rate")
    if certify:
        return _certified(anomalies, beta, confidence)
    total = float(anomalies.weights.sum())
    allowed = math.floor(rate * round(total)) if total == round(total) else beta * total
    threshold = highest_cut(anomalies, anomalies.weights, allowed)
    n_missed = float(anomalies.weights[anomalies.scores < threshold].sum())
    facts: dict[str, Fact] = {"n_anomalous": total, "n_missed": n_missed, "rate": n_missed / total}
    what = PLURALS[evidence.level]
    claim = f"Of these {total:,.0f} anomalous {what} a share of {n_missed / total:.3g} is missed"
    if evidence.level != "pixel":
        units = one_per_group(anomalies, highest=False)
        bound = highest_rate(int((units.scores < threshold).sum()), len(units.scores), confidence)
        facts |= {"n_groups": len(units.scores), "rate_high": bound}
        of = "" if len(units.scores) == total else " among groups"
        claim += f"; with confidence {confidence:g} the miss rate{of} of the line is at most {bound:.3g}"
    needed = math.ceil(1 / rate)
    limit = f"beta = {beta:g}"
    reason = too_few_to_measure(limit, beta, confidence, needed, total, f"anomalous {what}")
    return Cut(threshold, None, not reason, claim + ".", reason, (OTHER_KINDS,), facts)


def _certified(anomalies: Evidence, beta: float, confidence: float) -> Cut:
    refuse_pixels(anomalies.level)
    units = one_per_group(anomalies, highest=False)
    n, what = len(units.scores), PLURALS[anomalies.level]
    grouped = n < len(anomalies.scores)
    allowed = hits_allowed(n, beta, confidence)
    facts: dict[str, Fact] = {"n_anomalous": len(anomalies.scores), "n_groups": n, "n_allowed": allowed}
    if allowed < 0:
        limit, kind = f"beta = {beta:g}", f"anomalous {what}"
        reason = too_few_to_certify(limit, beta, confidence, n, kind, grouped)
        return Cut(float("-inf"), None, False, "", reason, facts=facts)
    bound = highest_rate(allowed, n, confidence)
    of = "groups with a miss" if grouped else "misses"
    claim = f"With confidence {confidence:g} the rate of {of} is at most {bound:.3g}."
    threshold = highest_cut(units, np.ones(n), allowed)
    return Cut(threshold, claim=claim, warnings=(OTHER_KINDS,), facts=facts | {"rate_high": bound})
