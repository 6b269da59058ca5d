"""A normalising flow of affine coupling blocks: an invertible map between features and a standard normal.

Each block puts the features into a fixed random order, then halves change each other in turn:

    y1 = x1 * exp(c(s2(x2))) + t2(x2),    y2 = x2 * exp(c(s1(y1))) + t1(y1)

with c(s) = alpha * (2 / pi) * atan(s / alpha), which keeps every factor between exp(-alpha) and exp(alpha).
Each pair (s, t) comes from one small fully connected network. The inverse needs no inverse of those.

Source: Dinh et al., "Density estimation using Real NVP", ICLR 2017, arXiv:1605.08803; the soft clamp from
Ardizzone et al., "Guided Image Generation with Conditional Invertible Neural Networks", arXiv:1907.02392.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

N_HIDDEN_LAYERS = 3


def soft_clamp(s: Tensor, alpha: float) -> Tensor:
    """s where it is small, never beyond alpha on either side; same shape.

    >>> soft_clamp(torch.tensor([0.0, 1e9, -1e9]), 3.0)
    tensor([ 0.,  3., -3.])
    """
    return alpha * (2 / math.pi) * torch.atan(s / alpha)


def subnet(n_in: int, n_out: int, hidden: int) -> nn.Sequential:
    """Fully connected, three hidden layers with ReLU: (N, n_in) to (N, n_out)."""
    layers: list[nn.Module] = []
    n = n_in
    for _ in range(N_HIDDEN_LAYERS):
        layers += [nn.Linear(n, hidden), nn.ReLU()]
        n = hidden
    return nn.Sequential(*layers, nn.Linear(n, n_out))


def n_weights(n: int, n_blocks: int, hidden: int) -> int:
    """Parameters of a Flow, without building it.

    >>> round(n_weights(768, 8, 2048) / 1e6, 2)
    172.08
    """
    inner = (N_HIDDEN_LAYERS - 1) * (hidden + 1) * hidden
    halves = n // 2, n - n // 2
    return n_blocks * sum((a + 1) * hidden + inner + (hidden + 1) * 2 * (n - a) for a in halves)


class Coupling(nn.Module):
    """One block: a fixed permutation, then an affine coupling of both halves.

    Attributes:
        permutation: (n,) int64, which feature comes to each place; saved with the block.
    """

    permutation: Tensor

    def __init__(self, n: int, hidden: int, alpha: float, permutation: Tensor) -> None:
        super().__init__()
        self.n_first, self.alpha = n // 2, alpha
        self.of_second = subnet(n - n // 2, 2 * (n // 2), hidden)  # s and t for the first half
        self.of_first = subnet(n // 2, 2 * (n - n // 2), hidden)
        self.register_buffer("permutation", permutation)

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, : self.n_first], x[:, self.n_first :]

    def _scale_and_shift(self, net: nn.Module, half: Tensor) -> tuple[Tensor, Tensor]:
        s, t = net(half).chunk(2, dim=1)
        return soft_clamp(s, self.alpha), t

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, n) to (N, n), and (N,) log |det| of the Jacobian."""
        x1, x2 = self._halves(x[:, self.permutation])
        s2, t2 = self._scale_and_shift(self.of_second, x2)
        y1 = x1 * s2.exp() + t2
        s1, t1 = self._scale_and_shift(self.of_first, y1)
        y2 = x2 * s1.exp() + t1
        return torch.cat([y1, y2], dim=1), s1.sum(dim=1) + s2.sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """The x that forward turns into y."""
        y1, y2 = self._halves(y)
        s1, t1 = self._scale_and_shift(self.of_first, y1)
        x2 = (y2 - t1) * (-s1).exp()
        s2, t2 = self._scale_and_shift(self.of_second, x2)
        x1 = (y1 - t2) * (-s2).exp()
        return torch.cat([x1, x2], dim=1)[:, torch.argsort(self.permutation)]


class Flow(nn.Module):
    """Several blocks, one after another.

    Args:
        n: features, at least 2.
        n_blocks: blocks.
        hidden: width of the networks in them.
        alpha: of the soft clamp.
        seed: of the permutations. The networks begin as torch draws them.

    Raises:
        ValueError: fewer than two features, which cannot be split.
    """

    def __init__(self, n: int, n_blocks: int, hidden: int, alpha: float, seed: int) -> None:
        super().__init__()
        if n < 2:
            raise ValueError(f"Expected at least 2 features to split into halves, found {n}.")
        generator = torch.Generator().manual_seed(seed)
        self.blocks = nn.ModuleList(
            Coupling(n, hidden, alpha, torch.randperm(n, generator=generator)) for _ in range(n_blocks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, n) features to (N, n) latent values z, and (N,) log |det dz/dx|."""
        log_det = x.new_zeros(len(x))
        for block in self.blocks:
            x, part = block(x)
            log_det = log_det + part
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """(N, n) latent values to the features they come from."""
        for block in reversed(self.blocks):
            z = cast(Coupling, block).inverse(z)
        return z


def flow_loss(z: Tensor, log_det: Tensor) -> Tensor:
    """Negative log-likelihood in nats per feature, mean over the batch, less the constant log(2 pi) / 2.

    Args:
        z: (N, n).
        log_det: (N,).
    """
    return (0.5 * z.square().sum(dim=1) - log_det).mean() / z.shape[1]
