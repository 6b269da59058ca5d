"""The lowest threshold with a wanted rate of false alarms on the normal items, and how sure that rate is."""

import math

import numpy as np

from curate.cut_points import NORMALS, between_0_and_1, need_normals
from curate.rate_cuts import (
    highest_rate,
    hits_allowed,
    lowest_cut,
    one_per_group,
    refuse_pixels,
    too_few_to_certify,
    too_few_to_measure,
)
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal",)
WHEN = "A stated share of normal parts may be stopped, and you want to know how sure that share is."


def choose(
    evidence: Evidence, *, alpha: float = 0.01, confidence: float = 0.95, certify: bool = False
) -> Cut:
    """Lowest threshold at which at most `alpha` of the normal items raise an alarm.

    The share on the items at hand is not the rate of the line. The highest rate that the data cannot exclude
    is given with it. To have that one within alpha, say `certify`: that takes 299 items for 0.01 and a
    confidence of 0.95. Where groups hold several items, groups with an alarm are counted for the bound, and
    their highest scores are what is certified.

    Pixels of one image are not independent, so pixels have no such bound.

    Raises:
        ValueError: alpha or confidence outside (0, 1), certify with pixels, or no normal item.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404; Wilks 1941, doi:10.1214/aoms/1177731788.

    >>> cut = choose(Evidence.of(np.arange(100.0), np.zeros(100, dtype=bool)), alpha=0.05)
    >>> 94 < cut.threshold < 95, cut.facts["n_false_alarms"]
    (True, 5.0)
    """
    rate, _ = between_0_and_1("alpha", alpha), between_0_and_1("confidence", confidence)
    normals = need_normals(evidence, "fixed_fpr")
    if certify:
        return _certified(normals, alpha, confidence)
    total = float(normals.weights.sum())
    allowed = math.floor(rate * round(total)) if total == round(total) else alpha * total
    threshold = lowest_cut(normals, normals.weights, allowed, evidence)
    n_alarms = float(normals.weights[normals.scores >= threshold].sum())
    facts: dict[str, Fact] = {"n_normal": total, "n_false_alarms": n_alarms, "rate": n_alarms / total}
    what = NORMALS[evidence.level]
    claim = f"On these {total:,.0f} normal {what} the false alarm rate is {n_alarms / total:.3g}"
    if evidence.level != "pixel":
        units = one_per_group(normals, highest=True)
        bound = highest_rate(int((units.scores >= threshold).sum()), len(units.scores), confidence)
        facts |= {"n_groups": len(units.scores), "rate_high": bound}
        of = "" if len(units.scores) == total else " among groups"
        claim += f"; with confidence {confidence:g} the rate{of} of the line is at most {bound:.3g}"
    needed = math.ceil(1 / rate)
    limit = f"alpha = {alpha:g}"
    reason = too_few_to_measure(limit, alpha, confidence, needed, total, f"normal {what}")
    return Cut(threshold, None, not reason, claim + ".", reason, facts=facts)


def _certified(normals: Evidence, alpha: float, confidence: float) -> Cut:
    refuse_pixels(normals.level)
    units = one_per_group(normals, highest=True)
    n, what = len(units.scores), NORMALS[normals.level]
    grouped = n < len(normals.scores)
    allowed = hits_allowed(n, alpha, confidence)
    facts: dict[str, Fact] = {"n_normal": len(normals.scores), "n_groups": n, "n_allowed": allowed}
    if allowed < 0:
        limit, kind = f"alpha = {alpha:g}", f"normal {what}"
        reason = too_few_to_certify(limit, alpha, confidence, n, kind, grouped)
        return Cut(float("inf"), None, False, "", reason, facts=facts)
    bound = highest_rate(allowed, n, confidence)
    of = "groups with a false alarm" if grouped else "false alarms"
    claim = f"With confidence {confidence:g} the rate of {of} is at most {bound:.3g}."
    return Cut(lowest_cut(units, np.ones(n), allowed), claim=claim, facts=facts | {"rate_high": bound})
