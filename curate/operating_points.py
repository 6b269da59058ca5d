"""Thresholds that a ranking offers: the best F1, a false-positive rate, a miss rate, or a given threshold."""

from dataclasses import dataclass

import numpy as np

from curate.images import Array
from curate.ranking import Counts, ratio


@dataclass(frozen=True)
class Points:
    """One threshold for each replicate, and what it does; a score >= threshold is an alarm.

    Attributes:
        threshold: (...) float64; +inf where there is no alarm at all.
        false_positives: (...) normal items that are alarms.
        true_positives: (...) anomalous items that are alarms.
        fpr: (...) share of the normal items that are alarms; NaN without normal items.
        tpr: (...) share of the anomalous items that are alarms; NaN without anomalous items.
    """

    threshold: Array
    false_positives: Array
    true_positives: Array
    fpr: Array
    tpr: Array

    def precision(self, defect_rate: float | None = None) -> Array:
        """(...) share of alarms that are anomalous on a line; NaN where there is no alarm.

        Args:
            defect_rate: share of anomalous items on the line; None takes that of the items themselves.
        """
        if defect_rate is None:
            return ratio(self.true_positives, self.true_positives + self.false_positives)
        if not 0 <= defect_rate <= 1:
            raise ValueError(f"Expected a defect rate in [0, 1]; found {defect_rate}.")
        right = defect_rate * self.tpr
        return ratio(right, right + (1 - defect_rate) * self.fpr)


def check_rate(name: str, rate: float) -> None:
    """Raise ValueError unless a rate is in [0, 1]."""
    if not 0 <= rate <= 1:
        raise ValueError(f"Expected {name} in [0, 1]; found {rate}.")


def best_f1(counts: Counts) -> Points:
    """The threshold of the highest F1; of several, the highest threshold."""
    if not len(counts.values):
        return at_threshold(counts, np.inf)
    hits = counts.true_positives
    whole = hits + counts.false_positives + counts.n_positive[..., None]
    f1 = np.divide(2 * hits, whole, out=np.zeros_like(whole), where=whole > 0)
    best = np.argmax(f1, axis=-1)
    return _points(counts, best, np.take_along_axis(f1, best[..., None], -1)[..., 0] > 0)


def within_fpr(counts: Counts, limit: float) -> Points:
    """The most anomalous items found with a false-positive rate <= limit; then the fewest false alarms.

    Nothing is interpolated between two scores. Where the highest score exceeds the limit already, there is no
    alarm.
    """
    check_rate("a false-positive rate", limit)
    if not len(counts.values):
        return at_threshold(counts, np.inf)
    allowed = (ratio(counts.false_positives, counts.n_negative[..., None]) <= limit).sum(axis=-1)
    last = np.maximum(allowed - 1, 0)
    found = np.take_along_axis(counts.true_positives, last[..., None], -1)
    alarms = counts.true_positives + counts.false_positives > 0
    usable = alarms & (counts.true_positives >= found)
    first = np.argmax(usable, axis=-1)
    return _points(counts, first, usable.any(axis=-1) & (first <= last) & (allowed > 0))


def within_miss_rate(counts: Counts, limit: float) -> Points:
    """The highest threshold that misses at most this share of the anomalous items."""
    check_rate("a miss rate", limit)
    if not len(counts.values):
        return at_threshold(counts, np.inf)
    missed = ratio(counts.n_positive[..., None] - counts.true_positives, counts.n_positive[..., None])
    enough = missed <= limit
    return _points(counts, np.argmax(enough, axis=-1), np.asarray(enough.any(axis=-1) & (limit < 1)))


def at_threshold(counts: Counts, threshold: float) -> Points:
    """A given threshold.

    Raises:
        ValueError: it is NaN.
    """
    if np.isnan(threshold):
        raise ValueError("Expected a threshold; found NaN.")
    n_above = int(np.searchsorted(-counts.values, -threshold, side="right"))
    hits, alarms = counts.positive[..., :n_above].sum(-1), counts.negative[..., :n_above].sum(-1)
    return _rates(counts, np.full(hits.shape, float(threshold)), alarms, hits)


def _points(counts: Counts, index: Array, alarm: Array) -> Points:
    """The point at an index (...); none where `alarm` is False."""
    at = np.asarray(index)[..., None]
    wrong, right = (
        np.where(alarm, np.take_along_axis(side, at, -1)[..., 0], 0.0)
        for side in (counts.false_positives, counts.true_positives)
    )
    return _rates(counts, np.where(alarm, counts.values[index], np.inf), wrong, right)


def _rates(counts: Counts, threshold: Array, wrong: Array, right: Array) -> Points:
    return Points(threshold, wrong, right, ratio(wrong, counts.n_negative), ratio(right, counts.n_positive))
