"""Cuts that keep a share of items on one side, and what such a share tells of the parts to come."""

import math

import numpy as np
from scipy.stats import beta

from curate.cut_points import just_above
from curate.images import Array
from curate.threshold_evidence import Evidence

ROUNDING = 1e-9  # sums of shares such as 1/3 are not exact


def lowest_cut(normals: Evidence, mass: Array, budget: float, within: Evidence | None = None) -> float:
    """The lowest threshold at which normal items of no more mass than the budget raise an alarm.

    Args:
        normals: at least one item.
        mass: (N,) what an alarm on an item adds.
        budget: at least 0.
        within: all evidence, where pixels come in bins: the cut lies at one of its bins.
    """
    values, total = _summed(normals.scores, mass, descending=True)
    beyond = np.flatnonzero(total > budget + ROUNDING)
    return just_above(within or normals, float(values[beyond[0]])) if len(beyond) else float(values[-1])


def highest_cut(anomalies: Evidence, mass: Array, budget: float) -> float:
    """The highest threshold below which anomalous items have no more mass than the budget: a score itself."""
    values, total = _summed(anomalies.scores, mass, descending=False)
    beyond = np.flatnonzero(total > budget + ROUNDING)
    return float(values[beyond[0]] if len(beyond) else values[-1])


def _summed(scores: Array, mass: Array, descending: bool) -> tuple[Array, Array]:
    """Distinct scores in order, and the mass up to each of them, itself included."""
    values, places = np.unique(scores, return_inverse=True)
    each = np.bincount(places, weights=mass, minlength=len(values))
    if descending:
        values, each = values[::-1], each[::-1]
    return values, np.cumsum(each)


def group_codes(evidence: Evidence) -> Array:
    """(N,) int: groups by number."""
    numbers: dict[object, int] = {}
    return np.array(
        [numbers.setdefault(group, len(numbers)) for group in evidence.groups.tolist()], dtype=int
    )


def group_shares(evidence: Evidence) -> tuple[Array, int]:
    """(N,) share of its group that an item is, and the number of groups: all groups weigh alike."""
    codes = group_codes(evidence)
    sizes = np.bincount(codes)
    return 1 / sizes[codes], len(sizes)


def one_per_group(evidence: Evidence, highest: bool) -> Evidence:
    """The item with the highest (or lowest) score of each group."""
    codes = group_codes(evidence)
    order = np.lexsort((-evidence.scores if highest else evidence.scores, codes))
    first = np.append(True, codes[order][1:] != codes[order][:-1])
    return evidence.where(order[first])


def highest_rate(n_hits: int, n_trials: int, confidence: float) -> float:
    """The highest rate that the data cannot exclude: one-sided Clopper-Pearson bound.

    It also holds for a threshold that was put at an order statistic of the same data (Wilks 1941,
    doi:10.1214/aoms/1177731788): the rate beyond that has the same beta distribution. Without a hit it is
    about 3 / n_trials at a confidence of 0.95 (rule of three).

    >>> round(highest_rate(0, 300, 0.95), 4)
    0.0099
    """
    return 1.0 if n_hits >= n_trials else float(beta.ppf(confidence, n_hits + 1, n_trials - n_hits))


def hits_allowed(n_trials: int, rate: float, confidence: float) -> int:
    """The most hits with which the highest rate stays within `rate`; -1 when not even none will do.

    >>> hits_allowed(298, 0.01, 0.95), hits_allowed(299, 0.01, 0.95)
    (-1, 0)
    """
    tried = np.arange(min(int(rate * n_trials) + 1, n_trials))
    return int((beta.ppf(confidence, tried + 1, n_trials - tried) <= rate).sum()) - 1


def trials_needed(rate: float, confidence: float) -> int:
    """How many trials without a hit show that a rate is no higher.

    >>> trials_needed(0.01, 0.95)
    299
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate))


def refuse_pixels(level: str) -> None:
    """Raise where a rate of pixels is to be certified.

    Raises:
        ValueError: the level is "pixel".
    """
    if level == "pixel":
        raise ValueError(
            "Pixels of one image are not independent: their rate cannot be certified. Use images."
        )


def too_few_to_measure(limit: str, rate: float, confidence: float, needed: int, n: float, what: str) -> str:
    """Why a rate cannot be measured on n items; empty where it can.

    Args:
        limit: the rate with its name: "alpha = 0.01".
        needed: items that one hit among them is within the rate of.
        what: the items: "normal images".
    """
    if n >= needed:
        return ""
    return (
        f"{limit} needs at least {needed:,} {what} in calibration to be measured, "
        f"and {trials_needed(rate, confidence):,} to be certain of it; there are {n:,.0f}."
    )


def too_few_to_certify(limit: str, rate: float, confidence: float, n: int, what: str, grouped: bool) -> str:
    """Why a rate cannot be certified on n units, with the number that would do; arguments as above."""
    units = f"groups of {what}" if grouped else what
    return (
        f"{limit} with confidence {confidence:g} needs at least "
        f"{trials_needed(rate, confidence):,} {units} in calibration; there are {n:,}."
    )
