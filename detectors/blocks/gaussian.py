"""One Gaussian per position: streaming mean and covariance, and whitened Mahalanobis distance."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detectors.blocks.bands import SMALL_PRODUCT, Scratch, cut, lengths, n_triangle, packed, unpacked, whole
from detectors.threads import run_parallel, threads_on

BLOCK = 256  # positions worked on together, so that temporaries stay in the processor's cache
STEP = 64  # of them while products are added
SMALL_BYTES = 5 << 19  # of each temporary that is float64 and quadratic in the channels


class StreamingGaussian:
    """Accumulates mean and covariance at every position, batch by batch.

    Sums are taken of the difference to the first batch's mean: that keeps float32 exact enough where
    the plain sum of squares would cancel.

    Args:
        n_positions: P.
        n_channels: d.
        dtype: of the accumulated products; their size is P * d * d.
        device: where the work is done.
    """

    def __init__(
        self,
        n_positions: int,
        n_channels: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.n_samples = 0
        self.shift: Tensor | None = None
        self.sums = torch.zeros((n_positions, n_channels), dtype=torch.float64, device=device)
        self.products = torch.zeros((n_positions, n_channels, n_channels), dtype=dtype, device=device)

    def add(self, batch: Tensor) -> None:
        """Add samples.

        Args:
            batch: (P, B, d), any B >= 1; on any device.
        """
        if self.shift is None:
            self.shift = batch.mean(dim=1).to(self.sums.device)
        for at in blocks(len(self.sums)):
            self._add(batch, at, self.shift)
        self.n_samples += batch.shape[1]

    def _add(self, batch: Tensor, at: slice, shift: Tensor) -> None:
        delta = batch[at].to(self.products) - shift[at, None].to(self.products.dtype)
        _add_products(self.products[at], delta)
        self.sums[at] += delta.sum(dim=1, dtype=torch.float64)

    def mean(self, at: slice = slice(None)) -> Tensor:
        """Mean at some positions, (p, d) float64.

        Raises:
            ValueError: no samples were added.
        """
        found: Tensor = self._known_shift()[at].double() + self.sums[at] / self.n_samples
        return found

    def _known_shift(self) -> Tensor:
        if self.shift is None:
            raise ValueError("No samples were added.")
        return self.shift

    def scatter(self, at: slice = slice(None)) -> Tensor:
        """Sum of the outer products of x - mean at some positions, (p, d, d) float64."""
        return self._scatter(at, self.n_samples)

    def _scatter(self, at: slice, n_samples: int) -> Tensor:
        sums = self.sums[at]
        found: Tensor = self.products[at].double()
        found.baddbmm_(sums[:, :, None], (sums / n_samples)[:, None, :], alpha=-1)
        return found

    def covariance(self, at: slice = slice(None)) -> Tensor:
        """Sample covariance of some positions, (p, d, d) float64; divided by N - 1.

        Raises:
            ValueError: fewer than two samples.
        """
        self.need_two()
        return self.scatter(at).div_(self.n_samples - 1)

    def need_two(self) -> None:
        """Refuse to go on with fewer than two samples."""
        if self.n_samples < 2:
            raise ValueError(f"A covariance needs at least 2 samples, found {self.n_samples}.")

    def finish(
        self, epsilon: float, held_out: list[Tensor] | None = None, n_threads: int = 0
    ) -> tuple["Gaussian", Tensor]:
        """The fitted Gaussians, and the distances of held-out samples from what was fitted without them.

        The held-out samples are added once their distances are known, so none is lost for the fit. The
        accumulated products are overwritten on the way, to need no second array of their size.

        Args:
            epsilon: added to the diagonal of every covariance.
            held_out: batches of samples, (P, n, d) each; the list is emptied, to free their memory.
            n_threads: 0 is one for each core.

        Returns:
            Gaussians of all samples, and (n, P) float32 distances.

        Raises:
            ValueError: fewer than two samples.
        """
        self.need_two()
        held_out, shift = held_out if held_out is not None else [], self._known_shift()
        before, after = self.n_samples, self.n_samples + sum(each.shape[1] for each in held_out)
        distances = torch.zeros((after - before, len(self.sums)))

        def factor(at: slice, n_samples: int) -> Tensor:
            return regular_factor(self._scatter(at, n_samples).div_(n_samples - 1), epsilon)

        def work(at: slice) -> None:
            if held_out:
                values = torch.cat([each[at] for each in held_out], dim=1)
                distances[:, at] = solved_distances(factor(at, before), self.mean(at), values).T
                for each in held_out:
                    self._add(each, at, shift)
            self.products[at] = inverse_of(factor(at, after)).to(self.products)

        threads = threads_on(self.sums.device, n_threads)
        run_parallel(work, blocks(len(self.sums), small_block(self.sums.shape[1])), threads)
        self.n_samples = after
        held_out.clear()
        return self.take_whitener(), distances

    def take_whitener(self) -> "Gaussian":
        """Gaussians whose whitener is what stands in `products`, which is given away."""
        whitener, self.products = self.products.float(), torch.empty(0)
        return Gaussian(self.mean().float(), cut(whitener))


def _add_products(products: Tensor, delta: Tensor) -> None:
    """Add delta' delta of (p, B, d) to (p, d, d); small ones by OpenBLAS, half the time of torch's MKL."""
    _, n_batch, d = delta.shape
    if delta.device.type != "cpu" or n_batch * d * d > SMALL_PRODUCT:
        products.baddbmm_(delta.mT, delta)
        return
    right, total = delta.numpy(), products.numpy()
    for at in blocks(len(right), STEP):
        total[at] += np.matmul(np.ascontiguousarray(right[at].transpose(0, 2, 1)), right[at])


def regular_factor(covariance: Tensor, epsilon: float) -> Tensor:
    """Lower Cholesky factor of covariances with epsilon on the diagonal, (p, d, d) float64.

    The argument is changed.
    """
    covariance.diagonal(dim1=1, dim2=2).add_(epsilon)
    found: Tensor = torch.linalg.cholesky(covariance)
    return found


def solved_distances(factor: Tensor, mean: Tensor, values: Tensor) -> Tensor:
    """Mahalanobis distances, (p, n) float32 on the CPU, of values (p, n, d) from p Gaussians."""
    delta = (values.to(mean) - mean[:, None]).mT
    whitened: Tensor = torch.linalg.solve_triangular(factor, delta, upper=False)
    return whitened.square().sum(dim=1).sqrt().float().cpu()


def inverse_of(factor: Tensor) -> Tensor:
    """Transposed inverse of lower triangular factors: the whitener."""
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand_as(factor)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.mT


@dataclass
class Gaussian:
    """Fitted Gaussians.

    Attributes:
        mean: (P, d) float32.
        bands: of the whiteners, float32: the transposed inverses of the Cholesky factors, which are upper
            triangular; see detectors.blocks.bands.
    """

    mean: Tensor
    bands: tuple[Tensor, ...]

    @property
    def whitener(self) -> Tensor:
        """(P, d, d) float32, made anew."""
        return self.whitener_at(slice(None))

    def whitener_at(self, at: slice | Tensor) -> Tensor:
        """(p, d, d) float32, made anew: the whiteners of some positions."""
        return whole([band[at] for band in self.bands])

    def distances(self, batch: Tensor) -> Tensor:
        """Mahalanobis distance of each sample at each position.

        A sample's distances may differ in the last bit between batches of different B, because matrix
        products are then summed in another order; with the same B they do not depend on its neighbours.

        Args:
            batch: (P, B, d) float32, contiguous.

        Returns:
            (B, P) float32.
        """
        n_positions, n_batch, _ = batch.shape
        found = torch.empty((n_positions, n_batch), device=self.mean.device)
        scratch = Scratch()
        for at in blocks(n_positions):
            found[at] = self.distances_at(at, batch[at], scratch)
        return found.T.contiguous()

    def distances_at(self, at: slice, values: Tensor, scratch: Scratch) -> Tensor:
        """(p, B) float32: the same at some positions, for values of (p, B, d)."""
        bands = [band[at] for band in self.bands]
        return lengths(values.to(self.mean.device), self.mean[at], bands, scratch)

    def to(self, device: torch.device | str) -> "Gaussian":
        """The same on another device."""
        return Gaussian(self.mean.to(device), tuple(band.to(device) for band in self.bands))

    def n_parameters(self) -> int:
        """Numbers of the means and of the triangular factors."""
        return len(self.mean) * (self.mean.shape[1] + n_triangle(self.mean.shape[1]))

    def state(self) -> dict[str, Tensor]:
        """Tensors to save: the mean, and the triangle of the whitener that is not zero, row by row."""
        return {"mean": self.mean.cpu(), "whitener": packed(self.bands)}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "Gaussian":
        """The reverse of `state`, bit for bit."""
        return cls(state["mean"], unpacked(state["whitener"], state["mean"].shape[1]))


def blocks(n: int, step: int = BLOCK) -> list[slice]:
    """Consecutive slices that cover range(n)."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def small_block(n_channels: int) -> int:
    """How many float64 matrices of (n_channels, n_channels) make SMALL_BYTES."""
    return max(1, SMALL_BYTES // (8 * n_channels**2))
