"""Pixel and region metrics of counted pixels, each with a bound of the error that the counting brings.

Pixels are counted in cells of the score. Where a cell holds one value only, nothing is lost. In a loose one
the order of the pixels is not known: the curve goes from one corner of the cell to the opposite one by some
way, and each metric lies between what the best and the worst way give. The bounds below are sums of these
differences, so they hold for every order; rounding of the sums aside (1e-12) they are proven.

A slab is a run of cells; metrics add up over slabs, so that long tables need no long temporaries.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from curate.images import Array


@dataclass(frozen=True)
class Slab:
    """Cells in falling order of the score; leading axes are replicates of a bootstrap.

    Attributes:
        negative: (..., K) background pixels; for AUPIMO the rate of normal images, which sums to n_negative.
        positive: (..., K) defect pixels; for region metrics the overlap, at most n_positive in all.
        loose: (K,) bool, whether the cell may hold several values.
        false_before, true_before: (...) sums over all cells with higher scores than these.
        n_negative, n_positive: (...) what the sums are fractions of.
    """

    negative: Array
    positive: Array
    loose: Array
    false_before: Array
    true_before: Array
    n_negative: Array
    n_positive: Array

    def sides(self) -> tuple[Array, Array, Array, Array]:
        """(..., K) sums of negative and positive before each cell, and with it: f0, t0, f1, t1."""
        f1 = np.cumsum(self.negative, axis=-1) + np.asarray(self.false_before)[..., None]
        t1 = np.cumsum(self.positive, axis=-1) + np.asarray(self.true_before)[..., None]
        return f1 - self.negative, t1 - self.positive, f1, t1


Part = tuple[Array, Array]  # (...) what a slab adds to the metric; (..., K) bound of each cell's error
Measure = Callable[[Slab], Part]


def auroc(slab: Slab) -> Part:
    """Chance that a defect pixel scores higher than a background one; pairs of one cell count half.

    A pair of a loose cell adds 0 to 1 instead of a half, so the error is at most half of its pairs.
    """
    pairs = np.asarray(slab.n_negative * slab.n_positive)
    _, _, f1, _ = slab.sides()
    below = np.asarray(slab.n_negative)[..., None] - f1
    won = np.sum(slab.positive * (below + slab.negative / 2), axis=-1)
    return _ratio(won, pairs), _ratio(slab.loose * slab.positive * slab.negative / 2, pairs[..., None])


def average_precision(slab: Slab) -> Part:
    """Precision at each defect pixel's score, averaged over the defect pixels (the step rule).

    In a loose cell every precision lies between that of its first defect pixel behind all its background
    pixels, and that of its last one before all of them; the middle is taken.
    """
    f0, t0, f1, t1 = slab.sides()
    total = np.asarray(slab.n_positive)[..., None]
    tied = _ratio(t1, t1 + f1)
    best = _ratio(t1, t1 + f0)  # all positives first
    worst = _ratio(np.minimum(t0 + 1, t1), np.minimum(t0 + 1, t1) + f1)
    share = _ratio(slab.positive, total)
    value = np.where(slab.loose, (best + worst) / 2, tied)
    errors = np.where(slab.loose, (best - worst) / 2, 0)
    return np.sum(share * value, axis=-1), share * errors


def f1_max(slab: Slab) -> Part:
    """Highest F1 of a threshold between cells; the errors say how much more a cell could hold inside.

    Inside a loose cell, F1 is at most that with all its defect pixels and none of its background pixels.
    """
    f0, _, f1, t1 = slab.sides()
    total = np.asarray(slab.n_positive)[..., None]
    reached = _ratio(2 * t1, t1 + f1 + total)
    inside = _ratio(2 * t1, t1 + f0 + total)
    best = np.max(reached, axis=-1, initial=0)
    both = slab.loose & (slab.positive > 0) & (slab.negative > 0)
    return best, np.where(both, np.maximum(inside - best[..., None], 0), 0)


def area_to(limit: float) -> Measure:
    """Area under positive against negative up to a rate of negatives, by trapezoids, divided by the limit.

    A curve that rises from one corner of a cell to the other is off the diagonal by half the cell at most; in
    the cell that holds the limit, by the height of the cell up to the limit.

    Raises:
        ValueError: the limit is not in (0, 1].
    """
    if not 0 < limit <= 1:
        raise ValueError(f"Expected a limit of the false-positive rate in (0, 1]; found {limit}.")

    def measure(slab: Slab) -> Part:
        x0, y0, x1, y1 = _rates(slab)
        end = np.clip(x1, None, limit)
        width = np.maximum(end - x0, 0)
        at_end = y0 + (y1 - y0) * _ratio(width, x1 - x0)
        area = np.sum(width * (y0 + at_end) / 2, axis=-1) / limit
        share = np.where(x1 <= limit, 0.5, 1.0)
        return area, slab.loose * width * (y1 - y0) * share / limit

    return measure


def log_area(low: float, high: float) -> Measure:
    """Mean of positive over the logarithm of the rate of negatives, between two rates.

    Between two scores positive is taken as linear in the rate, as for the area. In a loose cell it may be
    anything from its value before to its value after.

    Raises:
        ValueError: not 0 < low < high <= 1.
    """
    if not 0 < low < high <= 1:
        raise ValueError(f"Expected false-positive rates with 0 < low < high <= 1; found {low} and {high}.")
    span = float(np.log(high / low))

    def measure(slab: Slab) -> Part:
        x0, y0, x1, y1 = _rates(slab)
        start, end = np.clip(x0, low, high), np.clip(x1, low, high)
        slope = _ratio(y1 - y0, x1 - x0)
        length = np.log(end / start)
        whole = (y0 - slope * x0) * length + slope * (end - start)
        return np.sum(whole, axis=-1) / span, slab.loose * length * (y1 - y0) / span

    return measure


def _rates(slab: Slab) -> tuple[Array, Array, Array, Array]:
    f0, t0, f1, t1 = slab.sides()
    n_negative, n_positive = np.asarray(slab.n_negative)[..., None], np.asarray(slab.n_positive)[..., None]
    return _ratio(f0, n_negative), _ratio(t0, n_positive), _ratio(f1, n_negative), _ratio(t1, n_positive)


def _ratio(above: Array, below: Array) -> Array:
    """above / below; 0 where below is 0."""
    if np.all(below):
        return np.asarray(above / below)
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
