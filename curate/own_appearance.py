"""What each picture of a category has of its own, in a form in which pictures can be compared quickly.

Pictures that show one design are laid over it and compared without it; the others are compared as they are,
over all shifts. In both, all frequencies are made equally strong first (whitened by the mean spectrum of the
pool): frequent structures such as edges and grinding marks would otherwise decide everything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import pandas as pd
from scipy import fft

from curate.designs import SAME_DESIGN, Placed, best_shift, fade, find_designs, local_contrast, place, rest
from curate.images import Array
from curate.statistics import THUMB_PX

LEAST_SIDE_PX = 20
N_DIMENSIONS = 512
HALF_BAND = THUMB_PX // 4
CUTOFF = 0.3  # frequencies weaker than this share of the median are noise and stay weak
N_KEPT = 2048
BIG = 0.75
Own = tuple[Array, tuple[float, float]]  # (h, w) float32 of norm 1, and its shift in picture pixels


@dataclass
class Pool:
    """Pictures that can be compared with each other.

    Attributes:
        is_free: without a design; compared over all shifts.
        candidates: rows of the table that may belong to it.
        look: a row's rest and its shift in picture pixels; None for a row that does not belong.
        scale: picture pixels per thumb pixel.
        lone: rows that are compared with others only: pairs of them are found in another pool.
    """

    is_free: bool
    candidates: Sequence[int]
    look: Callable[[int], Own | None]
    scale: float
    sample: Sequence[int]
    lone: frozenset[int] = frozenset()
    _filter: Array = field(init=False)

    def __post_init__(self) -> None:
        spectra = [np.abs(_spectrum(own[0])) ** 2 for i in self.sample if (own := self.look(i)) is not None]
        strength = np.sqrt(np.mean(spectra, axis=0)) if spectra else np.ones(1, dtype=np.float32)
        self._filter = 1 / (strength + CUTOFF * np.median(strength) + 1e-12)
        self.own = lru_cache(N_KEPT)(self._own)

    def _own(self, row: int) -> Own | None:
        looked = self.look(row)
        if looked is None:
            return None
        values, shift_xy = looked
        height, width = values.shape
        even = fft.irfft2(_spectrum(values) * self._filter, (THUMB_PX, THUMB_PX))[:height, :width]
        norm = float(np.linalg.norm(even))
        return ((even / norm).astype(np.float32), shift_xy) if norm > 0 else None

    def describe(self) -> tuple[list[int], Array]:
        """The rows that belong to the pool, and a short vector of norm 1 for each, (N, 512) float32."""
        members, vectors = [], []
        project: Array | None = None
        for row in self.candidates:
            if (own := self.own(row)) is None:
                continue
            flat = _magnitudes(own[0]) if self.is_free else own[0].ravel()
            if project is None:
                rng = np.random.default_rng(0)
                project = rng.standard_normal((flat.size, N_DIMENSIONS), dtype=np.float32)
            members.append(row)
            vectors.append(flat @ project)
        matrix = np.stack(vectors) if vectors else np.zeros((0, N_DIMENSIONS), dtype=np.float32)
        matrix -= matrix.mean(axis=0) if len(matrix) else 0
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
        return members, matrix

    def counts(self, one: int, other: int) -> bool:
        """Whether this pool has to judge a pair."""
        return not (one in self.lone and other in self.lone)

    def compare(self, one: int, other: int) -> tuple[float, float, float]:
        """Similarity of two rows, at most 1, and how far the second is shifted, (x, y) in picture pixels."""
        a, b = self.own(one), self.own(other)
        if a is None or b is None:
            return 0.0, 0.0, 0.0
        if not self.is_free:
            return float((a[0] * b[0]).sum()), b[1][0] - a[1][0], b[1][1] - a[1][1]
        similarity, right, down = best_shift(a[0], b[0])
        return min(similarity, 1.0), right * self.scale, down * self.scale


def pools(table: pd.DataFrame, rng: np.random.Generator, n_sample: int) -> Iterator[Pool]:
    """Sort the pictures of a category into pools: one for each design, and of the rest one for each scale.

    Args:
        table: thumb, thumb_h, thumb_w, thumb_scale; index 0 to N - 1.
        rng: draws the sample that designs and spectra are learned from.
        n_sample: its size.
    """
    from detectors.prefetch import prefetch  # needs no torch

    columns = table[["thumb", "thumb_h", "thumb_w", "thumb_scale"]]
    rows = list(columns.itertuples(index=False, name=None))
    scales = table["thumb_scale"].to_numpy(dtype=float)

    def contrast(row: int, scale: float | None = None) -> Array:
        thumb, height, width, own_scale = rows[row]
        values: Array = np.frombuffer(thumb, dtype=np.uint8).reshape(height, width)
        if scale is not None and scale != own_scale:
            hw = tuple(max(1, round(side * own_scale / scale)) for side in (width, height))
            values = cv2.resize(values, hw, interpolation=cv2.INTER_AREA)
        return local_contrast(values)

    sample = rng.permutation(len(rows))[:n_sample].tolist()
    templates = find_designs([contrast(row) for row in sample])
    placed = list(prefetch(lambda row: _best(templates, contrast(row)), range(len(rows))))
    chosen = np.array([number for number, _ in placed])
    for number, template in enumerate(templates):
        members = np.flatnonzero(chosen == number).tolist()
        known = [row for row in sample if chosen[row] == number]
        yield _placed_pool(template, members, placed, contrast, scales, known)
    free = np.flatnonzero(chosen == -1)
    for scale in np.unique(scales[free]):
        yield _free_pool(free, scale, table, contrast, n_sample)


def _best(templates: Sequence[Array], contrast: Array) -> tuple[int, Placed | None]:
    """Number of the design that a thumb shows, -1 for none, and how it lies over it."""
    placed = [place(template, contrast) for template in templates]
    likeness = [one.likeness if one is not None else -1.0 for one in placed]
    number = max(range(len(likeness)), key=likeness.__getitem__, default=-1)
    return (number, placed[number]) if number >= 0 and likeness[number] >= SAME_DESIGN else (-1, None)


def _placed_pool(
    template: Array,
    members: list[int],
    placed: Sequence[tuple[int, Placed | None]],
    contrast: Callable[..., Array],
    scales: Array,
    sample: list[int],
) -> Pool:
    weights = fade((template.shape[0], template.shape[1]))

    def look(row: int) -> Own | None:
        found = placed[row][1]
        if found is None:
            return None
        left, (right, down) = rest(template, contrast(row), found)
        return left * weights, (right * scales[row], down * scales[row])

    return Pool(False, members, look, 1.0, sample or members[:1])


def _free_pool(
    free: Array, scale: float, table: pd.DataFrame, contrast: Callable[..., Array], n_sample: int
) -> Pool:
    """Pictures at one scale, with those at the next finer one that may be cut a little smaller."""
    scales = table["thumb_scale"].to_numpy(dtype=float)[free]
    longest = table[["thumb_h", "thumb_w"]].max(axis=1).to_numpy()[free]
    own = free[scales == scale]
    finer = free[np.isclose(scales, scale / np.sqrt(2)) & (longest >= BIG * THUMB_PX)]

    def look(row: int) -> Own | None:
        values = contrast(row, scale)
        values = (values - values.mean()) * fade((values.shape[0], values.shape[1]))
        norm = float(np.linalg.norm(values))
        return (values / norm, (0.0, 0.0)) if norm > 0 and min(values.shape) >= LEAST_SIDE_PX else None

    candidates = sorted([*own.tolist(), *finer.tolist()])
    sample = own.tolist()[:: max(1, len(own) // n_sample)]
    return Pool(True, candidates, look, scale, sample, frozenset(finer.tolist()))


def _spectrum(values: Array) -> Array:
    return np.asarray(fft.rfft2(values, (THUMB_PX, THUMB_PX)))


def _magnitudes(values: Array) -> Array:
    """The lower half of the spectrum without its phases, which a shift alters."""
    strength = np.abs(_spectrum(values))
    low = np.concatenate([strength[:HALF_BAND, :HALF_BAND], strength[-HALF_BAND:, :HALF_BAND]])
    return np.asarray(low.ravel(), dtype=np.float32)
