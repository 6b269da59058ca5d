"""Pixel figures of a detector with intervals by a bootstrap over groups, in memory for one image at a time.

Values are exact within a stated bound. Intervals come from some thousand bins: each group's pixels are added
to the replicates that drew it, and the replicates are moved by what the bins change of the value itself.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from curate import pixel_histograms as of
from curate.curves import Curve
from curate.image_curves import banded, pr, precision_at, roc, tpr_at
from curate.intervals import FEW_GROUPS, LEVEL, Estimate, GroupDraws, bootstrapped
from curate.metrics.auc_spro import FPR_LIMITS as SPRO_LIMITS
from curate.pixel_bins import Sums, binned, moved, resampled
from curate.pixel_decision import Decided
from curate.pixel_histograms import TOLERANCE, Bounded, Metric, count
from curate.pixel_items import Channel, Key, PixelItem
from curate.pixel_slices import SliceCounts, SliceGroups, metrics_of
from curate.pixel_tally import Survey
from curate.ranking import Counts

__all__ = ["Channel", "Curve", "PixelEvaluation", "PixelItem", "evaluate_pixels"]

N_REPLICATES = 200
FPR_LIMITS = 0.3, 0.05
N_PASSES = 3  # over the images, if no value needs one more
ORACLE = "The best threshold was chosen on these very pixels."


@dataclass(frozen=True)
class PixelEvaluation:
    """Figures and curves of one set of maps.

    Attributes:
        estimates: pixel_auroc, pixel_average_precision, pixel_f1_max, aupro_<limit>, aupimo, and
            auc_spro_<limit> where there are channels; seg_f1, pixel_precision and pixel_recall where a
            threshold is given. The value is None where a label is absent.
        curves: "roc", "pr" and "pro"; empty where no pixel is defect. A band is an interval at each x for
        itself. not_finite: names of images whose map holds NaN or infinity; they are left out of everything.
        error_bound: how far from exact a value is at most.
        slices: pixel_auroc, pixel_average_precision, aupro_<limit> and auc_spro_<limit> of each slice that an
            image or a region is in; see curate.pixel_slices.
    """

    estimates: dict[str, Estimate]
    curves: dict[str, Curve]
    not_finite: list[str]
    error_bound: float
    slices: dict[Key, dict[str, Estimate]] = field(default_factory=dict)


def evaluate_pixels(
    items: Callable[[], Iterable[PixelItem]],
    *,
    fpr_limits: tuple[float, ...] = FPR_LIMITS,
    threshold: float | None = None,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
    progress: Callable[[int], None] | None = None,
) -> PixelEvaluation:
    """Figures of anomaly maps, over all pixels of all images.

    Groups with a defect and groups without are drawn apart, so that every replicate has both.

    Args:
        items: gives the images, the same ones at each call, those of a group one after the other; called
            three times, seldom four or five. Sizes may differ.
        fpr_limits: of AUPRO, each in (0, 1].
        threshold: of map values; pixels >= it are predicted to be defect.
        n_replicates: of the bootstrap; 0 leaves intervals and bands out.
        progress: called with numbers that add up to that of the images.

    Raises:
        ValueError: a map and its mask do not fit, the images of a group are apart, or a limit is not in (0,
        1].
    """
    told = _Progress(progress)
    metrics = _metrics(fpr_limits)
    names = of.masses_of([*metrics, of.auc_spro(1.0)])
    slices = SliceGroups()
    survey, sizes = _surveyed(told.watch(items(), first=True), names, slices)
    if survey.totals.n_channels:
        metrics += [of.auc_spro(limit) for limit in SPRO_LIMITS]
    names = of.masses_of(metrics)
    found = count(lambda: told.watch(items()), metrics, survey=survey)
    measured = {metric.name: found.measure(metric) for metric in metrics}
    defined = [metric for metric in metrics if measured[metric.name].value is not None]
    bound = max((measured[metric.name].bound for metric in defined), default=0.0)
    bins, not_finite = binned(found, names), list(found.not_finite)
    shown = metrics_of(fpr_limits, survey.totals.n_channels > 0)
    sliced = (
        SliceCounts(found, slices, shown, n_replicates, seed) if slices.images or slices.regions else None
    )
    decided = None if threshold is None else Decided(threshold)
    del found
    draws = GroupDraws(sizes, n_replicates, np.random.default_rng(seed))
    groups = _groups(told.watch(items()), survey, [each for each in (sliced, decided) if each is not None])
    whole, replicates = resampled(groups, bins, names, draws, n_replicates)
    told.finish()
    estimates = {
        metric.name: _estimate(metric, measured[metric.name], whole, replicates, sizes, level, survey)
        for metric in metrics
    }
    estimates |= decided.estimates(n_replicates, seed, level) if decided else {}
    parts = sliced.estimates(level) if sliced else {}
    return PixelEvaluation(estimates, _curves(whole, replicates, sizes, level), not_finite, bound, parts)


def _metrics(fpr_limits: tuple[float, ...]) -> list[Metric]:
    pixels = [of.auroc(), of.average_precision(), of.f1_max()]
    return [*pixels, *(of.aupro(limit) for limit in fpr_limits), of.aupimo()]


def _surveyed(
    items: Iterable[PixelItem], names: set[str], slices: SliceGroups
) -> tuple[Survey, tuple[int, int]]:
    """The first pass, and the number of groups without and with a defect, of all and of each slice."""
    survey, sizes = Survey(names), [0, 0]
    seen: set[int] = set()
    current, has_image, has_defect = None, False, False

    def close() -> None:
        sizes[int(has_defect)] += has_image
        slices.close()

    for position, item in enumerate(items):
        if item.group != current or position == 0:
            close()
            current, has_image, has_defect = item.group, False, False
            if hash(item.group) in seen:
                raise ValueError(f'Expected the images of a group together; "{item.group}" comes back later.')
            seen.add(hash(item.group))
        survey.add(item)
        if position not in survey.not_finite:
            has_image, has_defect = True, has_defect or bool(item.gt_mask.any())
            slices.add(item)
    close()
    return survey, (sizes[0], sizes[1])


def _groups(
    items: Iterable[PixelItem], survey: Survey, others: Sequence[SliceCounts | Decided]
) -> Iterator[Iterator[PixelItem]]:
    """Images of one group after the other, without those that are not finite; each is read when asked for.

    Args:
        others: see each image, too.
    """

    def finite() -> Iterator[PixelItem]:
        for position, item in enumerate(items):
            if position not in survey.not_finite:
                for other in others:
                    other.add(item)
                yield item

    for _, members in groupby(finite(), key=lambda item: item.group):
        yield members


def _estimate(
    metric: Metric,
    measured: Bounded,
    whole: Sums,
    replicates: Sums,
    sizes: tuple[int, int],
    level: float,
    survey: Survey,
) -> Estimate:
    """A metric with its interval; sizes are the numbers of groups without and with a defect."""
    n_groups, fewest = sum(sizes), sizes[1]
    if metric.name == "aupimo" and sizes[0]:  # where only such groups tell the rate
        fewest = min(sizes)
    if measured.value is None:
        return Estimate(None, level=level, n=n_groups, note=measured.reason)
    notes = [ORACLE] if metric.name == "pixel_f1_max" else []
    if metric.name == "aupimo" and survey.n_normal_pixels * of.AUPIMO_RATES[0] < 1:
        notes.append(f"The {survey.n_normal_pixels} normal pixels are too few to tell a rate of 1e-5.")
    if measured.bound > TOLERANCE:
        notes.append(f"Exact within {measured.bound:.1g}.")
    if n_groups < FEW_GROUPS:
        notes.append(f"Intervals from {n_groups} groups are rough, and rather too narrow.")
    draws = moved(metric, measured.value, whole, replicates)
    return bootstrapped(measured.value, draws, n_groups, level, " ".join(notes), fewest)


def _curves(whole: Sums, replicates: Sums, sizes: tuple[int, int], level: float) -> dict[str, Curve]:
    """ROC, PR and PRO curves at the bins' edges, with bands from the replicates."""
    if not (whole.total("background") and whole.total("overlap")):
        return {}
    curves = {}
    for name, mass, draw, at in (
        ("roc", "defect", roc, tpr_at), ("pr", "defect", pr, precision_at), ("pro", "overlap", roc, tpr_at)
    ):  # fmt: skip
        curve = draw(_counts(whole, mass))
        resampled_counts = _counts(replicates, mass)
        if len(resampled_counts.negative) and sizes[1] > 1:
            curve = banded(curve, at(resampled_counts, curve.x), level)
        curves[name] = curve
    return curves


def _counts(sums: Sums, mass: str) -> Counts:
    negative, positive = sums.mass("background"), sums.mass(mass)
    return Counts(-np.arange(negative.shape[-1], dtype=np.float64), negative, positive)


class _Progress:
    """Turns several passes over the images into numbers that add up to that of the images."""

    def __init__(self, tell: Callable[[int], None] | None) -> None:
        self._tell = tell or (lambda n: None)
        self._n_images = self._n_seen = self._n_told = 0

    def watch(self, items: Iterable[PixelItem], first: bool = False) -> Iterator[PixelItem]:
        """The same items, counted; the first pass tells how many there are."""
        for item in items:
            yield item
            self._n_images += first
            self._n_seen += 1
            self._say(min(self._n_seen // N_PASSES, self._n_images))

    def finish(self) -> None:
        """Tell what is left."""
        self._say(self._n_images)

    def _say(self, n: int) -> None:
        if n > self._n_told:
            self._tell(n - self._n_told)
            self._n_told = n
