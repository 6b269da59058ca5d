"""Two ways to bring the maps of deeper layers to the grid of the shallowest, and their shapes beforehand.

"nearest" repeats a deep vector for all positions below it; "bilinear" interpolates between deep vectors.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.backbones import Runner
from detectors.backbones.nets import BACKBONES, Features
from detectors.maps import bilinear_matrix
from detectors.threads import one_torch_thread

STRIP = 64  # pixels; narrower ones are too small for some networks
Merge = Literal["nearest", "bilinear"]
Shape = tuple[int, int, int]
Take = Callable[[int, list[np.ndarray]], None]


def feature_shapes(name: str, layers: Sequence[str], input_hw: tuple[int, int]) -> list[Shape]:
    """(C, h, w) of every layer, without trained weights.

    Rows and columns do not depend on each other, so two thin strips tell both. (On torch's "meta" device the
    first network takes a second, for imports.)
    """
    spec = BACKBONES[name]
    with torch.random.fork_rng(devices=[]), torch.no_grad(), one_torch_thread():
        net = Features(spec.stages(spec.build()), layers, spec)
        tall, wide = (
            net(torch.zeros((1, *strip_hw, 3), dtype=torch.uint8))
            for strip_hw in ((input_hw[0], STRIP), (STRIP, input_hw[1]))
        )
    return [(a.shape[1], a.shape[2], b.shape[3]) for a, b in zip(tall, wide, strict=True)]


@functools.lru_cache(maxsize=32)
def known_shapes(name: str, layers: tuple[str, ...], input_hw: tuple[int, int]) -> tuple[Shape, ...]:
    """feature_shapes, remembered."""
    return tuple(feature_shapes(name, layers, input_hw))


def by_layer(shapes: Sequence[Shape], channels: Sequence[int]) -> list[list[int]]:
    """Chosen channels of all layers together, as channels of each layer.

    >>> by_layer([(3, 8, 8), (4, 4, 4)], [0, 2, 3, 6])
    [[0, 2], [0, 3]]
    """
    found, first = [], 0
    for n_channels, _, _ in shapes:
        found.append([channel - first for channel in channels if first <= channel < first + n_channels])
        first += n_channels
    return found


class BilinearRunner:
    """A runner whose maps are the chosen channels only, interpolated to the shallowest grid."""

    def __init__(self, runner: Runner, shapes: Sequence[Shape], channels: Sequence[int]) -> None:
        self.runner, self.runtime = runner, runner.runtime
        self.chosen = by_layer(shapes, channels)
        _, height, width = shapes[0]
        self.shapes = [(len(chosen), height, width) for chosen in self.chosen]
        self.matrices = [
            (bilinear_matrix(h, height).astype(np.float32), bilinear_matrix(w, width).astype(np.float32))
            for _, h, w in shapes
        ]

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        """See Runner."""
        self.runner.run(images, functools.partial(self._pass_on, take))

    def _pass_on(self, take: Take, index: int, maps: list[np.ndarray]) -> None:
        pairs = zip(maps, self.chosen, self.matrices, strict=True)
        take(index, [rows @ each[chosen] @ columns.T for each, chosen, (rows, columns) in pairs])


class Merged(nn.Module):
    """Backbone and merging as one graph: (1, h, w, 3) uint8 pixels to (P, d) feature vectors."""

    def __init__(
        self, net: nn.Module, shapes: Sequence[Shape], channels: Sequence[int], merge: Merge
    ) -> None:
        super().__init__()
        self.net, self.merge = net, merge
        _, self.height, self.width = shapes[0]
        self.n_layers = len(shapes)
        for n, ((_, h, w), chosen) in enumerate(zip(shapes, by_layer(shapes, channels), strict=True)):
            self.register_buffer(f"chosen{n}", torch.tensor(chosen, dtype=torch.int64))
            self.register_buffer(f"rows{n}", torch.arange(self.height) * h // self.height)
            self.register_buffer(f"columns{n}", torch.arange(self.width) * w // self.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        parts = []
        for n, each in enumerate(self.net(pixels)):
            chosen = each.index_select(1, self.get_buffer(f"chosen{n}"))
            if self.merge == "bilinear":
                hw = (self.height, self.width)
                chosen = functional.interpolate(chosen, hw, mode="bilinear", align_corners=False)
            else:
                chosen = chosen.index_select(2, self.get_buffer(f"rows{n}"))
                chosen = chosen.index_select(3, self.get_buffer(f"columns{n}"))
            parts.append(chosen)
        return torch.cat(parts, dim=1)[0].flatten(1).T
