"""ROC and precision-recall curves of counted items, and the bands that replicates give them."""

import numpy as np

from curate.curves import Curve, thinned
from curate.images import Array
from curate.intervals import middle
from curate.ranking import Counts, ratio


def roc(counts: Counts) -> Curve:
    """False-positive rate to true-positive rate, from (0, 0) to (1, 1); items of equal score make one slope.

    At most 256 points; the area is AUROC within 1e-3, mostly 1e-4.
    """
    x, y = (
        np.append(0.0, side / total)
        for side, total in (
            (counts.false_positives, counts.n_negative),
            (counts.true_positives, counts.n_positive),
        )
    )
    return thinned(Curve(x, y))


def pr(counts: Counts) -> Curve:
    """Recall to precision, in steps as average precision counts them.

    At most 256 points; the area is average precision within 1e-3, mostly 1e-4.
    """
    found = np.flatnonzero(counts.positive > 0)
    hits, alarms = counts.true_positives[found], counts.false_positives[found]
    recall = hits / counts.n_positive
    x = np.stack([np.append(0.0, recall[:-1]), recall], axis=1).reshape(-1)
    return thinned(Curve(x, np.repeat(hits / (hits + alarms), 2)))


def tpr_at(counts: Counts, fpr: Array) -> Array:
    """(B, P) true-positive rate of each replicate's ROC curve at false-positive rates (P,); NaN if undefined.

    Args:
        counts: with one leading axis, the replicates.
    """
    start = np.zeros((len(counts.false_positives), 1))
    x, y = (
        np.concatenate([start, ratio(side, total[:, None])], axis=1)
        for side, total in (
            (counts.false_positives, counts.n_negative),
            (counts.true_positives, counts.n_positive),
        )
    )
    return np.stack([np.interp(fpr, one_x, one_y) for one_x, one_y in zip(x, y, strict=True)])


def precision_at(counts: Counts, recall: Array) -> Array:
    """(B, P) precision of each replicate where it first reaches the given recall (P,); NaN if undefined.

    Args:
        counts: with one leading axis, the replicates.
    """
    rows = []
    for hits, alarms, total in zip(
        counts.true_positives, counts.false_positives, counts.n_positive, strict=True
    ):
        wanted = np.maximum(
            np.asarray(recall) * total - 1e-9 * total, 1e-9
        )  # a first hit, whatever the rounding
        at = np.minimum(np.searchsorted(hits, wanted), len(hits) - 1)
        rows.append(ratio(hits[at], hits[at] + alarms[at]))
    return np.stack(rows)


def banded(curve: Curve, replicates: Array, level: float) -> Curve:
    """A curve with the percentile interval of its replicates at each x, widened where y lies outside.

    Args:
        replicates: (B, P); those with NaN are left out. Fewer than half of them left: no band.
    """
    good = np.sort(replicates[~np.isnan(replicates).any(axis=1)], axis=0)
    if 2 * len(good) < len(replicates) or len(good) < 2:
        return curve
    first, last = middle(len(good), level)
    low, high = good[first], good[last]
    return Curve(curve.x, curve.y, np.minimum(low, curve.y), np.maximum(high, curve.y))
