"""Some thousand bins of the score, fine where metrics need it, and their sums under a bootstrap over
groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from curate.images import Array
from curate.intervals import GroupDraws
from curate.pixel_histograms import AUPIMO_RATES, Metric, PixelHistograms
from curate.pixel_items import PixelItem
from curate.pixel_keys import KeyCells, Partition
from curate.pixel_measures import Slab
from curate.pixel_tally import TOTAL_OF, TOTALS, Tally

N_BINS = 2048
LOWEST_RATE = 1e-6  # of false positives that bins still tell apart on a log axis
CHUNK = 32  # groups whose sums are added to the replicates at a time


class Bins:
    """Bins of cells, in the order of the scores; can stand in for a Partition when pixels are counted."""

    def __init__(self, partition: Partition | KeyCells, bin_of: Array, n_bins: int) -> None:
        self._partition, self._bin_of, self.n_cells = partition, bin_of, n_bins

    def cells(self, keys: Array) -> Array:
        """(N,) int64 bins of (N,) keys."""
        return np.asarray(self._bin_of[self._partition.cells(keys)])


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
    order = [*sorted(names), *TOTALS]
    width = len(names) * bins.n_cells + len(TOTALS)
    whole, replicates = np.zeros(width), np.zeros((n_replicates, width))
    rows, weights = np.zeros((CHUNK, width)), np.zeros((CHUNK, n_replicates))
    n_waiting = 0
    for items in groups:
        tally = Tally.empty(bins, names, 1 << 32)
        for item in items:
            tally.add(item)
        sums = [tally.masses[name] for name in sorted(names)]
        rows[n_waiting] = np.concatenate([*sums, tally.totals.numbers()])
        weights[n_waiting] = draws.next(int(tally.totals.n_anomalous > 0))
        n_waiting += 1
        if n_waiting == CHUNK:
            replicates += weights.T @ rows
            whole += rows.sum(axis=0)
            n_waiting = 0
    replicates += weights[:n_waiting].T @ rows[:n_waiting]
    whole += rows[:n_waiting].sum(axis=0)
    return _split(whole, order, bins.n_cells), _split(replicates, order, bins.n_cells)


def _split(table: Array, order: list[str], n_bins: int) -> Sums:
    n_masses = len(order) - len(TOTALS)
    masses = {name: table[..., at * n_bins : (at + 1) * n_bins] for at, name in enumerate(order[:n_masses])}
    numbers = table[..., n_masses * n_bins :]
    return Sums(masses, {name: numbers[..., at] for at, name in enumerate(order[n_masses:])})
