"""Extreme value theory: fits the tail of the normal scores, for rates too rare to be counted."""

import math

import numpy as np

from curate import tail_fit
from curate.cut_points import NORMALS, between_0_and_1, need_normals, not_negative, once_each
from curate.images import Array
from curate.rate_cuts import group_codes
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region")
NEEDS = ("normal",)
WHEN = "The wanted rate of false alarms is lower than normal images can show, and their tail is smooth."
QUICK = {"n_check": 0}
FEWEST = 10
LEVEL, REJECTED = 0.95, 0.05


def choose(
    evidence: Evidence, *, alpha: float = 0.001, tail: float = 0.1, n_check: int = 199, seed: int = 0
) -> Cut:
    """Score that a normal item exceeds with probability alpha, from a generalised Pareto fit of the tail.

    Peaks over threshold: what the highest `tail` of the normal scores exceed the next one by is fitted by
    maximum likelihood. The fit is checked by the Anderson-Darling distance (parametric bootstrap) and a QQ
    correlation; when it is rejected (p < 0.05), the claim is not supported.

    How far the threshold lies beyond the data is said. The interval (profile likelihood, 0.95) holds the true
    score in 0.92 to 0.96 of simulated cases with 300 to 1,000 items; mostly it fails by ending too low.

    Args:
        alpha: below `tail`.
        tail: share of the normal items that is the tail.
        n_check: samples for the check; 0 leaves out the check and the interval.

    Raises:
        ValueError: alpha or tail outside (0, 1), alpha not below tail, n_check or seed below 0, or no normal.

    Source: Pickands 1975, doi:10.1214/aos/1176343003; Siffer et al., KDD 2017, doi:10.1145/3097983.3098144
    """
    exact = between_0_and_1("tail", tail)
    if between_0_and_1("alpha", alpha) >= exact:
        raise ValueError(f"Expected alpha below the tail of {tail:g}; found {alpha:g}. Use fixed_fpr.")
    not_negative(n_check=n_check, seed=seed)
    normals = once_each(need_normals(evidence, "evt"), "evt")
    ranked = np.sort(normals.scores)
    n, what = len(ranked), NORMALS[evidence.level]
    start = float(ranked[max(n - 1 - math.floor(exact * n), 0)])
    excesses = ranked[ranked > start] - start
    if len(excesses) < FEWEST or excesses[0] == excesses[-1]:
        reason = (
            f"Fitting a tail of {tail:g} needs at least {math.ceil(FEWEST / exact):,} normal {what} in "
            f"calibration, {FEWEST} of them above the others; there are {n:,}, and {len(excesses)} with a "
            f"score above {start:.6g}."
        )
        return Cut(float("inf"), None, False, "", reason, facts={"n_normal": n, "n_excesses": len(excesses)})
    if between_0_and_1("alpha", alpha) * n >= len(excesses):
        reason = (
            f"alpha = {alpha:g} is no rate of the tail: of {n:,} normal {what}, {len(excesses):,} have a "
            f"score above its start, and {int((ranked == start).sum()):,} that of its start, {start:.6g}. "
            "Use fixed_fpr."
        )
        return Cut(float("inf"), None, False, "", reason, facts={"n_normal": n, "n_excesses": len(excesses)})
    return _fitted(normals, start, excesses, alpha, n_check, np.random.default_rng(seed))


def _fitted(
    normals: Evidence, start: float, excesses: Array, alpha: float, n_check: int, rng: np.random.Generator
) -> Cut:
    n, m = len(normals.scores), len(excesses)
    unit = float(excesses.mean())  # so that the fit does not depend on the scale of the scores
    shape, scale = (float(value) for value in tail_fit.fit(excesses / unit))
    beyond = tail_fit.quantile(alpha * n / m, np.array(shape), np.array(scale))
    threshold, highest = start + unit * float(beyond), float(normals.scores.max())
    facts: dict[str, Fact] = {
        "n_normal": n,
        "n_excesses": m,
        "tail_start": start,
        "shape": shape,
        "scale": scale * unit,
        "qq_correlation": _qq(excesses / unit, shape, scale),
        "highest_normal": highest,
    }
    reason, warnings = "", list(_warnings(normals, threshold, highest, alpha))
    if n_check:
        p_value = tail_fit.fit_p_value(excesses / unit, shape, scale, n_check, rng)
        low, high = tail_fit.quantile_interval(excesses / unit, alpha * n / m, LEVEL)
        facts |= {
            "fit_p_value": p_value,
            "threshold_low": start + unit * low,
            "threshold_high": start + unit * high,
        }
        if p_value < REJECTED:
            reason = (
                f"The tail does not follow the fitted law (Anderson-Darling, p = {p_value:.2g}): "
                "use conformal, or look for odd normal images and equal scores."
            )
    claim = "" if reason else f"If the tail goes on as fitted, P(false alarm on a normal part) = {alpha:g}."
    return Cut(threshold, None, not reason, claim, reason, tuple(warnings), facts)


def _qq(excesses: Array, shape: float, scale: float) -> float:
    """Correlation of the ranked excesses with what the fit expects at their ranks; 1 is a straight line."""
    m = len(excesses)
    above = 1 - (np.arange(1, m + 1) - 0.5) / m
    return float(
        np.corrcoef(np.sort(excesses), tail_fit.quantile(above, np.array(shape), np.array(scale)))[0, 1]
    )


def _warnings(normals: Evidence, threshold: float, highest: float, alpha: float) -> list[str]:
    n, lines = len(normals.scores), list[str]()
    if threshold > highest:
        reach = highest - float(np.median(normals.scores))
        share = (threshold - highest) / reach if reach > 0 else math.inf
        lines.append(
            f"The threshold is extrapolated: it lies {threshold - highest:.3g} above the highest of {n:,} "
            f"normal scores, {share:.2g} times the way from their median to it. A rate of {alpha:g} is one "
            f"in {1 / alpha:,.0f}."
        )
    n_groups = int(group_codes(normals).max()) + 1
    if n_groups < n:
        lines.append(
            f"{n:,} normal items come from {n_groups:,} groups; they are fitted as if independent, "
            "so the interval is too narrow."
        )
    return lines
