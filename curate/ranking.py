"""Items counted by score and label: what every metric of a ranking is computed from.

The items may be images, regions or pixels; one item each, bins of many, or weighted ones of a bootstrap. So one
piece of code gives a metric's exact value, its value on histograms, and its values on all replicates at once.
"""

from dataclasses import dataclass

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
            ValueError: the shapes differ, or a score is NaN.
        """
        values, positive = checked(scores, anomalous, finite=False)
        given = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        if given.shape[-1] != len(values):
            raise ValueError(f"Expected a weight per score; found {given.shape[-1]} for {len(values)} scores.")
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if len(ranked) else np.arange(0)
        sides = [
            np.add.reduceat(given[..., order] * label[order], first, axis=-1) if len(first) else given
            for label in (~positive, positive)
        ]
        return cls(ranked[first], sides[0], sides[1])

    @property
    def false_positives(self) -> Array:
        """(..., K) normal items with this score or a higher one."""
        return np.asarray(np.cumsum(self.negative, axis=-1))

    @property
    def true_positives(self) -> Array:
        """(..., K) anomalous items with this score or a higher one."""
        return np.asarray(np.cumsum(self.positive, axis=-1))

    @property
    def n_negative(self) -> Array:
        """(...) normal items in all."""
        return np.asarray(self.negative.sum(axis=-1))

    @property
    def n_positive(self) -> Array:
        """(...) anomalous items in all."""
        return np.asarray(self.positive.sum(axis=-1))
