"""Numbers float32 values so that order stays, and divides the numbers into cells, finer where it matters.

The key of a value is its bit pattern, turned so that keys are in the order of the values; two values never
share one. The upper half of a key is its coarse cell (a 128th of an octave); a `Partition` divides each
coarse cell into a power of two of equal cells, down to one cell for each float32 value. So a cell is a known
interval of values, whatever the range of the maps, and outliers cost nothing.
"""

import cv2
import numpy as np

from curate.images import Array

N_COARSE = 1 << 16
LOWER_BITS = 16
BLOCK = 1 << 16  # pixels whose temporaries fit into the cache
COUNTED_AT_ONCE = 1 << 24  # OpenCV counts in float32, exact up to here
INFINITE = 0x7F80  # upper half of the bit pattern of infinity; above is NaN
SIGN, ALL = np.uint32(1 << 31), 31


def keys_of(values: Array) -> Array:
    """(N,) uint32 keys of (N,) float32 values; -0.0 is 0.0."""
    bits = np.add(values, np.float32(0)).view(np.uint32)  # -0.0 + 0.0 is 0.0
    turned = (bits.view(np.int32) >> ALL).view(np.uint32)
    turned |= SIGN
    turned ^= bits
    return turned


def values_of(keys: Array) -> Array:
    """(N,) float32 values of (N,) uint32 keys; the inverse of keys_of.

    >>> values_of(keys_of(np.array([-1.5, 0.0, 2.0], np.float32)))
    array([-1.5,  0. ,  2. ], dtype=float32)
    """
    keys = np.asarray(keys, dtype=np.uint32)
    return np.asarray(np.where(keys & SIGN, keys ^ SIGN, ~keys).astype(np.uint32).view(np.float32))


def coarse_counts(values: Array) -> tuple[Array, bool]:
    """How many values lie in each coarse cell.

    Args:
        values: float32 of any shape, contiguous.

    Returns:
        (65536,) float64 in the order of the keys, and whether all values are finite.
    """
    halves = values.reshape(-1).view(np.uint16).reshape(-1, 1, 2)
    counts = np.zeros(N_COARSE)
    for start in range(0, len(halves), COUNTED_AT_ONCE):
        part = halves[start : start + COUNTED_AT_ONCE]
        counts += cv2.calcHist([part], [1], None, [N_COARSE], [0, N_COARSE])[:, 0]
    half = N_COARSE // 2
    finite = not (counts[INFINITE:half].any() or counts[half + INFINITE :].any())
    ordered = np.concatenate([counts[: half - 1 : -1], counts[:half]])
    zeros, below_zero = half, half - 1
    if ordered[below_zero]:  # -0.0 and values next to it
        n_zeros = float(np.count_nonzero((values == 0) & np.signbit(values)))
        ordered[zeros] += n_zeros
        ordered[below_zero] -= n_zeros
    return ordered, finite


class Partition:
    """Cells in the order of the keys, so lowest values first."""

    def __init__(self, n_bits: Array) -> None:
        """n_bits: (65536,) of each coarse cell, 0 to 16: it has 2 ** n_bits cells."""
        self.n_bits = n_bits.astype(np.uint8)
        sizes = np.int64(1) << n_bits.astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.n_cells = int(self.starts[-1])
        self._shift = (LOWER_BITS - n_bits).astype(np.uint32)
        before = np.arange(N_COARSE, dtype=np.int64) << n_bits.astype(np.int64)
        self._offset = (self.starts[:-1] - before).astype(np.int64)

    def cells(self, keys: Array) -> Array:
        """(N,) int64 cells of (N,) keys."""
        upper = (keys >> np.uint32(LOWER_BITS)).astype(np.intp)
        cells = np.right_shift(keys, self._shift.take(upper, mode="wrap")).astype(np.int64)
        cells += self._offset.take(upper, mode="wrap")
        return cells

    def coarse(self, cells: Array) -> Array:
        """(N,) the coarse cells that hold some cells."""
        return np.asarray(np.searchsorted(self.starts, cells, side="right") - 1)

    def coarse_of(self, start: int, stop: int) -> Array:
        """(stop - start,) the coarse cells that hold the cells from start to stop."""
        first, last = self.coarse(np.array([start, stop - 1]))
        ends = np.clip(self.starts[first : last + 2], start, stop)
        return np.repeat(np.arange(first, last + 1), np.diff(ends))

    def lowest(self, cells: Array) -> Array:
        """(N,) float32: the lowest value that some cells could hold."""
        upper = self.coarse(cells)
        within = (cells - self.starts[upper]) << (LOWER_BITS - self.n_bits[upper].astype(np.int64))
        return values_of(((upper << LOWER_BITS) + within).astype(np.uint32))

    def first_of(self, coarse: int) -> int:
        """The lowest cell of a coarse cell."""
        return int(self.starts[coarse])

    def single(self) -> Array:
        """(n_cells,) bool: whether a cell can hold one float32 value only."""
        return np.repeat(self.n_bits == LOWER_BITS, np.diff(self.starts))


class KeyCells:
    """A cell for each of some keys: no loss, for sets with few of them."""

    def __init__(self, keys: Array) -> None:
        """keys: (K,) uint32, rising, each once."""
        self.keys, self.n_cells = keys, len(keys)

    def cells(self, keys: Array) -> Array:
        """(N,) int64 cells of (N,) keys, all of which have one."""
        return np.asarray(np.searchsorted(self.keys, keys))

    def coarse_of(self, start: int, stop: int) -> Array:
        """(stop - start,) the coarse cells of the keys from start to stop."""
        return np.asarray(self.keys[start:stop] >> np.uint32(LOWER_BITS)).astype(np.int64)

    def first_of(self, coarse: int) -> int:
        """The lowest cell of a coarse cell, or of the next ones."""
        return int(np.searchsorted(self.keys, np.uint32(coarse << LOWER_BITS)))

    def single(self) -> Array:
        """(n_cells,) bool, all True."""
        return np.ones(self.n_cells, dtype=np.bool_)


def divided(wanted: Array, n_cells_at_most: int) -> Partition:
    """The partition with as many cells as wanted, or with fewer everywhere in proportion.

    Args:
        wanted: (65536,) cells of each coarse cell.
    """

    def bits(share: float) -> Array:
        return np.rint(np.log2(np.clip(wanted * share, 1, N_COARSE))).astype(np.int64)

    low, high = 0.0, 1.0
    if (1 << bits(high)).sum() <= n_cells_at_most:
        return Partition(bits(high))
    for _ in range(40):
        middle = (low + high) / 2
        fits = (1 << bits(middle)).sum() <= n_cells_at_most
        low, high = (middle, high) if fits else (low, middle)
    return Partition(bits(low))
