"""Resampling and blurring of maps, as one matrix for each axis.

Every step from a score grid to a map is linear and separable, so each axis needs one small matrix,
and a map two matrix products, however wide the blur and however large the image.
"""

import functools
from dataclasses import dataclass

import numpy as np


def bilinear_matrix(n_in: int, n_out: int) -> np.ndarray:
    """(n_out, n_in) float64: linear interpolation between pixel centres, edges repeated.

    Equals torch.nn.functional.interpolate(mode="bilinear", align_corners=False) along one axis.

    >>> bilinear_matrix(1, 3)
    array([[1.],
           [1.],
           [1.]])
    """
    low, share = _neighbours(n_in, n_out)
    matrix = np.zeros((n_out, n_in))
    rows = np.arange(n_out)
    np.add.at(matrix, (rows, low), 1 - share)
    np.add.at(matrix, (rows, np.minimum(low + 1, n_in - 1)), share)
    return matrix


def blur_matrix(n: int, sigma: float) -> np.ndarray:
    """(n, n) float64: Gaussian blur with radius int(4 sigma + 0.5), mirrored at the edges.

    >>> bool(np.allclose(blur_matrix(5, 1.5).sum(axis=1), 1))
    True
    """
    if sigma == 0:
        return np.eye(n)
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    period = max(2 * n - 2, 1)  # mirrored without repeating the edge pixel
    places = (np.arange(n)[:, None] + offsets) % period
    places = np.where(places < n, places, period - places)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], places), kernel)
    return matrix


def edge_matrix(n_in: int, n_out: int) -> np.ndarray:
    """(n_out, n_in) float64: puts a centre crop back in its place and repeats its edges outside."""
    start = (n_out - n_in) // 2
    places = np.clip(np.arange(n_out) - start, 0, n_in - 1)
    return np.eye(n_in)[places]


@dataclass(frozen=True)
class Axis:
    """One axis of the way from a score grid to a map, all lengths in pixels or cells.

    Attributes:
        n_grid: of the score grid.
        n_input: of the model's input, where the blur takes place.
        n_resized: of the resized image that the input was cut from, at its centre.
        start, length: where the picture lies in the resized image.
        n_image: of the map.
    """

    n_grid: int
    n_input: int
    n_resized: int
    start: int
    length: int
    n_image: int

    def inside(self) -> np.ndarray:
        """(n_grid,) bool: cells whose centre lies on the picture; at least one is."""
        offset = (self.n_resized - self.n_input) // 2
        centres = (np.arange(self.n_grid) + 0.5) * self.n_input / self.n_grid + offset
        found: np.ndarray = (centres >= self.start) & (centres < self.start + self.length)
        if not found.any():
            found[np.argmin(np.abs(centres - self.start - self.length / 2))] = True
        return found


@functools.lru_cache(maxsize=64)
def _resized_operator(
    n_grid: int, n_input: int, n_resized: int, first: int, last: int, sigma: float
) -> np.ndarray:
    """(n_resized, n_grid) float32: from cells first..last of a score grid to the resized image, blurred."""
    matrix: np.ndarray = blur_matrix(n_input, sigma) @ bilinear_matrix(n_grid, n_input)
    if (first, last) != (0, n_grid - 1):
        matrix = matrix @ np.eye(n_grid)[np.clip(np.arange(n_grid), first, last)]
    if n_input != n_resized:
        matrix = edge_matrix(n_input, n_resized) @ matrix
    return matrix.astype(np.float32)


@functools.lru_cache(maxsize=256)
def axis_operator(axis: Axis, sigma: float) -> np.ndarray:
    """(n_image, n_grid) float32: one axis of the way from a score grid to a map; see Geometry.to_image.

    Args:
        axis: lengths.
        sigma: of the blur, in pixels of the model's input.
    """
    cells = np.flatnonzero(axis.inside())
    matrix = _resized_operator(
        axis.n_grid, axis.n_input, axis.n_resized, int(cells[0]), int(cells[-1]), sigma
    )[axis.start : axis.start + axis.length]
    if axis.n_image != axis.length:
        low, share = _neighbours(axis.length, axis.n_image)
        high = np.minimum(low + 1, axis.length - 1)
        after = share.astype(np.float32)[:, None]
        matrix = matrix[low] * (1 - after) + matrix[high] * after
    return np.ascontiguousarray(matrix)


def _neighbours(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """For each output pixel, the input pixel below its centre, and the weight of the next one."""
    centres = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    low = np.minimum(centres.astype(int), max(n_in - 2, 0))
    return low, centres - low
