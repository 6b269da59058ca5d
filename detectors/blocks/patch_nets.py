"""Small networks that describe one patch, and the same networks evaluated densely over whole images.

Source: layers and dense evaluation after Bergmann et al., "Uninformed Students: Student-Teacher Anomaly
Detection with Discriminative Latent Embeddings", CVPR 2020, arXiv:1911.02357; kernel sizes from memory of the
paper. That strided pooling can be exchanged for dilation: Bailer et al., "Fast Feature Extraction with CNNs
with Pooling Layers", BMVC 2017, arXiv:1805.03096.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 5e-3  # of the leaky rectifiers
STRIDES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Layer:
    """A convolution, and whether a maximum over 2 x 2 follows; n_out in units of the widest first layer."""

    kernel: int
    n_out: int
    pooled: bool = False


# by nominal patch side; the last layer's channels are the descriptor's
PATCH_LAYERS: dict[int, tuple[Layer, ...]] = {
    17: (Layer(6, 128), Layer(5, 256), Layer(5, 256), Layer(4, 0)),
    33: (Layer(5, 128, True), Layer(5, 256, True), Layer(2, 256), Layer(4, 0)),
    65: (Layer(5, 128, True), Layer(5, 128, True), Layer(5, 256, True), Layer(4, 256), Layer(1, 0)),
}


def reach(side: int) -> int:
    """Pixels along a side that a patch network looks at: pools leave the last odd ones of 33 and 65 out.

    >>> [reach(side) for side in (17, 33, 65)]
    [17, 32, 60]
    """
    pixels = 1
    for layer in reversed(PATCH_LAYERS[side]):
        pixels = (2 * pixels if layer.pooled else pixels) + layer.kernel - 1
    return pixels


def own_stride(side: int) -> int:
    """Pixels between neighbouring descriptors when the pools keep their stride of 2."""
    return 1 << sum(layer.pooled for layer in PATCH_LAYERS[side])


class PatchNet(nn.Module):
    """From patches to descriptors: (N, 3, h, w) float32 to (N, d, gh, gw), without padding.

    An image of one patch gives one descriptor; a larger one gives that of every patch whose top left corner
    is a multiple of `stride`, up to rounding what the patch alone would give.
    """

    def __init__(self, side: int, width: float, n_descriptor: int) -> None:
        """He initialisation, from torch's global generator.

        Args:
            side: of a patch, a key of PATCH_LAYERS.
            width: share of the paper's channels.
            n_descriptor: numbers in a descriptor.

        Raises:
            ValueError: there is no such network.
        """
        super().__init__()
        if side not in PATCH_LAYERS:
            raise ValueError(f"Expected a patch side of {', '.join(map(str, PATCH_LAYERS))}, found {side}.")
        self.side = side
        n_in = 3
        self.convolutions = nn.ModuleList()
        for layer in PATCH_LAYERS[side]:
            n_out = max(1, round(layer.n_out * width)) if layer.n_out else n_descriptor
            conv = nn.Conv2d(n_in, n_out, layer.kernel)
            nn.init.kaiming_normal_(conv.weight, SLOPE)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.convolutions.append(conv)
            n_in = n_out

    def forward(
        self, images: Tensor, stride: int = 1, norms: Sequence[nn.Module] | nn.ModuleList = ()
    ) -> Tensor:
        """Descriptors of patches; see the class.

        Args:
            images: (N, 3, h, w), at least reach(side) pixels along each side.
            stride: 1, 2, 4 or 8 pixels between patches.
            norms: what follows the first convolutions while the network learns; see patch_learning.
        """
        x = images
        for index, (conv, step) in enumerate(zip(self.convolutions, _steps(self.side, stride), strict=True)):
            x = functional.conv2d(x, conv.weight, conv.bias, step.conv_stride, dilation=step.dilation)  # type: ignore[arg-type]
            if index < len(norms):
                x = norms[index](x)
            if step.pooled:
                x = functional.max_pool2d(x, 2, step.pool_stride, dilation=step.dilation)
            if not step.last:
                x = functional.leaky_relu(x, SLOPE)
        return x


@dataclass(frozen=True)
class Step:
    """How a layer runs: a pool that may not skip positions dilates everything behind it instead."""

    conv_stride: int
    dilation: int
    pooled: bool
    pool_stride: int
    last: bool


def _steps(side: int, stride: int) -> Iterator[Step]:
    if stride not in STRIDES:
        raise ValueError(f"Expected a stride of {', '.join(map(str, STRIDES))} pixels, found {stride}.")
    left, dilation = stride, 1
    layers = PATCH_LAYERS[side]
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        skips = layer.pooled and left > 1
        yield Step(left if last else 1, dilation, layer.pooled, 2 if skips else 1, last)
        if skips:
            left //= 2
        elif layer.pooled:
            dilation *= 2


def patch_borders(side: int, stride: int, n_pixels: int) -> tuple[int, int]:
    """Rows to add before and behind an image, so that patches lie around the cells of a grid.

    With them, a PatchNet at some stride gives round(n_pixels / stride) descriptors, at least one, and
    descriptor k looks at the patch around the middle of pixels k * stride ... (k + 1) * stride - 1, to half a
    pixel.

    >>> patch_borders(33, 4, 128)
    (14, 14)
    """
    before = (reach(side) - stride) // 2
    n_cells = max(1, int(n_pixels / stride + 0.5))
    return before, max(0, (n_cells - 1) * stride + reach(side) - n_pixels - before)


def with_borders(images: Tensor, side: int, stride: int) -> Tensor:
    """(N, C, h, w) float images with their edges repeated as patch_borders says."""
    rows, columns = (patch_borders(side, stride, n) for n in images.shape[-2:])
    return functional.pad(images, (*columns, *rows), mode="replicate")


def normalized(pixels: Tensor) -> Tensor:
    """(N, h, w, 3) uint8 pixels as (N, 3, h, w) float32 in [-1, 1]."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
