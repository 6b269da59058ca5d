"""Turning images about their centre, which angles to turn them by, and halving them."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Fill = Literal["edge", "black"]
FULL_TURN, HALF_TURN = 360.0, 180.0


def rotate(images: Tensor, degrees: Tensor, fill: Fill) -> Tensor:
    """Each image turned counter-clockwise about its centre, bilinear, at the same height and width.

    Args:
        images: (N, C, h, w) float; a wide image loses its ends when it is turned upright.
        degrees: (N,).
        fill: what is seen where the image does not reach: its nearest edge pixel, or 0.

    Returns:
        (N, C, h, w).
    """
    height, width = images.shape[-2:]
    radians = degrees.to(device=images.device, dtype=torch.float64).deg2rad()
    cos, sin, none = radians.cos(), radians.sin(), torch.zeros_like(radians)
    rows = (
        torch.stack([cos, -sin * height / width, none], dim=1),
        torch.stack([sin * width / height, cos, none], dim=1),
    )
    theta = torch.stack(rows, dim=1).to(images.dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    padding = "border" if fill == "edge" else "zeros"
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def evenly_spaced(n: int, max_degrees: float) -> Tensor:
    """(n,) float32 degrees from -max_degrees to max_degrees; 0 is among them if n is odd or the turn is full.

    >>> evenly_spaced(4, 180)
    tensor([  0.,  90., 180., 270.])
    >>> evenly_spaced(3, 10)
    tensor([-10.,   0.,  10.])
    """
    if n == 1 or max_degrees == 0:
        return torch.zeros(1)
    if max_degrees >= HALF_TURN:
        return torch.arange(n, dtype=torch.float32) * (FULL_TURN / n)
    return torch.linspace(-max_degrees, max_degrees, n)


def drawn(n: int, max_degrees: float, generator: torch.Generator) -> Tensor:
    """(n,) float32 degrees between -max_degrees and max_degrees: one at random from each of n equal parts.

    A single 0 when there is nothing to turn by.
    """
    if n == 0 or max_degrees == 0:
        return torch.zeros(1)
    places = (torch.arange(n) + torch.rand(n, generator=generator)) / n
    return (2 * places - 1) * max_degrees


def halvings(images: Tensor, n_scales: int) -> list[Tensor]:
    """The images, then at half the height and width (means of 2 by 2 pixels), a quarter, and so on.

    Args:
        images: (N, C, h, w) float.
        n_scales: how many, with the images themselves.

    >>> [tuple(each.shape) for each in halvings(torch.zeros(1, 3, 6, 9), 3)]
    [(1, 3, 6, 9), (1, 3, 3, 5), (1, 3, 2, 3)]
    """
    found = [images]
    for _ in range(n_scales - 1):
        found.append(functional.avg_pool2d(found[-1], 2, ceil_mode=True))
    return found


def halved_hw(image_hw: tuple[int, int], n_halvings: int) -> tuple[int, int]:
    """Height and width after some halvings.

    >>> halved_hw((6, 9), 2)
    (2, 3)
    """
    height, width = (math.ceil(side / 2**n_halvings) for side in image_hw)
    return height, width
