"""A quantile of the normal scores, interpolated as most published code does it; needs no defect."""

import math

import numpy as np

from curate.cut_points import NORMALS, between_0_and_1, just_above, need_normals
from curate.images import Array
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal",)
WHEN = "To repeat published work that cuts at a quantile of normal scores; fixed_fpr says more."


def choose(evidence: Evidence, *, q: float = 0.99) -> Cut:
    """The q-quantile of the normal scores, linear between neighbours (type 7 of Hyndman and Fan).

    Where it falls on the highest score, the next number above is taken, so that not the whole tie alarms.

    Raises:
        ValueError: q outside (0, 1), or no normal item.

    Source: Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4

    >>> choose(Evidence.of(np.arange(101.0), np.zeros(101, dtype=bool)), q=0.95).threshold
    95.0
    """
    exact = between_0_and_1("q", q)
    normals = need_normals(evidence, "quantile")
    threshold = weighted_quantile(normals.scores, normals.weights, q)
    if threshold >= normals.scores.max():
        threshold = just_above(evidence, float(normals.scores.max()))
    total = float(normals.weights.sum())
    alarms = float(normals.weights[normals.scores >= threshold].sum())
    warnings, needed = [], math.ceil(1 / (1 - exact))
    if alarms / total > 2 * (1 - q) and alarms > 1:
        warnings.append(f"Equal scores: {alarms / total:.3g} of the normal items raise an alarm.")
    reason = ""
    if total < needed:
        reason = (
            f"q = {q:g} needs at least {needed:,} normal {NORMALS[evidence.level]} in calibration; "
            f"there are {total:,.0f}. Between the two highest scores it is a guess."
        )
    return Cut(
        threshold, None, not reason, "", reason, tuple(warnings), {"n_normal": total, "rate": alarms / total}
    )


def weighted_quantile(scores: Array, weights: Array, q: float) -> float:
    """The quantile of scores that occur `weights` times: numpy's for whole numbers.

    >>> weighted_quantile(np.array([1.0, 2.0, 4.0]), np.array([1, 1, 2]), 0.5)
    3.0
    """
    order = np.argsort(scores, kind="stable")
    values, upto = scores[order], np.cumsum(weights[order], dtype=np.float64)
    place = q * max(float(upto[-1]) - 1, 0.0)
    whole = math.floor(place + 1e-9)
    lower, upper = (
        float(values[min(int(np.searchsorted(upto, at, side="right")), len(values) - 1)])
        for at in (whole, whole + 1)
    )
    share = max(place - whole, 0.0)
    return min(lower + share * (upper - lower), upper)  # exact where both are equal
