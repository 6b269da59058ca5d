"""Counts what pixels weigh in each cell of the score: one image added after the other."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from curate.images import Array
from curate.pixel_items import PixelItem, as_float32, check_pair, region_shares, saturating
from curate.pixel_keys import BLOCK, N_COARSE, Partition, coarse_counts, keys_of

NO_KEY = np.uint32(0)  # the key of no finite value
TOTAL_OF = {
    "overlap": "n_regions",
    "spro": "n_channels",
    "normal_rate": "n_normal",
    "recall": "n_anomalous",
}
N_KEPT_AT_MOST = 1 << 20
TOTALS = tuple(TOTAL_OF.values())


class Cells(Protocol):
    """Divides keys into numbered cells."""

    @property
    def n_cells(self) -> int:
        """How many there are."""

    def cells(self, keys: Array) -> Array:
        """(N,) int64 cells of (N,) keys."""


@dataclass
class Totals:
    """Numbers that fractions are of; those of a group add up to those of a data set."""

    n_regions: int = 0
    n_channels: int = 0
    n_normal: int = 0
    n_anomalous: int = 0

    def of(self, mass: str) -> int:
        """What a mass of that name sums to if everything is found."""
        return int(getattr(self, TOTAL_OF[mass]))

    def numbers(self) -> list[int]:
        """All of them, in the order of TOTALS."""
        return [getattr(self, name) for name in TOTALS]


@dataclass
class Tally:
    """Masses in cells: "all" and "defect" pixels, "overlap" of regions, "spro" of channels; for AUPIMO
    "normal_rate" and "recall", from the cell `top` on only.

    Attributes:
        masses: name -> (K,) number or weight in each cell, lowest score first.
        first_key: (K,) key of a value in each cell, where `mixed` is kept; None else.
        mixed: (K,) bool, whether a cell was seen to hold two values.
    """

    partition: Cells
    masses: dict[str, Array]
    totals: Totals = field(default_factory=Totals)
    top: int = 0
    first_key: Array | None = None
    mixed: Array | None = None

    @classmethod
    def empty(
        cls, partition: Cells, names: set[str], n_pixels: int, top: int = 0, watch: bool = False
    ) -> "Tally":
        """Nothing counted yet.

        Args:
            n_pixels: at most so many will be counted; decides the width of the counters.
            top: first cell of interest for AUPIMO.
            watch: find out which cells hold one value only.
        """
        n, counter = partition.n_cells, np.uint32 if n_pixels < 1 << 32 else np.int64
        masses = {
            name: np.zeros(n, counter if name in ("all", "defect") else np.float64)
            for name in names - {"normal_rate", "recall"}
        }
        masses |= {name: np.zeros(n - top) for name in names & {"normal_rate", "recall"}}
        if not watch:
            return cls(partition, masses, top=top)
        return cls(
            partition, masses, top=top, first_key=np.full(n, NO_KEY), mixed=np.zeros(n, dtype=np.bool_)
        )

    def add(self, item: PixelItem) -> None:
        """Count an image whose map is finite."""
        values, _ = as_float32(item.anomaly_map)
        self._add_all(values, is_normal=not item.gt_mask.any())
        self._add_defects(values, item)

    def _add_all(self, values: Array, is_normal: bool) -> None:
        flat = values.reshape(-1)
        rate = self.masses.get("normal_rate") if is_normal else None
        for start in range(0, len(flat), BLOCK):
            keys = keys_of(flat[start : start + BLOCK])
            cells = self.partition.cells(keys)
            np.add.at(self.masses["all"], cells, self.masses["all"].dtype.type(1))
            if self.first_key is not None and self.mixed is not None:
                _watch(cells, keys, self.first_key, self.mixed)
            if rate is not None:
                np.add.at(rate, cells[cells >= self.top] - self.top, 1 / len(flat))

    def _add_defects(self, values: Array, item: PixelItem) -> None:
        self.totals.n_channels += len(item.channels)
        if not item.gt_mask.any():
            self.totals.n_normal += 1
            return
        self.totals.n_anomalous += 1
        cells = self.partition.cells(keys_of(values[item.gt_mask]))
        np.add.at(self.masses["defect"], cells, self.masses["defect"].dtype.type(1))
        if "overlap" in self.masses:
            shares, n_regions = region_shares(item.gt_mask)
            np.add.at(self.masses["overlap"], cells, shares)
            self.totals.n_regions += n_regions
        if "recall" in self.masses:
            np.add.at(self.masses["recall"], cells[cells >= self.top] - self.top, 1 / len(cells))
        if "spro" in self.masses and item.channels:
            chosen, weights = saturating(values, item.channels)
            np.add.at(self.masses["spro"], self.partition.cells(keys_of(chosen)), weights)

    def slice(self, mass: str, start: int, stop: int) -> Array:
        """(stop - start,) float64: a mass in cells, or its background ("background")."""
        if mass == "background":
            return self.slice("all", start, stop) - self.slice("defect", start, stop)
        if mass in ("normal_rate", "recall"):
            part = np.zeros(stop - start)
            first = max(start, self.top)
            if first < stop:
                part[first - start :] = self.masses[mass][first - self.top : stop - self.top]
            return part
        return self.masses[mass][start:stop].astype(np.float64)

    def total(self, mass: str) -> float:
        """What a mass is a fraction of."""
        if mass == "background":
            return float(self.masses["all"].sum(dtype=np.int64) - self.masses["defect"].sum(dtype=np.int64))
        return float(self.masses[mass].sum(dtype=np.int64)) if mass == "defect" else self.totals.of(mass)


def _watch(cells: Array, keys: Array, first_key: Array, mixed: Array) -> None:
    """Note in which cells a second value appears."""
    known = first_key[cells]
    new = known == NO_KEY
    if new.any():
        first_key[cells[new]] = keys[new]
        known = first_key[cells]
    mixed[cells[known != keys]] = True


class Survey(Tally):
    """The first pass: coarse cells only, fast; finds maps that are not finite.

    Attributes:
        not_finite: positions and names of the images left out.
        exact: whether all maps are float32 without loss.
        n_pixels, n_normal_pixels: of all images that count, and of the normal ones.
    """

    def __init__(self, names: set[str], n_kept_at_most: int = N_KEPT_AT_MOST) -> None:
        """n_kept_at_most: keys of so many pixels are kept, to count each value for itself."""
        empty = Tally.empty(Partition(np.zeros(N_COARSE, np.int64)), names, 1 << 32)
        super().__init__(empty.partition, empty.masses)
        self.not_finite: dict[int, str] = {}
        self._kept: list[Array] | None = []
        self._n_kept_at_most = n_kept_at_most
        self.exact, self.n_pixels, self.n_normal_pixels, self._position = True, 0, 0, -1

    def add(self, item: PixelItem) -> None:
        """Count an image, or note that it is left out.

        Raises:
            ValueError: map and mask do not fit together.
        """
        self._position += 1
        check_pair(item.anomaly_map, item.gt_mask)
        for channel in item.channels:
            check_pair(item.anomaly_map, channel.mask)
        values, exact = as_float32(item.anomaly_map)
        counts, finite = coarse_counts(values)
        if not finite:
            self.not_finite[self._position] = item.name
            return
        self._keep(values)
        self.exact &= exact
        self.n_pixels += values.size
        self.masses["all"] += counts.astype(np.int64)
        is_normal = not item.gt_mask.any()
        self.n_normal_pixels += values.size * is_normal
        if "normal_rate" in self.masses and values.size and is_normal:
            self.masses["normal_rate"] += counts / values.size
        self._add_defects(values, item)

    def _keep(self, values: Array) -> None:
        if self._kept is None or self.n_pixels + values.size > self._n_kept_at_most:
            self._kept = None
        else:
            self._kept.append(keys_of(values.reshape(-1)))

    @property
    def keys(self) -> Array | None:
        """(N,) uint32 keys of all pixels; None where there are too many."""
        return None if self._kept is None else np.concatenate([np.zeros(0, np.uint32), *self._kept])
