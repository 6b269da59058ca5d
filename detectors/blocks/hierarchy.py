"""Patch-SVDD's encoder: patches of two sizes, the larger one seen as its four quadrants.

Source: Yi, Yoon, "Patch SVDD: Patch-level SVDD for Anomaly Detection and Segmentation", ACCV 2020,
arXiv:2006.16067; widths of the 32 pixel encoder as in the authors' published code. Those of the smaller ones
are ours, and so are the initial weights: He's, without biases. With torch's own the embeddings of all patches
begin almost equal, and hundreds of steps go by before anything is learned.
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional

from detectors.blocks.patches import DIRECTIONS, grid_hw

SLOPE = 0.1  # of the leaky rectifiers
WIDTHS = {8: (32,), 16: (32, 64, 64), 32: (32, 64, 128, 128, 64, 32, 32)}  # by the small patch's side


class HierarchicalEncoder(nn.Module):
    """Embeds small patches by valid convolutions, and large ones from the embeddings of their quadrants.

    Every layer is a valid convolution, so a whole image gives the embeddings of all its patches at once,
    equal to those of the patches alone.

    Args:
        small_side: of small patches, in pixels: 8, 16 or 32. Large ones are twice as wide.
        n_dimensions: of both embeddings, which lie in (-1, 1).
    """

    def __init__(self, small_side: int, n_dimensions: int) -> None:
        super().__init__()
        self.small_side = small_side
        widths = (3, *WIDTHS[small_side])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n_in, n_out, 3, stride=2 if n == 0 else 1)
            for n, (n_in, n_out) in enumerate(itertools.pairwise(widths))
        )
        self.final = nn.Conv2d(widths[-1], n_dimensions, 3)
        self.joined = nn.Conv2d(n_dimensions, 128, 2)
        self.last = nn.Conv2d(128, n_dimensions, 1)
        for layer in (*self.convolutions, self.final, self.joined, self.last):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)

    def small(self, patches: Tensor) -> Tensor:
        """(n, 3, K, K) small patches to (n, D)."""
        return self.small_map(patches, 2)[:, :, 0, 0]

    def large(self, patches: Tensor) -> Tensor:
        """(n, 3, 2K, 2K) large patches to (n, D)."""
        n, side = len(patches), self.small_side
        quadrants = patches.reshape(n, 3, 2, side, 2, side).permute(0, 2, 4, 1, 3, 5)
        each = self.small(quadrants.reshape(4 * n, 3, side, side))
        return self._join(each.reshape(n, 2, 2, -1).permute(0, 3, 1, 2), 1, 1)[:, :, 0, 0]

    def small_map(self, images: Tensor, stride: int) -> Tensor:
        """Embeddings of all small patches of images at an even stride.

        Args:
            images: (n, 3, h, w).
            stride: in pixels.

        Returns:
            (n, D, gh, gw), as detectors.blocks.patches.grid_hw has it.
        """
        found = images
        for layer in self.convolutions:
            found = functional.leaky_relu(layer(found), SLOPE)
        found = functional.conv2d(found, self.final.weight, self.final.bias, stride=stride // 2).tanh()
        # patches of an even side leave out their last row and column, so one more can come out than fits
        rows, columns = grid_hw((images.shape[2], images.shape[3]), self.small_side, stride)
        return found[:, :, :rows, :columns]

    def large_map(self, small_map: Tensor, small_stride: int, stride: int) -> Tensor:
        """Embeddings of all large patches from those of all small ones.

        Args:
            small_map: (n, D, gh, gw), as small_map gives it.
            small_stride: its stride; the small side is a multiple of it.
            stride: in pixels, a multiple of small_stride.
        """
        return self._join(small_map, self.small_side // small_stride, stride // small_stride)

    def _join(self, small_map: Tensor, apart: int, stride: int) -> Tensor:
        found = functional.conv2d(
            small_map, self.joined.weight, self.joined.bias, stride=stride, dilation=apart
        )
        embedded: Tensor = self.last(functional.leaky_relu(found, SLOPE)).tanh()
        return embedded


def position_classifier(n_dimensions: int) -> nn.Sequential:
    """Takes the difference of two patches' embeddings, (n, D), to scores of the eight directions, (n, 8).

    All its layers are plain ones that learn. In the authors' published code the last one normalises its
    weight without a gradient, and so never changes.
    """
    return nn.Sequential(
        nn.Linear(n_dimensions, 128), nn.LeakyReLU(SLOPE),
        nn.Linear(128, 128), nn.LeakyReLU(SLOPE),
        nn.Linear(128, len(DIRECTIONS)),
    )  # fmt: skip
