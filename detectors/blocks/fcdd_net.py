"""Networks of FCDD: what is trained, on pixels or on the maps of a frozen backbone.

Source: Liznerski et al., "Explainable Deep One-Class Classification", ICLR 2021, arXiv:2007.01760, and the
widths of its public code. That frozen features are joined and whitened, and that there may be several
outputs, whose length is what gets hot (as in the hypersphere classifier that the paper builds on), is ours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.backbones import Backbone
from detectors.blocks.fcdd_loss import joint_heat

MIN_VARIANCE = 1e-6  # of a channel that is all but constant on the normals
SHRINKAGE = 0.01  # added to the channels' correlations, so that whitening does not blow up noise


class Head(nn.Module):
    """A trained body, and the heat of its features: (N, gh, gw)."""

    def __init__(self, body: nn.Module, n_last: int, n_outputs: int = 1) -> None:
        super().__init__()
        self.body = body
        self.last = nn.Conv2d(n_last, n_outputs, 1)

    def forward(self, inputs: Any) -> Tensor:
        """From what the body takes."""
        return joint_heat(self.last(self.body(inputs)))


class Joined(nn.Module):
    """Maps of a backbone as one, whitened: on normal images channels have no mean and hardly correlate.

    The grid is that of the second map, or of the only one; others are resampled to it.
    """

    mean: Tensor  # (C,)
    matrix: Tensor  # (C, C): the inverse root of the shrunk correlations, times each channel's 1 / spread

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.n_channels = sum(channels)
        self.register_buffer("mean", torch.zeros(self.n_channels))
        self.register_buffer("matrix", torch.eye(self.n_channels))

    def measure(self, features: Sequence[Sequence[np.ndarray]]) -> None:
        """Take the moments from the (C, h, w) maps of some images."""
        n, total = 0, torch.zeros(self.n_channels, dtype=torch.float64)
        products = torch.zeros(self.n_channels, self.n_channels, dtype=torch.float64)
        for maps in features:
            values = joined([torch.from_numpy(each)[None] for each in maps])[0].flatten(1).double()
            n, total = n + values.shape[1], total + values.sum(dim=1)
            products += values @ values.T
        mean = total / n
        covariance = products / n - torch.outer(mean, mean)
        spread = covariance.diagonal().clamp(min=MIN_VARIANCE).sqrt()
        values, vectors = torch.linalg.eigh(covariance / torch.outer(spread, spread))
        root = (vectors * (values.clamp(min=0) + SHRINKAGE).rsqrt()) @ vectors.T
        self.mean.copy_(mean)
        self.matrix.copy_(root / spread)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, C, h, w)."""
        centred = joined(maps) - self.mean.view(1, -1, 1, 1)
        return functional.conv2d(centred, self.matrix[:, :, None, None])


def joined(maps: Sequence[Tensor]) -> Tensor:
    """(N, C, h, w): maps one behind the other, at the size of the second, or of the only one."""
    grid_hw = maps[min(1, len(maps) - 1)].shape[-2:]
    same = [
        each
        if each.shape[-2:] == grid_hw
        else functional.interpolate(each, [int(side) for side in grid_hw], mode="bilinear")
        for each in maps
    ]
    return torch.cat(same, dim=1)


class Planes(nn.Module):
    """(N, h, w, 3) uint8 to (N, 3, h, w) float32 in [-1, 1]."""

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1


class First(nn.Module):
    """The only map of a backbone with one tap."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See the class."""
        return maps[0]


def scratch_net() -> tuple[nn.Module, int]:
    """The small network on pixels, three poolings, so that a cell is 8 px wide; and its last width."""
    layers: list[nn.Module] = [Planes()]
    n_in = 3
    for width, kernel, pools in ((8, 5, True), (32, 5, True), (64, 3, False), (128, 3, True)):
        conv = nn.Conv2d(n_in, width, kernel, padding=kernel // 2, bias=False)
        layers += [conv, nn.BatchNorm2d(width, eps=1e-4), nn.LeakyReLU()]
        if pools:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        n_in = width
    layers.append(nn.Conv2d(n_in, 128, 3, padding=1))
    return nn.Sequential(*layers), 128


def trained_part(name: str, weights: str, layers: tuple[str, ...]) -> tuple[nn.Module, int]:
    """A copy of a backbone's layers behind its first tap, to be trained further; and their last width.

    Args:
        name, weights: of the backbone.
        layers: the tap that the copy takes, then the layers that are copied.
    """
    net = Backbone(name, weights, layers).net()
    stages = list(net.stages)[-len(layers) + 1 :]
    n_last = [each for each in stages[-1].modules() if isinstance(each, nn.Conv2d)][-1].out_channels
    return nn.Sequential(First(), *stages).requires_grad_(True), n_last
