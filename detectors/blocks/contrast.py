"""Per-image contrast normalisation that stays in 8 bits, so that every runtime gives the same pixels.

Source: Liznerski et al., "Explainable Deep One-Class Classification", ICLR 2021, arXiv:2007.01760, public
code: mean and mean absolute deviation of the image, then the range of the normals to [0, 1].

Deviations: the range comes from the normals at hand; there is room for what lies beyond it, and what leaves
the room is clipped; values are rounded to 8 bits.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

ROOM = 0.125  # of 0..255 below the lowest and above the highest normal value
LEAST = 1.0  # mean absolute deviation in grey levels: a flat image is not blown up to noise


class Contrast(nn.Module):
    """(N, h, w, 3) uint8 pixels to the same with normalised contrast, each image for itself.

    Sums are of whole numbers below 2^53 in float64, so they are exact in any order.
    """

    low: Tensor  # (3,) float64: lowest normalised value of the normals
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((3,), -3.0, dtype=torch.float64))
        self.register_buffer("high", torch.full((3,), 3.0, dtype=torch.float64))

    def normalised(self, pixels: Tensor) -> Tensor:
        """(N, h, w, 3) float64 with mean 0 and mean absolute deviation 1."""
        values = pixels.to(torch.float64)
        n = pixels.shape[1] * pixels.shape[2] * pixels.shape[3]
        scaled = values * n - values.sum(dim=(1, 2, 3), keepdim=True)
        spread = scaled.abs().sum(dim=(1, 2, 3), keepdim=True) / n
        return scaled / spread.clamp(min=LEAST * n)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        shares = (self.normalised(pixels) - self.low) / (self.high - self.low)
        levels = 255 * (ROOM + (1 - 2 * ROOM) * shares)
        return levels.round().clamp(0, 255).to(torch.uint8)

    def measure(self, images: Iterable[np.ndarray]) -> None:
        """Take the range from normal images, (h, w, 3) uint8 each."""
        lows, highs = [], []
        for image in images:
            values = self.normalised(torch.from_numpy(image)[None]).flatten(0, 2)
            lows.append(values.amin(dim=0))
            highs.append(values.amax(dim=0))
        self.low.copy_(torch.stack(lows).amin(dim=0))
        high = torch.stack(highs).amax(dim=0)
        self.high.copy_(torch.maximum(high, self.low + 1))
