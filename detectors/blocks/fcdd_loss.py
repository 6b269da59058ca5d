"""Heat of a fully convolutional one-class network, its losses, and its way from cells to pixels.

Source: Liznerski et al., "Explainable Deep One-Class Classification", ICLR 2021, arXiv:2007.01760

The receptive-field Gaussian is the paper's; that cells near the border are not darkened by what is missing
beyond it (a weighted mean in place of a plain transposed convolution) is ours. Away from the border the two
differ by a constant factor.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

TINY = 1e-6  # added to a mean heat, so that the loss of a heat of 0 is finite
REACH = 31 / 12  # radius of the Gaussian in sigmas: VGG-11's receptive field is 62 px wide, sigma is 12 px
SMALL = math.log(2)


def heat(phi: Tensor) -> Tensor:
    """Pseudo-Huber distance from zero of each value, same shape: sqrt(phi^2 + 1) - 1, without cancellation.

    >>> [round(value, 12) for value in heat(torch.tensor([0.0, 1e-4, math.sqrt(3)])).tolist()]
    [0.0, 5e-09, 1.0]
    """
    squared = phi.square()
    return squared / ((squared + 1).sqrt() + 1)


def joint_heat(phi: Tensor) -> Tensor:
    """(N, h, w) heat of the lengths of (N, k, h, w) vectors; with k = 1 that of the values.

    >>> joint_heat(torch.tensor([2.0, 2.0, math.sqrt(7)]).view(1, 3, 1, 1)).item()
    3.0
    """
    squared = phi.square().sum(dim=1)
    return squared / ((squared + 1).sqrt() + 1)


def anomalous_loss(mean_heat: Tensor) -> Tensor:
    """-log(1 - exp(-m)) of mean heats m >= 0, same shape: near infinite for 0, falling to 0."""
    m = mean_heat + TINY
    return -torch.where(m < SMALL, torch.log(-torch.expm1(-m)), torch.log1p(-torch.exp(-m)))


def image_losses(heats: Tensor, anomalous: Tensor) -> Tensor:
    """(N,) loss of images of which only the label is known.

    Args:
        heats: (N, h, w).
        anomalous: (N,) bool.
    """
    means = heats.flatten(1).mean(dim=1)
    return torch.where(anomalous, anomalous_loss(means), means)


def pixel_losses(heats: Tensor, masks: Tensor, each_pixel: bool = False) -> Tensor:
    """(N,) loss of images whose mask is known.

    Args:
        heats: (N, H, W), at the size of the masks.
        masks: (N, H, W) bool; an image with an empty one counts as normal.
        each_pixel: the anomalous part is the mean loss of the pixels in the mask, however few they are, so
            that each must be hot (ours); not the loss of their sum over the image's area (the paper's).
    """
    inside = masks.flatten(1).to(heats.dtype)
    values = heats.flatten(1)
    normal = (values * (1 - inside)).mean(dim=1)
    if each_pixel:
        anomalous = (anomalous_loss(values) * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    else:
        anomalous = anomalous_loss((values * inside).mean(dim=1))
    return normal + torch.where(inside.any(dim=1), anomalous, torch.zeros_like(anomalous))


class GaussianUpsampling(nn.Module):
    """From cells to pixels by a transposed convolution with a Gaussian, as one matrix for each axis.

    Every pixel is the mean of the cells around it, weighted by a Gaussian of their centres' distance, which
    ends where the receptive field does.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, grid_hw: tuple[int, int], input_hw: tuple[int, int], sigma: float) -> None:
        """
        Args:
            grid_hw: cells.
            input_hw: pixels.
            sigma: in pixels.
        """
        super().__init__()
        for name, n_grid, n_input in zip(("rows", "columns"), grid_hw, input_hw, strict=True):
            matrix = torch.from_numpy(gaussian_matrix(n_grid, n_input, sigma))
            self.register_buffer(name, matrix, persistent=False)

    def forward(self, heats: Tensor) -> Tensor:
        """(N, h, w) to (N, H, W)."""
        return self.rows @ heats @ self.columns.T


def gaussian_matrix(n_grid: int, n_input: int, sigma: float) -> np.ndarray:
    """(n_input, n_grid) float32, rows sum to 1: one axis of GaussianUpsampling.

    >>> gaussian_matrix(2, 4, sigma=0.8).astype(float).round(2).tolist()
    [[1.0, 0.0], [0.83, 0.17], [0.17, 0.83], [0.0, 1.0]]
    """
    stride = n_input / n_grid
    distance = np.arange(n_input)[:, None] + 0.5 - (np.arange(n_grid)[None, :] + 0.5) * stride
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    # the nearest cell counts always, even where the Gaussian is narrower than a cell
    weights[np.abs(distance) > max(REACH * sigma, stride / 2)] = 0
    shares: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
