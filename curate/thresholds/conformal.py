"""Split conformal: bounds the probability of a false alarm for any distribution; needs no defect."""

from curate.conformal_cuts import conformal_cut
from curate.cut_points import NORMALS, need_normals, once_each
from curate.rate_cuts import highest_rate, one_per_group
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region")
NEEDS = ("normal",)
WHEN = "Normal images only, and the rate of false alarms shall be bounded without a guess at their scores."
CONFIDENCE = 0.95


def choose(evidence: Evidence, *, alpha: float = 0.01, per: str = "item") -> Cut:
    """Lowest threshold with P(false alarm) <= alpha, provided that new parts are like those of calibration.

    Of n normal items, let k = ceil((n + 1)(1 - alpha)). A new one exceeds the k-th smallest score with a
    probability of at most alpha, ties included; the threshold is the next number above that score, since a
    score that equals the threshold is an alarm. If k > n, no finite threshold can promise it.

    Where groups (parts, lots) hold several items, items of one group resemble each other, and the plain rule
    promises too much. So the items of a group share one vote. That keeps the promise for one item of a new
    group, drawn at random; it uses every item, and unlike taking one item per group it needs no draw. With
    per="group" the highest score of each group is taken instead: P(any false alarm in a new group) <= alpha.
    That is what counts where a part is stopped as soon as one of its images raises an alarm. On lots of
    hundreds of images it is much stricter, so it is not the default.

    The probability is one over calibrations, too. With the one at hand the rate may be higher; the fact
    `rate_high` tells how high (confidence 0.95), where each item is its own group or per="group".

    Raises:
        ValueError: alpha outside (0, 1), unknown `per`, or no normal item.

    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; Bates et al. 2023,
        doi:10.1214/22-AOS2244; for groups: Lee, Barber and Willett 2023, arXiv:2306.06342.

    >>> import numpy as np
    >>> cut = choose(Evidence.of(np.arange(1.0, 20), np.zeros(19, dtype=bool)), alpha=0.1)
    >>> 18 < cut.threshold < 18.00001
    True
    """
    normals = once_each(need_normals(evidence, "conformal"), "conformal")
    threshold, reason = conformal_cut(normals, alpha, "alpha", per)
    units = one_per_group(normals, highest=True)
    n_groups, n = len(units.scores), len(normals.scores)
    facts: dict[str, Fact] = {"n_normal": n, "n_groups": n_groups, "alpha_smallest": 1 / (n_groups + 1)}
    if reason:
        return Cut(threshold, None, False, "", reason, facts=facts)
    warnings = []
    if per == "group" or n_groups == n:
        bound = highest_rate(int((units.scores >= threshold).sum()), n_groups, CONFIDENCE)
        facts["rate_high"] = bound
        warnings.append(
            f"The bound holds on average over calibrations; with this one the rate is at most {bound:.3g} "
            f"(confidence {CONFIDENCE:g})."
        )
    what = NORMALS[evidence.level][:-1]
    of = f"any {what} of a new group" if per == "group" else f"a new normal {what}"
    if per == "item" and n_groups < n:
        of = f"a normal {what} of a new group"
    claim = (
        f"P(false alarm on {of}) <= {alpha:g}, if new parts are like the {n:,} normal {what}s of calibration."
    )
    return Cut(threshold, claim=claim, warnings=tuple(warnings), facts=facts)
