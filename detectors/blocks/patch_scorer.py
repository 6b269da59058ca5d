"""Patch-SVDD's way from an image to a map: embeddings, distances to a memory, scores spread over pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detectors.blocks.bank import nearest_distance
from detectors.blocks.hierarchy import HierarchicalEncoder
from detectors.blocks.patches import grid_hw, spread_matrix

Scales = tuple[tuple[int, int], tuple[int, int]]


class PatchScorer(nn.Module):
    """(1, h, w, 3) uint8 pixels to a (1, h, w) float32 map: product of the two sizes' distances.

    Args:
        scales: side and stride of small and of large patches; see PatchSvddConfig.
        n_dimensions: of embeddings.
        input_hw: of the pixels.
        n_kept: vectors in the bank of small and of large patches.
    """

    mean: Tensor
    small_bank: Tensor
    large_bank: Tensor

    def __init__(
        self, scales: Scales, n_dimensions: int, input_hw: tuple[int, int], n_kept: Sequence[int]
    ) -> None:
        super().__init__()
        self.scales, self.input_hw = scales, input_hw
        self.encoder = HierarchicalEncoder(scales[0][0], n_dimensions)
        self.register_buffer("mean", torch.zeros(3, *input_hw))
        for name, n in zip(("small_bank", "large_bank"), n_kept, strict=True):
            self.register_buffer(name, torch.zeros(n, n_dimensions))
        for n, (side, stride) in enumerate(self.scales):
            for axis in (0, 1):
                matrix = spread_matrix(input_hw[axis], side, stride)
                self.register_buffer(f"spread_{n}_{axis}", matrix, persistent=False)

    def banks(self) -> tuple[Tensor, Tensor]:
        """Of small and of large patches, (n, D) each."""
        return self.small_bank, self.large_bank

    def vectors(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of an image's small and large patches, (gh * gw, D) each."""
        (_, small_stride), (_, large_stride) = self.scales
        image = pixels.permute(0, 3, 1, 2).float() / 255 - self.mean
        small = self.encoder.small_map(image, small_stride)
        large = self.encoder.large_map(small, small_stride, large_stride)
        return small[0].flatten(1).T, large[0].flatten(1).T

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        found = torch.ones(self.input_hw, device=pixels.device)
        for n, (vectors, bank) in enumerate(zip(self.vectors(pixels), self.banks(), strict=True)):
            scores = nearest_distance(vectors, bank).view(grid_hw(self.input_hw, *self.scales[n]))
            rows, columns = self.get_buffer(f"spread_{n}_0"), self.get_buffer(f"spread_{n}_1")
            found = found * (rows @ scores @ columns.T)
        return found[None]
