"""Gaussians whose samples come from neighbouring positions too: a box filter over streaming moments."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from detectors.blocks.bands import Scratch
from detectors.blocks.gaussian import (
    Gaussian,
    StreamingGaussian,
    blocks,
    inverse_of,
    regular_factor,
    solved_distances,
)
from detectors.threads import n_cores, run_parallel, threads_on

Work = Callable[[slice, Tensor, Tensor], None]
# positions compared together: on the CPU so that they stay in its cache, elsewhere so that steps are few
STEP_CPU, STEP_DEVICE = 32, 1024


Offsets = Sequence[tuple[int, int]]


def square(window: int) -> Offsets:
    """All (row, column) offsets of a window of an odd side, row by row."""
    steps = range(-(window // 2), window // 2 + 1)
    return [(row, column) for row in steps for column in steps]


def cross(window: int) -> Offsets:
    """The middle of a window and the middles of its four sides.

    >>> cross(5)
    [(-2, 0), (0, -2), (0, 0), (0, 2), (2, 0)]
    """
    reach = window // 2
    return sorted({(-reach, 0), (0, -reach), (0, 0), (0, reach), (reach, 0)})


def neighbours(grid_hw: tuple[int, int], offsets: Offsets) -> Tensor:
    """(P, K) int64: positions at K offsets from each position; -1 beyond the grid.

    Args:
        grid_hw: rows and columns of the grid.
        offsets: ascending, and each with its opposite, as `square` and `cross` give them; so the offset that
            leads back from the k-th neighbour is the k-th one from the end.

    >>> neighbours((1, 3), square(3))[0].tolist()
    [-1, -1, -1, -1, 0, 1, -1, -1, -1]
    """
    height, width = grid_hw
    rows = torch.arange(height)[:, None, None] + torch.tensor([row for row, _ in offsets])
    columns = torch.arange(width)[:, None] + torch.tensor([column for _, column in offsets])
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return torch.where(inside, rows * width + columns, -1).reshape(height * width, len(offsets))


class Pool:
    """Moments over all samples of a window, clipped at the border of the grid, for each position.

    Exact: with the means m and scatters S of the positions q of a window, and N samples at each, the pooled
    scatter is sum(S_q) + N sum((m_q - m)(m_q - m)'). The sum of scatters is a separable box filter. It slides
    down the grid with window rows in memory, so that a row of the accumulated products may be overwritten
    once its pooled moments are made.

    Args:
        statistics: with P = H * W positions, row by row.
        grid_hw: H, W.
        window: side in positions; odd.
    """

    def __init__(self, statistics: StreamingGaussian, grid_hw: tuple[int, int], window: int) -> None:
        statistics.need_two()
        self.statistics, self.grid_hw, self.reach = statistics, grid_hw, window // 2
        around = neighbours(grid_hw, square(window)).to(statistics.sums.device)
        self.around = around.clamp(min=0)
        self.inside = (around >= 0).to(torch.float64)  # (P, K)
        self.means = statistics.mean()
        self.n_positions = self.inside.sum(dim=1)
        self.mean = torch.zeros_like(self.means)
        for inside, places in zip(self.inside.T, self.around.T, strict=True):
            self.mean += (inside / self.n_positions)[:, None] * self.means[places]

    def each_row(self, work: Work, n_threads: int = 0) -> None:
        """Call work(at, mean, covariance) for the positions `at` of every row: (w, d) and (w, d, d) float64.

        Bands of rows run in threads of their own; their size does not change the result. `work` may
        overwrite statistics.products[at].
        """
        height = self.grid_hw[0]
        threads = threads_on(self.means.device, n_threads)
        n_bands = max(1, min(threads or n_cores(), height // (8 * max(self.reach, 1))))
        edges = [height * band // n_bands for band in range(n_bands + 1)]
        bands = [(first, last, self._copies(first, last)) for first, last in itertools.pairwise(edges)]
        run_parallel(lambda band: self._band(work, *band), bands, threads)

    def _row(self, row: int) -> slice:
        return slice(row * self.grid_hw[1], (row + 1) * self.grid_hw[1])

    def _copies(self, first: int, last: int) -> dict[int, Tensor]:
        """Scatters of the rows around a band, which other bands may overwrite meanwhile."""
        rows = [*range(max(0, first - self.reach), first)]
        rows += range(last, min(self.grid_hw[0], last + self.reach))
        return {row: self.statistics.scatter(self._row(row)).to(self.statistics.products) for row in rows}

    def _across(self, row: int, copies: dict[int, Tensor]) -> Tensor:
        """Scatters of a row summed over the columns of each window, (w, d, d)."""
        scatter = copies[row].double() if row in copies else self.statistics.scatter(self._row(row))
        scatter = scatter.to(self.statistics.products).double()  # as exact in a copy as in place
        if self.reach == 0:
            return scatter
        found = scatter.clone()
        for offset in range(1, min(self.reach, len(scatter) - 1) + 1):
            found[offset:] += scatter[:-offset]
            found[:-offset] += scatter[offset:]
        return found

    def _band(self, work: Work, first: int, last: int, copies: dict[int, Tensor]) -> None:
        kept: dict[int, Tensor] = {}
        for row in range(first, last):
            rows = range(max(0, row - self.reach), min(self.grid_hw[0], row + self.reach + 1))
            kept = {each: kept[each] if each in kept else self._across(each, copies) for each in rows}
            scatter = kept[rows[0]].clone()
            for each in rows[1:]:
                scatter += kept[each]
            at = self._row(row)
            work(at, self.mean[at], self._covariance(at, scatter))

    def _covariance(self, at: slice, scatter: Tensor) -> Tensor:
        n_samples = self.statistics.n_samples
        between = (self.means[self.around[at]] - self.mean[at, None]) * self.inside[at, :, None]
        scatter.baddbmm_(between.mT, between, alpha=n_samples)
        return scatter.div_((n_samples * self.n_positions[at] - 1)[:, None, None])


def pooled_distances(
    pool: Pool, epsilon: float, held_out: Sequence[Tensor], around: Tensor | None, n_threads: int = 0
) -> Tensor:
    """(n, P) float32: Mahalanobis distances of held-out samples; see least_distances for `around`."""
    n_positions, _, n_channels = held_out[0].shape
    n_samples = sum(each.shape[1] for each in held_out)
    n_around = 1 if around is None else around.shape[1]
    found = torch.empty((n_positions, n_around, n_samples))

    def work(at: slice, mean: Tensor, covariance: Tensor) -> None:
        places = at if around is None else around[at].clamp(min=0)
        moved = torch.cat([each[places] for each in held_out], dim=-2)
        factor = regular_factor(covariance, epsilon)
        distances = solved_distances(factor, mean, moved.reshape(len(mean), -1, n_channels))
        found[at] = distances.reshape(len(mean), n_around, n_samples)

    pool.each_row(work, n_threads)
    return _least(found, around).T.contiguous()


def finish_pooled(pool: Pool, epsilon: float, n_threads: int = 0) -> Gaussian:
    """The fitted Gaussians; the statistics are used up."""
    statistics = pool.statistics

    def work(at: slice, mean: Tensor, covariance: Tensor) -> None:
        statistics.products[at] = inverse_of(regular_factor(covariance, epsilon)).to(statistics.products)

    pool.each_row(work, n_threads)
    return Gaussian(pool.mean.float(), statistics.take_whitener().bands)


def least_distances(gaussian: Gaussian, batch: Tensor, around: Tensor | None) -> Tensor:
    """Each sample's Mahalanobis distance to the nearest of the Gaussians around its position.

    Args:
        gaussian: of P positions.
        batch: (P, B, d) float32.
        around: (P, K) of `neighbours`; None compares with the sample's own position only.

    Returns:
        (B, P) float32.
    """
    if around is None:
        return gaussian.distances(batch)
    n_positions, n_batch, n_channels = batch.shape
    device = gaussian.mean.device
    batch, around = batch.to(device), around.to(device)  # moved once: each vector is compared K times
    found = torch.empty((n_positions, around.shape[1], n_batch), device=device)
    scratch = Scratch()
    for at in blocks(n_positions, STEP_CPU if device.type == "cpu" else STEP_DEVICE):
        moved = batch[around[at].clamp(min=0)].reshape(-1, around.shape[1] * n_batch, n_channels)
        found[at] = gaussian.distances_at(at, moved, scratch).reshape(-1, around.shape[1], n_batch)
    return _least(found, around).T.contiguous()


def _least(found: Tensor, around: Tensor | None) -> Tensor:
    """Least distance of each position's sample to the Gaussians around it.

    Args:
        found: (P, K, B): at [q, k] the distance of the sample of position around[q, k] to Gaussian q.
        around: (P, K), or None for K = 1.

    Returns:
        (P, B).
    """
    if around is None:
        return found[:, 0]
    back = torch.arange(around.shape[1] - 1, -1, -1, device=around.device)
    reached = found[around.clamp(min=0), back]  # (P, K, B)
    return reached.masked_fill((around < 0)[:, :, None], torch.inf).amin(dim=1)
