"""Tiling: any detector on overlapping tiles of the image, so that small defects keep their pixels.

The grid of tiles is chosen at the fit, from the median size of the normals; tiles are shares of an image's
height and width, so an image of another size has the same number of them. One inner detector sees all tiles,
or each place of the grid has its own (positions="own"), which suits parts that always lie alike and costs as
many times the memory. Maps are joined with weights that fall off linearly across the overlaps, so no seam
shows.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from detectors.base import Prediction
from detectors.geometry import Image
from detectors.wrapping import Wrapper

Span = tuple[int, int]


@dataclass(frozen=True)
class TilingOptions:
    """Settings of tiling, beside those of the inner detector, which apply to a tile.

    Attributes:
        tile_side: longest side of a tile, in pixels of an image of median size.
        overlap: share of a tile that it has in common with its neighbour at least, in [0, 0.5].
        positions: "shared", one inner detector for all tiles; or "own", one for each place.
    """

    tile_side: int = 256
    overlap: float = 0.25
    positions: Literal["shared", "own"] = "shared"

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # of the inner detector's settings
        if self.tile_side < 16 or not 0 <= self.overlap <= 0.5 or self.positions not in ("shared", "own"):
            raise ValueError(
                'Expected tile_side >= 16, overlap in [0, 0.5] and positions "shared" or "own", found '
                f'{self.tile_side}, {self.overlap} and "{self.positions}".'
            )


class Tiled(Wrapper):
    """See the module. Image score: of the joined map, or else the highest of the tiles' scores."""

    prefix: ClassVar[str] = "tiled"
    options_class: ClassVar[type] = TilingOptions
    config: Any  # the inner detector's settings with TilingOptions

    def _settle(self, sizes_hw: Sequence[tuple[int, int]]) -> None:
        medians = [int(np.median([size[axis] for size in sizes_hw])) for axis in (0, 1)]
        side, overlap = self.config.tile_side, self.config.overlap
        self.facts_ = {"grid": [n_tiles(length, side, overlap) for length in medians]}
        tiles = [[self._tile_hw(size, number) for size in sizes_hw] for number in range(self._n_parts())]
        if self.config.positions == "shared":
            tiles = [[size for sizes in tiles for size in sizes]]
        self._settle_inner(tiles)

    def _n_parts(self) -> int:
        rows, columns = self.facts_["grid"]
        return int(rows * columns)

    def _spans(self, image_hw: tuple[int, int], number: int) -> tuple[Span, Span]:
        rows, columns = self.facts_["grid"]
        row, column = divmod(number, columns)
        overlap = self.config.overlap
        return spans(image_hw[0], rows, overlap)[row], spans(image_hw[1], columns, overlap)[column]

    def _tile_hw(self, image_hw: tuple[int, int], number: int) -> tuple[int, int]:
        (top, bottom), (left, right) = self._spans(image_hw, number)
        return bottom - top, right - left

    def _part(self, image: Image, number: int) -> Image:
        (top, bottom), (left, right) = self._spans((image.shape[0], image.shape[1]), number)
        return image[top:bottom, left:right]

    def _joined(self, answers: Sequence[Prediction], image_hw: tuple[int, int]) -> Prediction:
        highest = max(each.score for each in answers)
        if answers[0].map is None:
            return Prediction(highest, None)
        rows, columns = self.facts_["grid"]
        down = weights(image_hw[0], rows, self.config.overlap)
        across = weights(image_hw[1], columns, self.config.overlap)
        joined = np.zeros(image_hw, np.float32)
        for number, answer in enumerate(answers):
            row, column = divmod(number, columns)
            (top, bottom), (left, right) = self._spans(image_hw, number)
            share = down[row][:, None] * across[column][None, :]
            joined[top:bottom, left:right] += share * answer.map
        return Prediction(self._reduced(joined) if self.scores_map else highest, joined)


def n_tiles(length: int, side: int, overlap: float) -> int:
    """How many tiles of some side, overlapping by at least a share, cover a length.

    >>> n_tiles(1000, side=256, overlap=0.25), n_tiles(256, side=256, overlap=0.25)
    (5, 1)
    """
    if length <= side:
        return 1
    return 1 + math.ceil((length - side) / (side * (1 - overlap)))


@functools.lru_cache(maxsize=256)
def spans(length: int, n: int, overlap: float) -> tuple[Span, ...]:
    """Begin and end (exclusive) of n tiles that overlap by a share and together cover a length.

    >>> spans(100, 2, 0.25)
    ((0, 58), (42, 100))
    """
    side = min(length, math.ceil(length / (n - (n - 1) * overlap) - 1e-9))
    starts = np.linspace(0, length - side, n).round().astype(int).tolist()
    return tuple((start, start + side) for start in starts)


@functools.lru_cache(maxsize=256)
def weights(length: int, n: int, overlap: float) -> tuple[np.ndarray, ...]:
    """Weight of each pixel of each tile, float32: falls off linearly in overlaps; those of a pixel sum to 1.

    >>> [each.tolist() for each in weights(4, 1, 0.25)]
    [[1.0, 1.0, 1.0, 1.0]]
    """
    places = spans(length, n, overlap)
    total, found = np.zeros(length), []
    for index, (start, end) in enumerate(places):
        weight = np.ones(end - start)
        if index and (shared := places[index - 1][1] - start) > 0:
            weight[:shared] *= (np.arange(shared) + 0.5) / shared
        if index + 1 < n and (shared := end - places[index + 1][0]) > 0:
            weight[-shared:] *= ((np.arange(shared) + 0.5) / shared)[::-1]
        total[start:end] += weight
        found.append(weight)
    return tuple(
        (weight / total[start:end]).astype(np.float32)
        for weight, (start, end) in zip(found, places, strict=True)
    )
