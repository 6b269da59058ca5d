"""Feature vectors position by position: chosen channels of all layers on one grid."""

import functools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from detectors.backbones import Runner
from detectors.geometry import Prepared
from detectors.prefetch import batches, prefetch

Index = tuple[np.ndarray, np.ndarray] | None


class Embedder:
    """Chosen channels of all layers on the shallowest layer's grid (nearest), position by position."""

    def __init__(
        self, runner: Runner, shapes: Sequence[tuple[int, ...]], channels: Sequence[int], batch_size: int
    ) -> None:
        self.runner = runner
        _, height, width = shapes[0]
        self.grid_hw = (height, width)
        self.n_positions = height * width
        shape = (self.n_positions, batch_size, len(channels))
        self.buffers = [np.zeros(shape, dtype=np.float32) for _ in range(2)]
        self.parts: list[tuple[list[int], slice, Index]] = []
        first, place = 0, 0
        for n_channels, h, w in shapes:
            chosen = [channel - first for channel in channels if first <= channel < first + n_channels]
            self.parts.append((chosen, slice(place, place + len(chosen)), _index((height, width), (h, w))))
            first, place = first + n_channels, place + len(chosen)

    def stream(self, images: Iterable[Prepared], batch_size: int) -> Iterator[tuple[list[Prepared], Tensor]]:
        """Batches with their features, (P, batch_size, d) float32; the next batch is made meanwhile.

        Places beyond the end of a batch hold old values. A tensor is overwritten when the next one is taken.
        """

        def embed(numbered: tuple[int, list[Prepared]]) -> tuple[list[Prepared], Tensor]:
            number, batch = numbered
            buffer = self.buffers[number % 2]
            target = buffer.reshape(*self.grid_hw, *buffer.shape[1:])
            self.runner.run([each.pixels for each in batch], functools.partial(self._take, target))
            return batch, torch.from_numpy(buffer)

        return prefetch(embed, enumerate(batches(images, batch_size)), n_workers=1, n_ahead=2)

    def _take(self, target: np.ndarray, index: int, maps: Sequence[np.ndarray]) -> None:
        for (chosen, place, nearest), each in zip(self.parts, maps, strict=True):
            deep_last = np.ascontiguousarray(each[chosen].transpose(1, 2, 0))
            if nearest is None:
                _repeat(deep_last, target[:, :, index, place])
            else:
                target[:, :, index, place] = deep_last[nearest]


def _index(grid_hw: tuple[int, int], map_hw: tuple[int, int]) -> Index:
    """Nearest rows and columns of a map for those of a grid; None where the map fits into it evenly."""
    (height, width), (h, w) = grid_hw, map_hw
    if height % h == 0 and width % w == 0:
        return None
    return (np.arange(height) * h // height)[:, None], np.arange(width) * w // width


def _repeat(values: np.ndarray, target: np.ndarray) -> None:
    """Write every vector of (h, w, c) to all positions of a (h * n, w * m, c) target that it stands for.

    A view of the target with an axis for the copies saves the indexed array in between.
    """
    h, w, c = values.shape
    n, m = target.shape[0] // h, target.shape[1] // w
    down, right, deep = target.strides
    view = as_strided(target, (h, n, w, m, c), (n * down, down, m * right, right, deep))
    view[:] = values[:, None, :, None]
