"""Items counted by score and label: what every metric of a ranking is computed from.

The items may be images, regions or pixels; one item each, bins of many, or weighted ones of a bootstrap. So
one piece of code gives a metric's exact value, that on histograms, and those on all replicates at once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curate.images import Array
from curate.scores import checked


@dataclass(frozen=True)
class Counts:
    """How many items of each label have each score.

    Attributes:
        values: (K,) the scores, strictly descending; of bins, their lower edge.
        negative: (..., K) number, or weight, of normal items with that score; leading axes are replicates.
        positive: (..., K) the same of anomalous items.
    """

    values: Array
    negative: Array
    positive: Array

    @classmethod
    def of_scores(cls, scores: Array, anomalous: Array, weights: Array | None = None) -> "Counts":
        """Count scores; equal ones become one entry.

        Args:
            scores: (N,), no NaN; infinite is allowed.
            anomalous: (N,) bool.
            weights: (..., N) how often each item counts; once when None.

        Raises:
            ValueError: the shapes differ, a score is NaN, or a weight is negative or not finite.
        """
        return Ranking(scores, anomalous).counts(weights)

    @cached_property
    def false_positives(self) -> Array:
        """(..., K) normal items with this score or a higher one."""
        return np.asarray(np.cumsum(self.negative, axis=-1))

    @cached_property
    def true_positives(self) -> Array:
        """(..., K) anomalous items with this score or a higher one."""
        return np.asarray(np.cumsum(self.positive, axis=-1))

    @cached_property
    def n_negative(self) -> Array:
        """(...) normal items in all."""
        return _last(self.false_positives)

    @cached_property
    def n_positive(self) -> Array:
        """(...) anomalous items in all."""
        return _last(self.true_positives)

    def where_both(self, figure: Array) -> Array:
        """(...) a figure, NaN where one of the two labels is absent."""
        return np.asarray(np.where((self.n_negative > 0) & (self.n_positive > 0), figure, np.nan))


class Ranking:
    """Items sorted by score once, to be counted with many weights."""

    def __init__(self, scores: Array, anomalous: Array) -> None:
        """Sort items; see Counts.of_scores.

        Raises:
            ValueError: the shapes differ, or a score is NaN.
        """
        values, positive = checked(scores, anomalous, finite=False)
        self.order: Array = np.argsort(-values, kind="stable")
        ranked = values[self.order]
        new = np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)]
        self._first: Array = np.flatnonzero(new)
        self._positive: Array = positive[self.order]
        self.values: Array = ranked[self._first]

    def counts(self, weights: Array | None = None) -> Counts:
        """Count the items.

        Args:
            weights: (..., N) in the order of the scores as they were given; once each when None.

        Raises:
            ValueError: another number of weights, or one that is negative or not finite.
        """
        n = len(self.order)
        given = np.ones(n) if weights is None else np.asarray(weights)
        if given.ndim == 0 or given.shape[-1] != n:
            found = given.shape[-1] if given.ndim else "one number"
            raise ValueError(f"Expected a weight per score; found {found} for {n} scores.")
        return self.counts_in_order(np.take(given, self.order, axis=-1))

    def counts_in_order(self, weights: Array) -> Counts:
        """Count the items; weights (..., N) come with descending scores, that is by `order`."""
        ranked = np.asarray(weights, dtype=np.float64)
        if ranked.size and not (ranked.min() >= 0 and ranked.max() < np.inf):
            raise ValueError("Expected finite weights of 0 or more; found a negative one, NaN or infinite.")
        positive = ranked * self._positive
        sides = [ranked - positive, positive]
        if len(self._first) < len(self.order):
            sides = [np.add.reduceat(side, self._first, axis=-1) for side in sides]
        return Counts(self.values, sides[0], sides[1])


def _last(cumulated: Array) -> Array:
    """(...) the totals; the same rounding as the sums that lead there, so that a share can reach 1."""
    return np.asarray(cumulated[..., -1]) if cumulated.shape[-1] else np.zeros(cumulated.shape[:-1])


def ratio(part: Array, whole: Array) -> Array:
    """Part over whole, element by element; NaN where the whole is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0))
