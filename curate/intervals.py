"""Estimates with their confidence intervals: exact for proportions, by bootstrap over groups for the rest.

Images of one part, or pixels of one image, are not independent. So whole groups are drawn, never pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import beta

from curate.images import Array

LEVEL = 0.95
N_REPLICATES = 1000
FEW_GROUPS = 20  # a bootstrap over fewer covers less often than it says
CHUNK_WEIGHTS = 1 << 20  # weights in memory at a time, 8 MiB
ONE_GROUP = "There is but one group of a label, which tells nothing of others."
NO_SPREAD = "All replicates are equal, so the bootstrap cannot tell the uncertainty."


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

    Strata are drawn for themselves, so that no replicate lacks one: put groups with defects into their own.
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


@dataclass(frozen=True)
class Groups:
    """Items gathered into groups, sorted by stratum and name, so that the order of items changes nothing.

    Attributes:
        index: (N,) int64, number of each item's group.
        sizes: number of groups in each stratum; groups of the first stratum come first.
    """

    index: Array
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, groups: Sequence[object], strata: Sequence[object]) -> "Groups":
        """Gather items; see group_weights.

        Raises:
            ValueError: the lengths differ, or an item has no group (None or NaN).
        """
        names = _plain(groups)
        if len(names) != len(strata):
            raise ValueError(f"Expected a stratum per item; found {len(strata)} for {len(names)} items.")
        kind: dict[Any, Any] = {}
        for position, (name, stratum) in enumerate(zip(names, _plain(strata), strict=True)):
            if name is None or name != name:
                raise ValueError(f"Expected a group per item; found {name} at position {position}.")
            kind[name] = max(kind[name], stratum) if name in kind else stratum
        numbers = {stratum: n for n, stratum in enumerate(sorted(set(kind.values()), key=repr))}
        ranked = sorted(kind, key=lambda name: (numbers[kind[name]], str(name), repr(name)))
        number = {name: n for n, name in enumerate(ranked)}
        sizes = np.bincount([numbers[stratum] for stratum in kind.values()], minlength=len(numbers))
        index = np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names))
        return cls(index, tuple(int(size) for size in sizes))

    def draw(self, n_replicates: int, rng: np.random.Generator) -> Array:
        """(n_replicates, N) int64: how often each item occurs; the same in one call or in several."""
        counts = np.empty((n_replicates, sum(self.sizes)), dtype=np.int64)
        for row in counts:
            start = 0
            for size in self.sizes:
                drawn = rng.integers(0, size, size=size)
                row[start : start + size] = np.bincount(drawn, minlength=size)
                start += size
        return np.take(counts, self.index, axis=1)


def _plain(values: Sequence[object]) -> list[object]:
    return list(values.tolist() if isinstance(values, np.ndarray) else values)


def group_weights(
    groups: Sequence[object], strata: Sequence[object], n_replicates: int, rng: np.random.Generator
) -> Array:
    """How often each item occurs in each replicate of a bootstrap over groups.

    Args:
        groups: (N,) whom each item belongs to; items of a group come and go together.
        strata: (N,) kinds of groups, drawn for themselves; of a group, the highest of its items counts.

    Returns:
        (n_replicates, N) int64.

    Raises:
        ValueError: the lengths differ, or an item has no group.
    """
    return Groups.of(groups, strata).draw(n_replicates, rng)


def middle(n: int, level: float) -> tuple[int, int]:
    """Positions, in n sorted replicates, of the ends of the percentile interval; rounded outwards.

    >>> middle(1001, 0.9)
    (50, 950)
    """
    first = int((1 - level) / 2 * (n - 1) + 1e-9)
    return first, n - 1 - first


def bootstrapped(
    value: float | None,
    replicates: Array,
    n_groups: int,
    level: float = LEVEL,
    note: str = "",
    fewest: int | None = None,
) -> Estimate:
    """A figure with the percentile interval of its replicates; those that are NaN could not be computed.

    There is no interval from fewer than two groups or fewer than half of the replicates; nor when all are
    equal, as where every item is right: that does not make the figure certain, and the note says so.

    Args:
        replicates: any shape; infinite is allowed. Each end of the interval is one of them.
        fewest: groups of the label that has fewest, where the figure needs both; one alone is in every draw,
            so there is no interval either.

    Raises:
        ValueError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"Expected a level in (0, 1); found {level}.")
    every = np.asarray(replicates, dtype=np.float64).reshape(-1)
    good = np.sort(every[~np.isnan(every)])
    if value is not None and fewest is not None and fewest < 2:
        return Estimate(value, None, None, level, "", n_groups, f"{note} {ONE_GROUP}".strip())
    if value is None or n_groups < 2 or 2 * len(good) < len(every) or not len(good):
        return Estimate(value, None, None, level, "", n_groups, note)
    if good[0] == good[-1]:
        return Estimate(value, None, None, level, "", n_groups, f"{note} {NO_SPREAD}".strip())
    first, last = middle(len(good), level)
    low, high = good[first], good[last]
    return Estimate(value, float(low), float(high), level, "group bootstrap", n_groups, note)


def grouped_proportion(
    hits: Array,
    groups: Sequence[object],
    level: float = LEVEL,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    weights: Array | None = None,
) -> Estimate:
    """A proportion of items that come in groups.

    Where each group is one item, its exact interval. Otherwise that would be too narrow, so groups are
    drawn; and where no or every item is hit, so that a draw tells nothing, each group counts as a single
    trial.

    Args:
        hits: (N,) bool.
        groups: (N,) whom an item belongs to.
        weights: (N,) above 0, how many items an entry stands for; one each when None.

    Raises:
        ValueError: the lengths differ, or an item has no group.
    """
    found = np.asarray(hits, dtype=bool)
    times = np.ones(len(found)) if weights is None else np.asarray(weights, dtype=np.float64)
    gathered = Groups.of(groups, [0] * len(found))
    n_groups, n_hits = sum(gathered.sizes), int(found.sum())
    if n_groups == len(found) and (times == 1).all():
        return proportion(n_hits, n_groups, level)
    note = f"{times.sum():.0f} items in {n_groups} groups; an exact interval would take them for independent."
    if n_hits in (0, len(found)):
        exact = proportion(n_groups if n_hits else 0, n_groups, level)
        return replace(exact, note=f"{note} Each group counts as one trial.")
    if n_groups < FEW_GROUPS:
        note += f" Intervals from only {n_groups} groups are rather too narrow."
    hit = times * found
    parts = [(part @ hit) / (part @ times) for part in draws(gathered, n_replicates, seed)]
    return bootstrapped(float(hit.sum() / times.sum()), np.concatenate(parts), n_groups, level, note)


def bootstrap(
    statistic: Callable[[Array], Array],
    groups: Sequence[object],
    strata: Sequence[object],
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    chunk: int | None = None,
) -> Array:
    """Replicates of a statistic under a bootstrap over groups.

    Args:
        statistic: weights (B, N) to values (B,) or (B, M), for B replicates at once.
        groups, strata: see group_weights.
        chunk: replicates in memory at a time; None: as many as 8 MiB of weights hold. Figures stay the same.

    Returns:
        (n_replicates,) or (n_replicates, M).

    Raises:
        ValueError: there is no replicate, the lengths differ, or an item has no group.
    """
    if n_replicates < 1:
        raise ValueError(f"Expected 1 replicate or more; found {n_replicates}.")
    gathered = Groups.of(groups, strata)
    return np.concatenate([statistic(part) for part in draws(gathered, n_replicates, seed, chunk)])


def draws(groups: Groups, n_replicates: int, seed: int = 0, chunk: int | None = None) -> Iterator[Array]:
    """Weights (B, N) of some replicates at a time; see bootstrap."""
    rng = np.random.default_rng(seed)
    step = chunk or max(1, CHUNK_WEIGHTS // max(1, len(groups.index)))
    for start in range(0, n_replicates, step):
        yield groups.draw(min(step, n_replicates - start), rng)
