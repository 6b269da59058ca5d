"""Pixel metrics of any number of maps in little memory, each with a proven bound of its error.

The first pass counts pixels in coarse cells. They tell how finely each part of the range has to be divided
for the metrics to come out within a tolerance, and the second pass counts in these finer cells. Only where
the bound is still above it (mostly because many pixels have one value) a further pass follows, which also
finds out which cells hold one value only. Memory is that of the cells, whatever the number of images. A set
of up to a million pixels is counted value by value, without loss.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from curate import pixel_measures
from curate.images import Array
from curate.pixel_items import PixelItem, paired
from curate.pixel_keys import N_COARSE, KeyCells, Partition, divided
from curate.pixel_measures import Measure, Slab
from curate.pixel_tally import N_KEPT_AT_MOST, Survey, Tally

TOLERANCE = 1e-6
N_CELLS_AT_MOST = 1 << 21
N_PASSES = 3  # that count in fine cells
RESERVE = 0.8  # of the tolerance that cells are planned for
SLAB = 1 << 15  # cells whose temporaries fit into the cache
AUPIMO_RATES = 1e-5, 1e-4
Items = Callable[[], Iterable[PixelItem]]


@dataclass(frozen=True)
class Bounded:
    """A metric, and how far from the exact one it is at most; value None where it is not defined, and why."""

    value: float | None
    bound: float
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """What a metric is computed from.

    Attributes:
        negative, positive: names of masses, see Tally.
        joins: how parts of the range go together: "sum", or "max" for a best threshold.
        needs: what is absent where a mass is: a word for each side, for messages.
    """

    name: str
    negative: str
    positive: str
    measure: Measure
    joins: Literal["sum", "max"] = "sum"
    needs: tuple[str, str] = ("normal pixel", "anomalous pixel")


def auroc() -> Metric:
    """Pixel AUROC."""
    return Metric("pixel_auroc", "background", "defect", pixel_measures.auroc)


def average_precision() -> Metric:
    """Pixel average precision."""
    return Metric("pixel_average_precision", "background", "defect", pixel_measures.average_precision)


def f1_max() -> Metric:
    """Highest F1 of all thresholds."""
    return Metric("pixel_f1_max", "background", "defect", pixel_measures.f1_max, "max")


def aupro(fpr_limit: float) -> Metric:
    """AUPRO up to a limit."""
    area = pixel_measures.area_to(fpr_limit)
    return Metric(f"aupro_{fpr_limit:g}", "background", "overlap", area, needs=("background pixel", "region"))


def auc_spro(fpr_limit: float) -> Metric:
    """Area under the saturated overlap of channels up to a limit."""
    area = pixel_measures.area_to(fpr_limit)
    return Metric(
        f"auc_spro_{fpr_limit:g}", "background", "spro", area, needs=("background pixel", "channel")
    )


def aupimo(rates: tuple[float, float] = AUPIMO_RATES) -> Metric:
    """Mean over anomalous images of the recall, over the log of the rate on normal images."""
    area = pixel_measures.log_area(*rates)
    return Metric("aupimo", "normal_rate", "recall", area, needs=("normal image", "anomalous image"))


@dataclass(frozen=True)
class PixelHistograms:
    """Counted pixels.

    Attributes:
        partition: the cells that tally counts in.
        single: (K,) bool, cells that hold one value.
        not_finite: names of the images that were left out, because their map holds NaN or infinity.
        n_passes: how often the maps were read.
    """

    tally: Tally
    partition: Partition | KeyCells
    single: Array
    not_finite: tuple[str, ...] = ()
    n_passes: int = 1
    _known: dict[str, Bounded] = field(default_factory=dict, repr=False)

    @property
    def n_regions(self) -> int:
        """8-connected regions of all masks."""
        return self.tally.totals.n_regions

    def slabs(self, metric: Metric) -> Iterator[tuple[int, int, Slab]]:
        """Runs of cells, highest scores first, and where they are: first cell, and one after the last."""
        negative, positive = self.tally.total(metric.negative), self.tally.total(metric.positive)
        f0 = t0 = 0.0
        for stop in range(self.partition.n_cells, 0, -SLAB):
            start = max(stop - SLAB, 0)
            n, p = (self.tally.slice(mass, start, stop)[::-1] for mass in (metric.negative, metric.positive))
            f1, t1 = f0 + float(n.sum()), t0 + float(p.sum())
            if f1 > f0 or t1 > t0:
                loose = ~self.single[start:stop][::-1]
                sides = (np.asarray(each) for each in (f0, t0, negative, positive))
                yield start, stop, Slab(n, p, loose, *sides)
            f0, t0 = f1, t1

    def measure(self, metric: Metric) -> Bounded:
        """A metric with its bound."""
        if metric.name not in self._known:
            self._known[metric.name] = self.errors(metric)[0]
        return self._known[metric.name]

    def all_of(self, metric: Metric) -> Bounded:
        """A metric with its bound, of all maps.

        Raises:
            ValueError: maps had to be left out.
        """
        if self.not_finite:
            names = listed(self.not_finite)
            raise ValueError(f"Expected finite anomaly maps; found NaN or infinity in {names}.")
        return self.measure(metric)

    def value(self, metric: Metric) -> float:
        """A metric of all maps.

        Raises:
            ValueError: a side is absent, or maps had to be left out.
        """
        found = self.all_of(metric)
        if found.value is None:
            raise ValueError(found.reason)
        return found.value

    def auroc(self) -> float:
        """Pixel AUROC; ValueError where pixels of a label are absent."""
        return self.value(auroc())

    def aupro(self, fpr_limit: float = 0.3) -> float:
        """AUPRO up to a limit; ValueError where there is no region or no background."""
        return self.value(aupro(fpr_limit))

    def errors(self, metric: Metric) -> tuple[Bounded, Array]:
        """A metric, and the sum (of a best threshold, the highest) of the errors in each coarse cell."""
        errors = np.zeros(N_COARSE)
        for mass, needed in zip((metric.negative, metric.positive), metric.needs, strict=True):
            if not self.tally.total(mass):
                return Bounded(None, 0.0, f"{metric.name} needs {needed}s; found no {needed}."), errors
        if metric.joins == "max":
            best = max((float(metric.measure(slab)[0]) for *_, slab in self.slabs(metric)), default=0.0)
            for start, stop, slab in self.slabs(metric):
                part, each = metric.measure(slab)
                above = np.maximum(each + float(part) - best, 0) * (each > 0)
                np.maximum.at(errors, self.partition.coarse_of(start, stop)[::-1], above)
            return Bounded(best, float(errors.max())), errors
        value = 0.0
        for start, stop, slab in self.slabs(metric):
            part, each = metric.measure(slab)
            value += float(part)
            coarse = self.partition.coarse_of(start, stop)[::-1]
            errors += np.bincount(coarse, weights=each, minlength=N_COARSE)
        return Bounded(value, float(errors.sum())), errors


def count(
    items: Items,
    metrics: Sequence[Metric],
    tolerance: float = TOLERANCE,
    n_cells_at_most: int = N_CELLS_AT_MOST,
    survey: Survey | None = None,
) -> PixelHistograms:
    """Count pixels so finely that the metrics are within a tolerance of the exact ones.

    Args:
        items: gives all images, the same ones at each call; called twice, seldom three or four times.
        metrics: what the cells are made for.
        n_cells_at_most: 16 to 44 bytes each. Where so many are not enough, the bounds say what was reached.
        survey: the first pass, where it was made already.

    Raises:
        ValueError: a map and its mask do not fit together.
    """
    survey = survey or surveyed(items(), masses_of(metrics))
    keys = survey.keys
    if keys is not None:
        return _counted(items, metrics, survey, KeyCells(np.unique(keys)), 2)
    partition = Partition(np.zeros(N_COARSE, np.int64))
    found = PixelHistograms(survey, partition, partition.single())
    for n_passes in range(2, 2 + N_PASSES):
        wanted = np.max([_wanted(found, partition, metric, tolerance) for metric in metrics], axis=0)
        partition = divided(np.maximum(wanted, np.diff(partition.starts)), n_cells_at_most)
        del found
        found = _counted(items, metrics, survey, partition, n_passes, watch=n_passes > 2)
        if all(found.measure(metric).bound <= tolerance for metric in metrics):
            break
    return found


def _counted(
    items: Items,
    metrics: Sequence[Metric],
    survey: Survey,
    partition: Partition | KeyCells,
    n_passes: int,
    watch: bool = False,
) -> PixelHistograms:
    """One pass over the images that are finite."""
    top = partition.first_of(_top(survey)) if any(m.negative == "normal_rate" for m in metrics) else 0
    tally = Tally.empty(partition, masses_of(metrics), survey.n_pixels, top, watch)
    for position, item in enumerate(items()):
        if position not in survey.not_finite:
            tally.add(item)
    single = partition.single()
    if tally.mixed is not None:
        single |= ~tally.mixed
    if not survey.exact:  # values were rounded, so even one value may have been several
        single[:] = False
    return PixelHistograms(tally, partition, single, tuple(survey.not_finite.values()), n_passes)


def _wanted(found: PixelHistograms, partition: Partition, metric: Metric, tolerance: float) -> Array:
    """(65536,) how many cells each coarse cell should have, for a metric's tolerance."""
    errors = found.errors(metric)[1] * np.diff(partition.starts)
    if metric.joins == "max":
        return np.asarray(errors / (RESERVE * tolerance))
    # cells in proportion to the root of the error reach the least sum of errors
    return np.asarray(np.sqrt(errors) * np.sqrt(errors).sum() / (RESERVE * tolerance))


def masses_of(metrics: Iterable[Metric]) -> set[str]:
    """Names of the masses that metrics need."""
    found = {mass for metric in metrics for mass in (metric.negative, metric.positive)}
    return found - {"background"} | {"all", "defect"}


def surveyed(items: Iterable[PixelItem], names: set[str], n_kept_at_most: int = N_KEPT_AT_MOST) -> Survey:
    """The first pass."""
    survey = Survey(names, n_kept_at_most)
    for item in items:
        survey.add(item)
    return survey


def accumulate(
    maps: Sequence[Array], masks: Sequence[Array], metrics: Sequence[Metric] | None = None
) -> PixelHistograms:
    """All passes over maps and masks, which may be lazy sequences that read one item at a time.

    Args:
        metrics: what to be exact for; AUROC and AUPRO up to 0.3 if None.

    Raises:
        ValueError: their numbers differ, a pair does not fit.
    """
    return count(lambda: paired(maps, masks), metrics or (auroc(), aupro(0.3)))


def listed(names: Sequence[str], shown: int = 10) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _top(survey: Survey) -> int:
    """Lowest coarse cell that is of interest to AUPIMO."""
    above = np.cumsum(survey.masses["normal_rate"][::-1])
    reached = int(np.searchsorted(above, AUPIMO_RATES[1] * survey.totals.n_normal * (1 + 1e-9)))
    return max(N_COARSE - 1 - reached, 0)
