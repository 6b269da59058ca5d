"""Curves of a report: few points, the same area, and a band of uncertainty."""

import heapq
from dataclasses import dataclass

import numpy as np

from curate.images import Array

MAX_POINTS = 256
AREA_TOLERANCE = 1e-4  # share of the bounding box


@dataclass(frozen=True)
class Curve:
    """A line through points; x never falls, and points with one x are a vertical piece.

    Attributes:
        x, y: (P,) float64.
        low, high: (P,) float64, ends of the interval of y at x, each x for itself; None without a band.
    """

    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless the arrays fit together and x never falls."""
        if (self.low is None) != (self.high is None):
            raise ValueError("Expected both ends of a band or none; found one.")
        given = [part for part in (self.x, self.y, self.low, self.high) if part is not None]
        if any(part.ndim != 1 or part.shape != self.x.shape for part in given):
            raise ValueError(f"Expected (P,) arrays of one length; found {[part.shape for part in given]}.")
        if np.any(np.diff(self.x) < 0):
            raise ValueError(f"Expected x that never falls; it does at position {_first_fall(self.x)}.")

    @property
    def area(self) -> float:
        """Area between the line and y = 0."""
        return float(np.trapezoid(self.y, self.x))


def thin(x: Array, y: Array, n_points: int = MAX_POINTS, tolerance: float = AREA_TOLERANCE) -> Array:
    """Positions of the points to keep, so that a line through them stays near the line through all.

    The piece with the largest area between itself and its chord is split at its farthest point, again and
    again. A piece that the chord crosses cannot hide: areas on both sides add up.

    Args:
        x: (N,) finite, never falling.
        y: (N,) finite.
        n_points: keep at most this many.
        tolerance: stop sooner, when the areas between line and chords sum to this share of the bounding box.
            A ROC, PR or PRO curve with noise in every one of its points needs more than 256 points for 1e-4,
            and is within 1e-3 then.

    Returns:
        (P,) int64, rising, with the first and the last position; empty if N is 0.

    Raises:
        ValueError: fewer than two points are allowed, a value is not finite, or x falls.

    >>> thin(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 2.0])).tolist()
    [0, 2, 3]
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if n_points < 2 or not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise ValueError(f"Expected finite points, of which 2 or more are kept; found n_points {n_points}.")
    if np.any(np.diff(xs) < 0):
        raise ValueError(f"Expected x that never falls; it does at position {_first_fall(xs)}.")
    if len(xs) < 3:
        return np.arange(len(xs))
    xs, ys = _unit(xs), _unit(ys)
    pieces = [_piece(xs, ys, 0, len(xs) - 1)]
    left, kept = -pieces[0][0], [0, len(xs) - 1]
    while len(kept) < n_points and left > tolerance and pieces[0][0] < 0:
        worst = heapq.heappop(pieces)
        _, start, end, middle = worst
        kept.append(middle)
        for part in (_piece(xs, ys, start, middle), _piece(xs, ys, middle, end)):
            left -= part[0]
            heapq.heappush(pieces, part)
        left += worst[0]
    return np.sort(np.array(kept, dtype=np.int64))


def thinned(curve: Curve, n_points: int = MAX_POINTS, tolerance: float = AREA_TOLERANCE) -> Curve:
    """The curve with few points; see thin. The area changes by 1e-4 of the box, at most 1e-3."""
    kept = thin(curve.x, curve.y, n_points, tolerance)
    low, high = (None if band is None else band[kept] for band in (curve.low, curve.high))
    return Curve(curve.x[kept], curve.y[kept], low, high)


def _piece(x: Array, y: Array, start: int, end: int) -> tuple[float, int, int, int]:
    """Minus the area between a piece and its chord, its ends, and its farthest point."""
    px, py = x[start : end + 1] - x[start], y[start : end + 1] - y[start]
    length = float(np.hypot(px[-1], py[-1]))
    if len(px) < 3 or length == 0:
        return 0.0, start, end, start
    away = np.abs(px * py[-1] - py * px[-1]) / length
    along = (px * px[-1] + py * py[-1]) / length
    area = float(np.sum((away[1:] + away[:-1]) / 2 * np.abs(np.diff(along))))
    return -area, start, end, start + int(np.argmax(away))


def _unit(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low)) if high > low else np.zeros_like(values)


def _first_fall(x: Array) -> int:
    return int(np.argmax(np.diff(x) < 0)) + 1
