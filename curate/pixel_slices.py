"""Pixel figures of slices, counted while the images of the whole are read.

A slice of images (a lot, a camera) is a set of its own: its background is that of its images. A slice of
regions (a defect type, a bin of sizes) has the background of all images, so that slices compare; pixels of
other regions are neither background nor defect. Hence AUPRO of the whole is the mean over such slices,
weighted by their numbers of regions, where each region is in one of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from curate import pixel_histograms as of
from curate.images import Array
from curate.intervals import FEW_GROUPS, LEVEL, Estimate, GroupDraws, bootstrapped
from curate.masks import label_regions
from curate.metrics.auc_spro import FPR_LIMITS as SPRO_LIMITS
from curate.pixel_bins import Bins, Resampling, binned, moved
from curate.pixel_histograms import SLAB, TOLERANCE, Bounded, Metric, PixelHistograms, masses_of
from curate.pixel_items import Key, PixelItem, as_float32, saturating
from curate.pixel_keys import keys_of
from curate.pixel_measures import Slab
from curate.pixel_tally import Cells, Tally, Totals

N_BINS = 512  # of replicates; fewer where slices are many
N_BINS_AT_LEAST = 64
MEMORY = 1 << 27  # bytes for the cells of all slices together, and as many for their replicates
FEW = "Fewer than 2 groups have such defects, so there is no interval."
ROUGH = "Only {n} groups have such defects, so the interval is rough, and rather too narrow."


def metrics_of(fpr_limits: Iterable[float], has_channels: bool) -> list[Metric]:
    """The figures of a slice."""
    spro = [of.auc_spro(limit) for limit in SPRO_LIMITS] if has_channels else []
    return [of.auroc(), of.average_precision(), *(of.aupro(limit) for limit in fpr_limits), *spro]


@dataclass
class SliceGroups:
    """Which slices there are, and how many groups without and with defects each has; from the first pass.

    Attributes:
        images: slice of images -> groups with an image in it, without and with a defect there.
        regions: slice of regions -> groups without and with such a region.
    """

    images: dict[Key, list[int]] = field(default_factory=dict)
    regions: dict[Key, list[int]] = field(default_factory=dict)
    _n_groups: int = 0
    _images: dict[Key, bool] = field(default_factory=dict)
    _regions: set[Key] = field(default_factory=set)
    _open: bool = False

    def add(self, item: PixelItem) -> None:
        """Note an image of the group that is open."""
        self._open = True
        has_defect = bool(item.slices) and bool(item.gt_mask.any())
        for key in item.slices:
            self._images[key] = self._images.get(key, False) or has_defect
        self._regions |= keys_in(item)

    def close(self) -> None:
        """The group is complete."""
        for key, has_defect in self._images.items():
            self.images.setdefault(key, [0, 0])[int(has_defect)] += 1
        for key in self._regions:
            self.regions.setdefault(key, [0, 0])[1] += 1
        self._n_groups += self._open
        for sizes in self.regions.values():
            sizes[0] = self._n_groups - sizes[1]
        self._images, self._regions, self._open = {}, set(), False


def keys_in(item: PixelItem) -> set[Key]:
    """Slices of regions that an image has something of."""
    parts = [*item.region_slices, *(channel.slices for channel in item.channels)]
    return {key for part in parts for key in part}


@dataclass
class _Group:
    """Masses in bins of one group in one slice."""

    masses: dict[str, Array]
    totals: Totals = field(default_factory=Totals)


class SliceCounts:
    """Counts the pixels of slices; images of a group come one after the other."""

    def __init__(
        self,
        found: PixelHistograms,
        groups: SliceGroups,
        metrics: list[Metric],
        n_replicates: int,
        seed: int = 0,
    ) -> None:
        """Ready to count.

        Args:
            found: all images, counted; its cells are used where memory allows, else bins of them.
            groups: of the same images.
            seed: every slice is drawn from the same one, so slices do not depend on each other.
        """
        self._metrics, self._groups, self._names = metrics, groups, masses_of(metrics)
        sizes: dict[Key, list[int]] = {**groups.regions, **groups.images}
        room = MEMORY // max(1, len(sizes) * len(self._names) * 8)
        self._partition = found.partition
        self._grid: Cells = found.partition
        self._single = found.single
        if found.partition.n_cells > room:
            self._grid = binned(found, self._names, max(room, N_BINS))
            self._single = np.zeros(self._grid.n_cells, dtype=np.bool_)
        self._background = _gathered(self._grid, found.tally.slice("background", 0, self._partition.n_cells))
        n_bins = int(np.clip(room // max(n_replicates, 1), N_BINS_AT_LEAST, N_BINS))
        self._bins = binned(found, self._names, n_bins)
        n_pixels = int(found.tally.masses["all"].sum(dtype=np.int64))
        self._tallies = {
            key: Tally.empty(
                self._grid, self._names - ({"all"} if key in groups.regions else set()), n_pixels
            )
            for key in sizes
        }
        self._resampled = {
            key: Resampling(
                self._names, n_bins, GroupDraws(size, n_replicates, np.random.default_rng(seed)), n_replicates
            )
            for key, size in sizes.items()
        }
        self._sizes, self._name = sizes, ""
        self._open: dict[Key, _Group] = {}
        self._behind = np.zeros(n_bins)  # background of the open group
        self._n_open = 0

    def add(self, item: PixelItem) -> None:
        """Count an image whose map is finite.

        Raises:
            ValueError: the slices of regions are not as many as the regions.
        """
        if item.group != self._name:
            self._close()
            self._name = item.group
        self._n_open += 1
        values, _ = as_float32(item.anomaly_map)
        cells = self._partition.cells(keys_of(values.reshape(-1)))
        bins = self._bins.of_cells(cells)
        fine = self._grid.of_cells(cells) if isinstance(self._grid, Bins) else cells
        everything = self._counted(bins)
        for key in item.slices:
            self._tally(key, "all", fine)
            self._group(key).masses["all"] += everything
        inside = item.gt_mask.reshape(-1)
        self._behind += everything - self._counted(bins[inside])
        if inside.any():
            self._add_regions(item, fine[inside], bins[inside])
            self._add_channels(item, values)

    def estimates(self, level: float = LEVEL) -> dict[Key, dict[str, Estimate]]:
        """Figures of each slice, once all images are in."""
        self._close()
        return {key: self._estimates(key, level) for key in self._sizes}

    def _add_regions(self, item: PixelItem, fine: Array, bins: Array) -> None:
        """Cells and bins: (D,) of the defect pixels."""
        labels, n_regions = label_regions(item.gt_mask)
        if item.region_slices and len(item.region_slices) != n_regions:
            raise ValueError(
                f"Expected slices of each of the {n_regions} regions of {item.name}; found "
                f"{len(item.region_slices)}."
            )
        own = labels[item.gt_mask]
        shares = 1 / np.bincount(own, minlength=n_regions + 1)[own]
        members: dict[Key, Array] = {key: np.ones(n_regions + 1, np.bool_) for key in item.slices}
        for number, keys in enumerate(item.region_slices, start=1):
            for key in keys:
                members.setdefault(key, np.zeros(n_regions + 1, np.bool_))[number] = True
        for key, member in members.items():
            chosen, group = member[own], self._group(key)
            self._tally(key, "defect", fine[chosen])
            self._tally(key, "overlap", fine[chosen], shares[chosen])
            group.masses["defect"] += self._counted(bins[chosen])
            group.masses["overlap"] += self._counted(bins[chosen], shares[chosen])
            for totals in (self._tallies[key].totals, group.totals):
                totals.n_regions += int(member[1:].sum())
                totals.n_anomalous += 1

    def _add_channels(self, item: PixelItem, values: Array) -> None:
        if "spro" not in self._names:
            return
        for channel in item.channels:
            chosen, weights = saturating(values, [channel])
            cells = self._partition.cells(keys_of(chosen))
            fine = self._grid.of_cells(cells) if isinstance(self._grid, Bins) else cells
            for key in (*item.slices, *channel.slices):
                group = self._group(key)
                self._tally(key, "spro", fine, weights)
                group.masses["spro"] += self._counted(self._bins.of_cells(cells), weights)
                for totals in (self._tallies[key].totals, group.totals):
                    totals.n_channels += 1

    def _tally(self, key: Key, name: str, cells: Array, weights: Array | None = None) -> None:
        mass = self._tallies[key].masses[name]
        np.add.at(mass, cells, mass.dtype.type(1) if weights is None else weights)

    def _counted(self, bins: Array, weights: Array | None = None) -> Array:
        return np.bincount(bins, weights=weights, minlength=self._bins.n_cells).astype(np.float64)

    def _group(self, key: Key) -> _Group:
        if key not in self._open:
            self._open[key] = _Group({name: np.zeros(self._bins.n_cells) for name in self._names})
        return self._open[key]

    def _close(self) -> None:
        """Add the open group to every slice of regions, and to the slices of images that it is in."""
        if not self._n_open:
            return
        for key in self._groups.regions:
            group = self._group(key)
            group.masses["all"] = self._behind + group.masses["defect"]
        for key, group in self._open.items():
            has_defect = group.totals.n_regions + group.totals.n_channels > 0
            self._resampled[key].add(group.masses, group.totals, int(has_defect))
        self._open, self._behind, self._n_open = {}, np.zeros(self._bins.n_cells), 0

    def _estimates(self, key: Key, level: float) -> dict[str, Estimate]:
        tally = self._tallies.pop(key)
        of_regions = key in self._groups.regions
        masses = {name: mass.astype(np.float64) for name, mass in tally.masses.items()}
        background = self._background if of_regions else masses["all"] - masses["defect"]
        whole, replicates = self._resampled.pop(key).sums()
        n_defect = self._sizes[key][1]
        n_groups = n_defect if of_regions else sum(self._sizes[key])
        out = {}
        for metric in self._metrics:
            n_positive = tally.total(metric.positive)
            found = _measured(metric, background, masses[metric.positive], n_positive, ~self._single)
            if found.value is None:
                out[metric.name] = Estimate(None, level=level, n=n_groups, note=found.reason)
                continue
            notes = [f"Exact within {found.bound:.1g}."] if found.bound > TOLERANCE else []
            draws = moved(metric, found.value, whole, replicates)
            if n_defect < 2:
                notes, draws = [*notes, FEW], draws[:0]
            elif n_defect < FEW_GROUPS:
                notes.append(ROUGH.format(n=n_defect))
            out[metric.name] = bootstrapped(found.value, draws, n_groups, level, " ".join(notes))
        return out


def _measured(metric: Metric, negative: Array, positive: Array, n_positive: float, loose: Array) -> Bounded:
    """A metric, and its bound, of masses (K,) in cells, lowest score first.

    Runs of cells without anything positive are taken together: no metric of a slice sees their inside.
    """
    n_negative = float(negative.sum())
    for total, needed in zip((n_negative, n_positive), metric.needs, strict=True):
        if not total:
            return Bounded(None, 0.0, f"{metric.name} needs {needed}s; found no {needed}.")
    hit = positive > 0
    starts = np.flatnonzero(hit | np.append(True, hit[:-1]))
    n, p = (np.add.reduceat(mass, starts)[::-1] for mass in (negative, positive))
    open_cells = (loose & hit)[starts][::-1]
    value = bound = f0 = t0 = 0.0
    for first in range(0, len(n), SLAB):
        part = slice(first, first + SLAB)
        sides = (np.asarray(each) for each in (f0, t0, n_negative, n_positive))
        added, errors = metric.measure(Slab(n[part], p[part], open_cells[part], *sides))
        value, bound = value + float(added), bound + float(errors.sum())
        f0, t0 = f0 + float(n[part].sum()), t0 + float(p[part].sum())
    return Bounded(value, bound)


def _gathered(grid: Cells, mass: Array) -> Array:
    return grid.gathered(mass) if isinstance(grid, Bins) else mass
