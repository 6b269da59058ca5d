"""One Gaussian per position: streaming mean and covariance, and whitened Mahalanobis distance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from detectors.threads import run_parallel

BLOCK = 256  # positions worked on together, so that temporaries stay in the processor's cache
SMALL_BLOCK = 32  # where temporaries are float64 and quadratic in the channels


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
        for at in _blocks(len(self.sums)):
            self._add(batch, at, self.shift)
        self.n_samples += batch.shape[1]

    def _add(self, batch: Tensor, at: slice, shift: Tensor) -> None:
        delta = batch[at].to(self.products) - shift[at, None].to(self.products.dtype)
        self.products[at].baddbmm_(delta.mT, delta)
        self.sums[at] += delta.sum(dim=1, dtype=torch.float64)

    def mean(self, at: slice = slice(None)) -> Tensor:
        """Mean at some positions, (p, d) float64."""
        if self.shift is None:
            raise ValueError("No samples were added.")
        return self.shift[at].double() + self.sums[at] / self.n_samples

    def covariance(self, at: slice = slice(None)) -> Tensor:
        """Sample covariance (divided by N - 1) of some positions, (p, d, d) float64.

        Raises:
            ValueError: fewer than two samples.
        """
        return self._covariance(at, self.n_samples)

    def _covariance(self, at: slice, n_samples: int) -> Tensor:
        if n_samples < 2:
            raise ValueError(f"A covariance needs at least 2 samples, found {n_samples}.")
        sums = self.sums[at]
        outer: Tensor = sums[:, :, None] * sums[:, None, :] / n_samples
        centred: Tensor = self.products[at].double() - outer
        return centred.div_(n_samples - 1)

    def finish(
        self, epsilon: float, held_out: Tensor | None = None, n_threads: int = 0
    ) -> tuple["Gaussian", Tensor]:
        """The fitted Gaussians, and the distances of held-out samples from what was fitted without them.

        The held-out samples are added once their distances are known, so none is lost for the fit. The
        accumulated products are overwritten by the result, to need no second array of their size.

        Args:
            epsilon: added to the diagonal of every covariance.
            held_out: (P, n, d), or None.
            n_threads: 0 is one for each core.

        Returns:
            Gaussians of all samples, and (n, P) float32 distances.
        """
        if self.shift is None:
            raise ValueError("No samples were added.")
        before, shift = self.n_samples, self.shift
        n_held_out = 0 if held_out is None else held_out.shape[1]
        identity = torch.eye(self.products.shape[-1], dtype=torch.float64, device=self.products.device)
        distances = torch.zeros((n_held_out, len(self.sums)))

        def factor(at: slice, n_samples: int) -> Tensor:
            regular = self._covariance(at, n_samples) + epsilon * identity
            found: Tensor = torch.linalg.cholesky(regular)
            return found

        def work(at: slice) -> None:
            if held_out is not None:
                delta = (held_out[at].to(identity) - self.mean(at)[:, None]).mT
                whitened = torch.linalg.solve_triangular(factor(at, before), delta, upper=False)
                distances[:, at] = whitened.norm(dim=1).T.float().cpu()
                self._add(held_out, at, shift)
            final = factor(at, before + n_held_out)
            inverse = torch.linalg.solve_triangular(final, identity.expand_as(final), upper=False)
            self.products[at] = inverse.mT.to(self.products.dtype)

        run_parallel(work, _blocks(len(self.sums), SMALL_BLOCK), n_threads)
        self.n_samples += n_held_out
        whiteners, self.products = self.products.float(), torch.empty(0)
        return Gaussian(self.mean().float(), whiteners), distances


@dataclass
class Gaussian:
    """Fitted Gaussians.

    Attributes:
        mean: (P, d) float32.
        whitener: (P, d, d) float32, transposed inverse of the Cholesky factor: upper triangular.
    """

    mean: Tensor
    whitener: Tensor

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
        squared = torch.empty((n_positions, n_batch), device=self.mean.device)
        for at in _blocks(n_positions):
            delta = batch[at].to(self.mean.device) - self.mean[at, None]
            squared[at] = torch.bmm(delta, self.whitener[at]).square_().sum(dim=-1)
        return squared.sqrt_().T.contiguous()

    def to(self, device: torch.device | str) -> "Gaussian":
        """The same on another device."""
        return Gaussian(self.mean.to(device), self.whitener.to(device))

    def state(self) -> dict[str, Tensor]:
        """Tensors to save: the mean, and the triangle of the whitener that is not zero."""
        packed = torch.empty((len(self.mean), _n_triangle(self.mean.shape[1])))
        rows, columns = torch.triu_indices(self.mean.shape[1], self.mean.shape[1])
        for at in _blocks(len(self.mean)):
            packed[at] = self.whitener[at].cpu()[:, rows, columns]
        return {"mean": self.mean.cpu(), "whitener": packed}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "Gaussian":
        """The reverse of `state`, bit for bit."""
        mean, packed = state["mean"], state["whitener"]
        n_positions, n_channels = mean.shape
        whitener = torch.zeros((n_positions, n_channels, n_channels))
        rows, columns = torch.triu_indices(n_channels, n_channels)
        for at in _blocks(n_positions):
            whitener[at, rows, columns] = packed[at]
        return cls(mean, whitener)


def _n_triangle(n: int) -> int:
    return n * (n + 1) // 2


def _blocks(n: int, step: int = BLOCK) -> list[slice]:
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
