"""Upper triangular matrices kept as bands of columns, and the lengths of vectors multiplied with them.

A band has no rows below its last column, since they are zero: of matrices of 100 columns a third less is read
and multiplied than of whole ones.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

SMALL_PRODUCT = 1 << 18  # multiplications of a product up to which OpenBLAS stays in one thread
ROWS = 16  # of a product, where there are too many for one


def column_bands(d: int) -> list[tuple[int, int]]:
    """First and last column (exclusive) of each band of matrices of d columns.

    About four, so that little is kept of what is zero, and none narrower than products are fast with.

    >>> column_bands(100)
    [(0, 32), (32, 64), (64, 96), (96, 100)]
    """
    width = max(32, 16 * math.ceil(d / 64))
    return [(first, min(first + width, d)) for first in range(0, d, width)]


def n_banded(d: int) -> int:
    """Numbers in the bands of one matrix."""
    return sum(end * (end - first) for first, end in column_bands(d))


def n_triangle(d: int) -> int:
    """Numbers in a triangle with its diagonal."""
    return d * (d + 1) // 2


def cut(matrices: Tensor) -> tuple[Tensor, ...]:
    """The bands of (P, d, d): each (P, rows, columns) and contiguous."""
    return tuple(matrices[:, :end, first:end].contiguous() for first, end in column_bands(matrices.shape[1]))


def whole(bands: Sequence[Tensor]) -> Tensor:
    """(P, d, d) from its bands."""
    d = bands[-1].shape[1]
    found = torch.zeros((len(bands[0]), d, d), dtype=bands[0].dtype, device=bands[0].device)
    for (first, end), band in zip(column_bands(d), bands, strict=True):
        found[:, :end, first:end] = band
    return found


def packed(bands: Sequence[Tensor]) -> Tensor:
    """(P, n_triangle) on the CPU: the triangles row by row."""
    d = bands[-1].shape[1]
    parts, upper = [band.cpu().numpy() for band in bands], _upper(d)
    matrix, found = np.zeros((d, d), np.float32), np.empty((len(parts[0]), n_triangle(d)), np.float32)
    for position, triangle in enumerate(found):  # a matrix at a time stays in the cache
        for (first, end), part in zip(column_bands(d), parts, strict=True):
            matrix[:end, first:end] = part[position]
        triangle[:] = matrix[upper]
    return torch.from_numpy(found)


def unpacked(triangles: Tensor, d: int) -> tuple[Tensor, ...]:
    """The reverse of packed."""
    matrix, upper = np.zeros((d, d), np.float32), _upper(d)
    bands = [np.empty((len(triangles), end, end - first), np.float32) for first, end in column_bands(d)]
    for position, triangle in enumerate(triangles.numpy()):
        matrix[upper] = triangle
        for (first, end), band in zip(column_bands(d), bands, strict=True):
            band[position] = matrix[:end, first:end]
    return tuple(map(torch.from_numpy, bands))


def _upper(d: int) -> np.ndarray:
    """(d, d) bool: the upper triangle with its diagonal."""
    return np.triu(np.ones((d, d), dtype=bool))


class Scratch:
    """Arrays that are used again and again, so that they stay in the processor's cache; for one thread."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A float32 array with old values in it."""
        size = math.prod(shape)
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.empty(size, np.float32)
        return self._held[name][:size].reshape(shape)


def lengths(values: Tensor, mean: Tensor, bands: Sequence[Tensor], scratch: Scratch) -> Tensor:
    """(p, B) float32: Euclidean lengths of (value - mean) times a matrix.

    Args:
        values: (p, B, d), on the device of the others.
        mean: (p, d).
        bands: of p matrices.
        scratch: for what is computed in between.
    """
    _, n_rows, d = values.shape
    n_columns = bands[0].shape[2]
    rows = n_rows if n_rows * d * n_columns <= SMALL_PRODUCT else ROWS
    if values.device.type == "cpu" and n_rows % rows == 0 and rows * d * n_columns <= SMALL_PRODUCT:
        return _by_numpy(values.numpy(), mean.numpy(), [band.numpy() for band in bands], rows, scratch)
    delta = values - mean[:, None]
    found = torch.zeros(delta.shape[:2], device=delta.device)
    for band in bands:
        found += torch.bmm(delta[:, :, : band.shape[1]], band).square_().sum(dim=-1)
    return found.sqrt_()


def _by_numpy(
    values: np.ndarray, mean: np.ndarray, bands: Sequence[np.ndarray], rows: int, scratch: Scratch
) -> Tensor:
    """The same with products of few rows, for which OpenBLAS takes two thirds of the time of torch's MKL."""
    p, n_rows, d = values.shape
    delta = np.subtract(values, mean[:, None], out=scratch("delta", values.shape))
    delta = delta.reshape(p, n_rows // rows, rows, d)
    found = np.zeros(delta.shape[:3], np.float32)
    for band in bands:
        product = scratch("product", (*delta.shape[:3], band.shape[2]))
        np.matmul(delta[..., : band.shape[1]], band[:, None], out=product)
        found += np.einsum("pgbc,pgbc->pgb", product, product)
    return torch.from_numpy(np.sqrt(found, out=found).reshape(p, n_rows))
