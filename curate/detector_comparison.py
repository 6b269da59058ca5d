"""Detectors against each other on the same images: differences with intervals and p-values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from curate.images import Array
from curate.intervals import LEVEL, N_REPLICATES, Groups, bootstrapped, draws
from curate.metrics import auroc, average_precision, tpr_at_fpr
from curate.operating_points import check_rate
from curate.ranking import Counts, Ranking
from curate.scores import checked

METHOD = "paired group bootstrap"


@dataclass(frozen=True)
class Difference:
    """How much better one detector is than another in one figure.

    Attributes:
        first, second: names of the detectors.
        metric: image_auroc, image_average_precision or tpr_at_fpr.
        value: the figure of the first minus that of the second; None where a label is absent.
        low, high: ends of its interval; None without one.
        level: of the interval, for this pair alone.
        p_value: two-sided, for this pair alone; never below 2 / (replicates + 1).
        p_holm: the same, corrected for comparing all pairs in this figure.
        n: number of groups.
        method: how both were found.
        note: what a reader has to know.
    """

    first: str
    second: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    p_value: float | None
    p_holm: float | None
    n: int
    method: str = METHOD
    note: str = ""


def compare(
    scores_by_detector: Mapping[str, Array],
    anomalous: Array,
    groups: Sequence[object],
    *,
    fpr: float = tpr_at_fpr.FPR,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Difference]:
    """Every pair of detectors, in AUROC, average precision and TPR at a false-positive rate.

    Each replicate draws groups once for all detectors, so what makes an image hard for both cancels. The
    p-value is the level at which the percentile interval of the difference would just touch 0: twice the
    smaller share of replicates on either side of 0, those at 0 on both, with one added to count and number
    so that it is never 0. Holm's procedure keeps the chance of any false claim over all pairs of a figure
    within the level.

    Args:
        scores_by_detector: name to (N,) scores of the same images; scales may differ.
        anomalous: (N,) bool.
        groups: (N,) whom an image belongs to.
        fpr: limit of tpr_at_fpr.

    Returns:
        For each figure, the pairs in the order of the mapping; empty for fewer than two detectors.

    Raises:
        ValueError: lengths differ, a score is NaN (the detector is named), an image has no group, or a rate
            or the level is out of range.

    Source: Efron and Tibshirani 1993, ch. 13 and 16; Davison and Hinkley 1997, ch. 4.4 (one added);
    Holm 1979, Scandinavian Journal of Statistics 6.
    """
    check_rate("fpr", fpr)
    rankings = {name: _ranking(name, scores, anomalous) for name, scores in scores_by_detector.items()}
    figures: dict[str, Callable[[Counts], Array]] = {
        "image_auroc": auroc.of,
        "image_average_precision": average_precision.of,
        "tpr_at_fpr": partial(tpr_at_fpr.of, fpr=fpr),
    }
    labels = np.asarray(anomalous).reshape(-1)
    gathered = Groups.of(groups, labels.tolist())

    def measured(weights: Array | None) -> Array:
        """(..., figures, detectors)."""
        counted = [ranking.counts(weights) for ranking in rankings.values()]
        return np.stack([np.stack([of(c) for c in counted], -1) for of in figures.values()], axis=-2)

    if len(rankings) < 2:
        return []
    whole = measured(None)
    replicates = np.concatenate([measured(part) for part in draws(gathered, n_replicates, seed)])
    out: list[Difference] = []
    for place, metric in enumerate(figures):
        pairs = [
            _difference(metric, pair, whole[place], replicates[:, place], gathered.sizes, level)
            for pair in combinations(enumerate(rankings), 2)
        ]
        corrected = holm([pair.p_value for pair in pairs])
        out += [_with_holm(pair, p) for pair, p in zip(pairs, corrected, strict=True)]
    return out


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number; None stays None and does not count.

    Source: Holm 1979, Scandinavian Journal of Statistics 6

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    out: list[float | None] = [None] * len(p_values)
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        out[place] = highest
    return out


def two_sided(differences: Array) -> float | None:
    """P-value of no difference from bootstrap replicates of it, see compare; None if most are undefined."""
    good = differences[~np.isnan(differences)]
    if not len(good) or 2 * len(good) < len(differences):
        return None
    tail = min(int((good <= 0).sum()), int((good >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(good) + 1))


def _ranking(name: str, scores: Array, anomalous: Array) -> Ranking:
    try:
        checked(scores, anomalous, finite=False)
    except ValueError as fault:
        raise ValueError(f'Scores of the detector "{name}": {fault}') from None
    return Ranking(np.asarray(scores).reshape(-1), np.asarray(anomalous).reshape(-1))


def _difference(
    metric: str,
    pair: tuple[tuple[int, str], tuple[int, str]],
    whole: Array,
    replicates: Array,
    sizes: tuple[int, ...],
    level: float,
) -> Difference:
    """One pair in one figure, not yet corrected.

    Args:
        whole: (detectors,).
        replicates: (B, detectors).
        sizes: number of groups of each label.
    """
    (a, first), (b, second) = pair
    n_groups = sum(sizes)
    value, drawn = float(whole[a] - whole[b]), replicates[:, a] - replicates[:, b]
    if np.isnan(value):
        note = "A label is absent: normal and anomalous images are needed."
        return Difference(
            first, second, metric, None, None, None, level, None, None, n_groups, method="", note=note
        )
    found = bootstrapped(value, drawn, n_groups, level, fewest=min(sizes))
    p_value = two_sided(drawn) if min(sizes) > 1 else None
    return Difference(
        first, second, metric, value, found.low, found.high, level, p_value, None, n_groups, note=found.note
    )


def _with_holm(pair: Difference, p_holm: float | None) -> Difference:
    return Difference(**{**vars(pair), "p_holm": p_holm})
