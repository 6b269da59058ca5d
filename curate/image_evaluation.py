"""How good image scores are: figures with intervals, and curves with bands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from curate.curves import Curve
from curate.decision_figures import at_threshold
from curate.detector_comparison import Difference, compare
from curate.image_curves import banded, pr, precision_at, roc, tpr_at
from curate.images import Array
from curate.intervals import (
    FEW_GROUPS,
    LEVEL,
    N_REPLICATES,
    Estimate,
    Groups,
    bootstrapped,
    draws,
    proportion,
)
from curate.metrics import (
    auroc,
    average_precision,
    f1_max,
    precision_at_defect_rate,
    tnr_at_miss_rate,
    tpr_at_fpr,
)
from curate.operating_points import best_f1, check_rate, within_fpr, within_miss_rate
from curate.ranking import Counts, Ranking
from curate.scores import checked

__all__ = ["Difference", "ImageEvaluation", "at_threshold", "compare", "evaluate_images"]

# Shares of simulated 0.95 intervals of AUROC that held the truth: with 5 groups of each label 0.83 to 0.86,
# with 10 0.89 to 0.90, with 15 0.92 to 0.94, with FEW_GROUPS 0.94 to 0.96.
Figure = Callable[[Counts], Array]


@dataclass(frozen=True)
class ImageEvaluation:
    """Figures and curves of one set of scores.

    Attributes:
        estimates: image_auroc, image_average_precision, image_f1_max, tpr_at_fpr, tnr_at_miss_rate and
            precision_at_defect_rate; the value is None where the labels or the options cannot give it.
        curves: "roc" and "pr"; empty where a label is absent. A band is an interval at each x for itself.
        thresholds: the ones behind image_f1_max, tpr_at_fpr and tnr_at_miss_rate; +inf where nothing is
            called anomalous. They were chosen on these very images: for pictures, not for use.
    """

    estimates: dict[str, Estimate]
    curves: dict[str, Curve]
    thresholds: dict[str, float]


def evaluate_images(
    scores: Array,
    anomalous: Array,
    groups: Sequence[object],
    *,
    fpr: float = tpr_at_fpr.FPR,
    miss_rate: float = tnr_at_miss_rate.MISS_RATE,
    defect_rate: float | None = None,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
) -> ImageEvaluation:
    """Figures of a ranking, with intervals by a bootstrap over groups.

    Groups with an anomalous item and groups without are drawn apart, so that every replicate has both.

    Args:
        scores: (N,) no NaN; infinite is allowed.
        anomalous: (N,) bool.
        groups: (N,) whom an image belongs to (a part or a lot); images of a group come and go together.
        fpr: limit of tpr_at_fpr and of the operating point of the precision, in [0, 1].
        miss_rate: limit of tnr_at_miss_rate, in [0, 1].
        defect_rate: of the line, in [0, 1]; None leaves the precision out.
        n_replicates, seed, level: of the bootstrap.

    Raises:
        ValueError: lengths differ, a score is NaN (with its position), an image has no group, or a rate or
            the level is out of range.

    Source: Efron and Tibshirani 1993, ch. 13 (percentile interval); Davison and Hinkley 1997, ch. 3.8.
    """
    values, labels = checked(scores, anomalous, finite=False)
    if len(groups) != len(values):
        raise ValueError(f"Expected a group per score; found {len(groups)} for {len(values)} scores.")
    for name, rate in (("fpr", fpr), ("miss_rate", miss_rate), ("defect_rate", defect_rate or 0)):
        check_rate(name, rate)
    figures = _figures(fpr, miss_rate, defect_rate)
    if labels.all() or not labels.any():
        note = f"There is no {'normal' if labels.any() else 'anomalous'} image."
        return ImageEvaluation({name: Estimate(None, level=level, note=note) for name in figures}, {}, {})
    ranking = Ranking(values, labels)
    kinds = Groups.of(groups, labels.tolist())
    ranked = Groups(kinds.index[ranking.order], kinds.sizes)
    counts = ranking.counts()
    curves = {"roc": roc(counts), "pr": pr(counts)}

    def everything(weights: Array) -> Array:
        drawn = ranking.counts_in_order(weights)
        single = np.stack([figure(drawn) for figure in figures.values()], axis=-1)
        bands = tpr_at(drawn, curves["roc"].x), precision_at(drawn, curves["pr"].x)
        return np.concatenate([single, *bands], axis=-1)

    replicates = np.concatenate([everything(part) for part in draws(ranked, n_replicates, seed)])
    ends = np.cumsum([len(figures), len(curves["roc"].x)])
    bands = dict(zip(curves, np.split(replicates, ends, axis=1)[1:], strict=True))
    notes = {
        "image_f1_max": "An oracle: its threshold was chosen on these very images.",
        "tpr_at_fpr": _coarse(fpr, int((~labels).sum()), "normal"),
        "tnr_at_miss_rate": _coarse(miss_rate, int(labels.sum()), "anomalous"),
        "precision_at_defect_rate": "At the threshold that keeps the stated false-alarm rate.",
    }
    points = {
        "image_f1_max": best_f1(counts),
        "tpr_at_fpr": within_fpr(counts, fpr),
        "tnr_at_miss_rate": within_miss_rate(counts, miss_rate),
    }
    support = _Support.of(labels, groups)
    estimates = _estimates(figures, counts, replicates, support, level, notes)
    precision = estimates["precision_at_defect_rate"]
    if precision.value is not None and precision.low is None:  # as where no normal image alarms
        threshold = float(points["tpr_at_fpr"].threshold)
        told = at_threshold(values, labels, groups, threshold, defect_rate, seed=seed, level=level)
        estimates["precision_at_defect_rate"] = _bounded(precision, told["precision_at_defect_rate"], notes)
    return ImageEvaluation(
        estimates,
        {
            name: banded(curve, bands[name], level) if support.fewest > 1 else curve
            for name, curve in curves.items()
        },
        {name: float(point.threshold) for name, point in points.items()},
    )


def _bounded(precision: Estimate, told: Estimate, notes: dict[str, str]) -> Estimate:
    """A precision that is the same in all replicates, with the interval that both rates leave it."""
    if told.low is None:
        return precision
    return replace(told, value=precision.value, note=f"{notes['precision_at_defect_rate']} {told.note}")


def _figures(fpr: float, miss_rate: float, defect_rate: float | None) -> dict[str, Figure]:
    def unstated(counts: Counts) -> Array:
        return np.full(counts.n_negative.shape, np.nan)

    return {
        "image_auroc": auroc.of,
        "image_average_precision": average_precision.of,
        "image_f1_max": f1_max.of,
        "tpr_at_fpr": partial(tpr_at_fpr.of, fpr=fpr),
        "tnr_at_miss_rate": partial(tnr_at_miss_rate.of, miss_rate=miss_rate),
        "precision_at_defect_rate": unstated
        if defect_rate is None
        else partial(precision_at_defect_rate.of, defect_rate=defect_rate, fpr=fpr),
    }


def _coarse(limit: float, n: int, label: str) -> str:
    """What to know of a rate that so few images cannot resolve."""
    return f"A limit of {limit:g} allows none of the {n} {label} images." if 0 < limit < 1 / n else ""


@dataclass(frozen=True)
class _Support:
    """How many groups stand behind a figure: in all, with anomalous images, with normal ones."""

    n_groups: int
    n_anomalous: int
    n_normal: int

    @classmethod
    def of(cls, anomalous: Array, groups: Sequence[object]) -> "_Support":
        having = [
            {group for group, chosen in zip(groups, label.tolist(), strict=True) if chosen}
            for label in (anomalous, ~anomalous)
        ]
        return cls(len(having[0] | having[1]), len(having[0]), len(having[1]))

    @property
    def n_pairs(self) -> int:
        """Pairs of an anomalous and a normal image, no two of which share a group."""
        return min(self.n_anomalous, self.n_normal, self.n_groups // 2)

    @property
    def fewest(self) -> int:
        """Groups with the label that fewer have."""
        return min(self.n_anomalous, self.n_normal)

    @property
    def note(self) -> str:
        if self.fewest >= FEW_GROUPS:
            return ""
        label = "anomalous" if self.n_anomalous <= self.n_normal else "normal"
        return (
            f"Only {self.fewest} groups with {label} images: the bootstrap's interval is somewhat too narrow."
        )


def _estimates(
    figures: dict[str, Figure],
    counts: Counts,
    replicates: Array,
    support: _Support,
    level: float,
    notes: dict[str, str],
) -> dict[str, Estimate]:
    """Each figure with its interval; replicates (B, figures, then bands)."""
    out = {}
    for place, (name, figure) in enumerate(figures.items()):
        value, note = float(figure(counts)), notes.get(name, "")
        if np.isnan(value):
            missing = (
                "No threshold with an alarm keeps the false-positive rate."
                if isinstance(figure, partial)
                else "The line's defect rate was not stated."
            )
            out[name] = Estimate(None, level=level, n=support.n_groups, note=missing)
            continue
        found = bootstrapped(value, replicates[:, place], support.n_groups, level, note, support.fewest)
        if found.low is not None:
            found = replace(found, note=f"{note} {support.note}".strip())
        out[name] = found
    auroc_found = out["image_auroc"]
    if auroc_found.value in (0, 1) and support.n_pairs:
        exact = proportion(support.n_pairs if auroc_found.value else 0, support.n_pairs, level)
        note = f"Every pair is in {'order' if auroc_found.value else 'the wrong order'}, so the bootstrap "
        note += (
            f"cannot tell the uncertainty. The interval is that of {exact.n} pairs without a common group."
        )
        out["image_auroc"] = replace(exact, note=note)
    return out
