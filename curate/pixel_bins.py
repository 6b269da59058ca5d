"""Some thousand bins of the score, fine where metrics need it, and their sums under a bootstrap over
groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from curate.images import Array
from curate.intervals import GroupDraws
from curate.pixel_histograms import AUPIMO_RATES, Metric, PixelHistograms
from curate.pixel_items import PixelItem
from curate.pixel_measures import Slab
from curate.pixel_tally import TOTAL_OF, TOTALS, Cells, Tally, Totals

N_BINS = 2048
LOWEST_RATE = 1e-6  # of false positives that bins still tell apart on a log axis
CHUNK = 32  # groups whose sums are added to the replicates at a time


class Bins:
    """Bins of cells, in the order of the scores; can stand in for a Partition when pixels are counted."""

    def __init__(self, partition: Cells, bin_of: Array, n_bins: int) -> None:
        self._partition, self._bin_of, self.n_cells = partition, bin_of, n_bins

    def cells(self, keys: Array) -> Array:
        """(N,) int64 bins of (N,) keys."""
        return np.asarray(self.of_cells(self._partition.cells(keys)))

    def of_cells(self, cells: Array) -> Array:
        """(N,) bins of (N,) cells of the partition."""
        return np.asarray(self._bin_of[cells])

    def gathered(self, mass: Array) -> Array:
        """(n_cells,) float64 sums of a (K,) mass in cells of the partition."""
        return np.bincount(self._bin_of, weights=mass, minlength=self.n_cells)


def binned(found: PixelHistograms, names: set[str], n_bins: int = N_BINS) -> Bins:
    """Bins that have equal shares of everything that metrics look at.

    That is: background, defects, regions, each in equal parts, and the rate of false positives on a log axis.

    Args:
        names: of the masses that were counted.
    """
    tally = found.tally
    n = found.partition.n_cells
    weight = np.zeros(n)
    for mass in sorted(names - {"all"} | {"background"}):
        total = tally.total(mass)
        if not total:
            continue
        each = tally.slice(mass, 0, n) / total
        if mass != "normal_rate":
            weight += each
        lowest, highest = AUPIMO_RATES if mass == "normal_rate" else (LOWEST_RATE, 1.0)
        if mass in ("background", "normal_rate"):
            each = np.clip(np.cumsum(each[::-1])[::-1], lowest / 10, highest)
            weight -= np.diff(np.log(each), append=np.log(lowest / 10)) / np.log(10 * highest / lowest)
    share = np.cumsum(weight[::-1])[::-1] / max(float(weight.sum()), 1e-300)
    bin_of = np.clip(np.ceil((1 - share) * (n_bins - 1)), 0, n_bins - 1).astype(np.int32)
    return Bins(found.partition, np.maximum.accumulate(bin_of), n_bins)


@dataclass(frozen=True)
class Sums:
    """Masses in bins, lowest score first, and what they are fractions of; leading axes are replicates.

    Attributes:
        masses: name -> (..., B).
        totals: one of TOTALS -> (...).
    """

    masses: Mapping[str, Array]
    totals: Mapping[str, Array]

    def slab(self, metric: Metric) -> Slab:
        """What a metric is measured on."""
        negative, positive = self.mass(metric.negative), self.mass(metric.positive)
        zeros = np.zeros(negative.shape[:-1])
        sizes = self.total(metric.negative), self.total(metric.positive)
        return Slab(negative, positive, np.zeros(negative.shape[-1], np.bool_), zeros, zeros, *sizes)

    def mass(self, name: str) -> Array:
        """(..., B) a mass, highest score first."""
        given = self.masses["all"] - self.masses["defect"] if name == "background" else self.masses[name]
        return np.asarray(given[..., ::-1])

    def total(self, name: str) -> Array:
        """(...) what a mass sums to if everything is found."""
        named = TOTAL_OF.get(name)
        return np.asarray(self.mass(name).sum(axis=-1) if named is None else self.totals[named])

    def values(self, metric: Metric) -> Array:
        """(...) a metric; NaN where a side is absent."""
        slab = self.slab(metric)
        value = np.asarray(metric.measure(slab)[0])
        return np.where((slab.n_negative > 0) & (slab.n_positive > 0), value, np.nan)


class Resampling:
    """Sums over groups, and over those that each replicate of a bootstrap drew; groups come one by one."""

    def __init__(self, names: Iterable[str], n_bins: int, draws: GroupDraws, n_replicates: int) -> None:
        """names: of the masses, each in n_bins bins."""
        self._names, self._n_bins, self._draws = sorted(names), n_bins, draws
        width = len(self._names) * n_bins + len(TOTALS)
        self._whole, self._replicates = np.zeros(width), np.zeros((n_replicates, width))
        self._rows, self._weights = np.zeros((CHUNK, width)), np.zeros((CHUNK, n_replicates))
        self._n_waiting = 0

    def add(self, masses: Mapping[str, Array], totals: Totals, stratum: int) -> None:
        """Add a group: its masses (B,) by name, what they are fractions of, and the stratum of the draws."""
        sums = [masses[name] for name in self._names]
        self._rows[self._n_waiting] = np.concatenate([*sums, totals.numbers()])
        self._weights[self._n_waiting] = self._draws.next(stratum)
        self._n_waiting += 1
        if self._n_waiting == CHUNK:
            self._flush()

    def sums(self) -> tuple[Sums, Sums]:
        """Over all groups, and over those of each replicate."""
        self._flush()
        return self._split(self._whole), self._split(self._replicates)

    def _flush(self) -> None:
        n = self._n_waiting
        self._replicates += self._weights[:n].T @ self._rows[:n]
        self._whole += self._rows[:n].sum(axis=0)
        self._n_waiting = 0

    def _split(self, table: Array) -> Sums:
        n = self._n_bins
        masses = {name: table[..., at * n : (at + 1) * n] for at, name in enumerate(self._names)}
        numbers = table[..., len(self._names) * n :]
        return Sums(masses, {name: numbers[..., at] for at, name in enumerate(TOTALS)})


def moved(metric: Metric, value: float, whole: Sums, replicates: Sums) -> Array:
    """(...) replicates of a metric, moved by what the bins change of the value itself."""
    return np.clip(replicates.values(metric) + value - whole.values(metric), 0, 1)


def resampled(
    groups: Iterable[Iterable[PixelItem]],
    bins: Bins,
    names: set[str],
    draws: GroupDraws,
    n_replicates: int,
) -> tuple[Sums, Sums]:
    """Sums over all groups, and over those of each replicate; one group after the other is in memory.

    Args:
        groups: images of each group, all of them finite; lazy.
        draws: the first stratum is that of groups without defects, the second that of the others.
    """
    resampling = Resampling(names, bins.n_cells, draws, n_replicates)
    for items in groups:
        tally = Tally.empty(bins, names, 1 << 32)
        for item in items:
            tally.add(item)
        resampling.add(tally.masses, tally.totals, int(tally.totals.n_anomalous > 0))
    return resampling.sums()
