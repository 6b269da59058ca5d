"""Mean of the normal scores plus k standard deviations, or median plus k robust ones; needs no defect."""

import math

import numpy as np
from scipy.stats import norm

from curate.cut_points import just_above, need_normals
from curate.images import Array
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal",)
WHEN = "To repeat published work (MVTec AD 2 uses k = 3); right only for bell-shaped normal scores."
TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution to its standard deviation


def choose(evidence: Evidence, *, k: float = 3.0, robust: bool = False) -> Cut:
    """mean + k x standard deviation of the normal scores, dividing by N.

    Args:
        k: at least 0.
        robust: median + k x 1.4826 x median absolute deviation, which a few odd images do not move.

    Raises:
        ValueError: k is negative or not finite, or no item is normal.

    Source: Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4; k = 3: MVTec AD 2, arXiv:2503.21622.

    >>> choose(Evidence.of(np.array([1.0, 3.0]), np.array([False, False])), k=2).threshold
    4.0
    """
    if not (math.isfinite(k) and k >= 0):
        raise ValueError(f"Expected k of at least 0; found {k}.")
    normals = need_normals(evidence, "k_sigma")
    scores, weights = normals.scores, normals.weights
    total = float(weights.sum())
    lowest = float(scores.min())  # from which equal scores differ by 0, without rounding
    mean = lowest + float(((scores - lowest) * weights).sum() / total)
    deviation = math.sqrt(float(((scores - mean) ** 2 * weights).sum() / total))
    centre, spread = mean, deviation
    if robust:
        centre = weighted_median(scores, weights)
        spread = TO_SIGMA * weighted_median(np.abs(scores - centre), weights)
    threshold = centre + k * spread if spread > 0 else just_above(evidence, centre)
    rate, expected = float(weights[scores >= threshold].sum() / total), float(norm.sf(k))
    skewness = float((((scores - mean) / deviation) ** 3 * weights).sum() / total) if deviation > 0 else 0.0
    warnings = []
    if abs(skewness) > 1:
        warnings.append(
            f"The normal scores are not bell-shaped (skewness {skewness:.2g}): a share of {rate:.3g} lies "
            f"above, where a normal distribution has {expected:.2g}."
        )
    if spread == 0:
        warnings.append("The spread of the normal scores is 0: the threshold is the next number above.")
    facts = {
        "centre": centre,
        "spread": spread,
        "skewness": skewness,
        "rate": rate,
        "rate_if_normal": expected,
    }
    return Cut(threshold, warnings=tuple(warnings), facts=facts)


def weighted_median(values: Array, weights: Array) -> float:
    """Median of values that occur `weights` times; half way between the middle two of an even number.

    >>> weighted_median(np.array([1.0, 2.0, 4.0]), np.array([1, 1, 2]))
    3.0
    """
    order = np.argsort(values, kind="stable")
    ranked, upto = values[order], np.cumsum(weights[order], dtype=np.float64)
    half = float(upto[-1]) / 2
    lower = int(np.searchsorted(upto, half, side="left"))
    upper = min(int(np.searchsorted(upto, half, side="right")), len(ranked) - 1)
    return float(ranked[lower] / 2 + ranked[upper] / 2)
