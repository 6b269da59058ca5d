"""Estimates with their confidence intervals: exact for proportions, by bootstrap over groups for the rest.

Images of one part, or pixels of one image, are not independent. So whole groups are drawn, never single pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from curate.images import Array

LEVEL = 0.95
N_REPLICATES = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure, and what is known of its uncertainty.

    Attributes:
        value: None where the data cannot give it; `note` says why.
        low, high: ends of the interval; None where there is none.
        level: share of such intervals that hold the truth.
        method: "clopper-pearson", "group bootstrap"; "" without an interval.
        n: number of independent units (groups, or trials of a proportion).
        note: what a reader has to know, in words.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = LEVEL
    method: str = ""
    n: int | None = None
    note: str = ""


def proportion(n_hits: int, n_trials: int, level: float = LEVEL) -> Estimate:
    """A proportion with its exact (Clopper-Pearson) interval; without trials, 0 to 1 around nothing.

    Raises:
        ValueError: more hits than trials, a negative number, or a level outside (0, 1).

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404

    >>> round(proportion(0, 20).high, 4)
    0.1684
    """
    if not 0 <= n_hits <= n_trials:
        raise ValueError(f"Expected 0 to {n_trials} hits; found {n_hits}.")
    if not 0 < level < 1:
        raise ValueError(f"Expected a level in (0, 1); found {level}.")
    if n_trials == 0:
        return Estimate(None, 0.0, 1.0, level, "clopper-pearson", 0, "There was no trial.")
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, n_hits, n_trials - n_hits + 1)) if n_hits else 0.0
    high = float(beta.ppf(1 - tail, n_hits + 1, n_trials - n_hits)) if n_hits < n_trials else 1.0
    return Estimate(n_hits / n_trials, low, high, level, "clopper-pearson", n_trials)


class GroupDraws:
    """Draws groups with replacement, again and again: how often each group occurs in each replicate.

    Strata are drawn for themselves, so that no replicate lacks one; put groups with and without defects into two.
    Weights come in the order of asking and take memory for one group only, however many groups there are.
    """

    def __init__(self, sizes: Sequence[int], n_replicates: int, rng: np.random.Generator) -> None:
        """sizes: number of groups in each stratum."""
        self._left = [int(size) for size in sizes]
        self._draws = [np.full(n_replicates, int(size), dtype=np.int64) for size in sizes]
        self._rng = rng

    def next(self, stratum: int = 0) -> Array:
        """(n_replicates,) int64: how often the next group of a stratum was drawn.

        Raises:
            ValueError: all groups of the stratum were asked for.
        """
        if self._left[stratum] < 1:
            raise ValueError(f"Stratum {stratum} has no more groups.")
        counts = self._rng.binomial(self._draws[stratum], 1 / self._left[stratum])
        self._draws[stratum] -= counts
        self._left[stratum] -= 1
        return np.asarray(counts)


def group_weights(
    groups: Sequence[object], strata: Sequence[object], n_replicates: int, rng: np.random.Generator
) -> Array:
    """How often each item occurs in each replicate of a bootstrap over groups.

    Args:
        groups: (N,) whom each item belongs to; items of a group come and go together.
        strata: (N,) kinds of groups, drawn for themselves; of a group, the highest of its items counts.

    Returns:
        (n_replicates, N) int64.
    """
    kind: dict[object, object] = {}
    for group, stratum in zip(groups, strata, strict=True):
        kind[group] = max(kind[group], stratum) if group in kind else stratum  # type: ignore[type-var]
    names = sorted(set(kind.values()), key=repr)
    draws = GroupDraws([sum(k == name for k in kind.values()) for name in names], n_replicates, rng)
    drawn = {group: draws.next(names.index(stratum)) for group, stratum in kind.items()}
    return np.stack([drawn[group] for group in groups], axis=1) if kind else np.zeros((n_replicates, 0), int)


def bootstrapped(
    value: float | None, replicates: Array, n_groups: int, level: float = LEVEL, note: str = ""
) -> Estimate:
    """A figure with the percentile interval of its replicates; those that are NaN could not be computed.

    Fewer than two groups, or fewer than half of the replicates, give no interval.
    """
    good = np.asarray(replicates, dtype=np.float64)
    good = good[~np.isnan(good)]
    if value is None or n_groups < 2 or 2 * len(good) < np.size(replicates) or not len(good):
        return Estimate(value, None, None, level, "", n_groups, note)
    tail = (1 - level) / 2
    low, high = np.quantile(good, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), level, "group bootstrap", n_groups, note)


def bootstrap(
    statistic: Callable[[Array], Array],
    groups: Sequence[object],
    strata: Sequence[object],
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    chunk: int = 100,
) -> Array:
    """Replicates of a statistic under a bootstrap over groups.

    Args:
        statistic: weights (B, N) to values (B,), for B replicates at once.
        groups, strata: see group_weights.
        chunk: replicates that are in memory at a time, for the statistic.
    """
    weights = group_weights(groups, strata, n_replicates, np.random.default_rng(seed))
    parts = [statistic(weights[start : start + chunk]) for start in range(0, n_replicates, chunk)]
    return np.concatenate(parts)
