"""Confetti: soft coloured and dark squares that make a normal image anomalous, with the exact mask of it.

Source: Liznerski et al., "Explainable Deep One-Class Classification", ICLR 2021, arXiv:2007.01760, and the
settings of its public code: at 224 x 224 on average 0.9 coloured and 0.6 dark squares, sides 8 to 54 px,
rotated by up to 45 degrees, blurred with sigma 5.

Deviations: lengths are shares of the image's side, and numbers of squares do not depend on its size; every
image gets at least one square, since one without would be a normal image labelled anomalous; whether a square
is "barely visible", and how strong it is, are our choices.
"""

import functools
from dataclasses import dataclass

import numpy as np

from detectors.maps import blur_matrix

MAX_TRIES = 8


@dataclass(frozen=True)
class Confetti:
    """What squares are drawn.

    Attributes:
        n_coloured, n_dark: expected numbers for each image.
        side_fractions: smallest and largest side, as shares of the image's side (the root of its area).
        max_degrees: of the rotation, either way.
        blur_fraction: standard deviation of the blur, as a share of the image's side.
        coloured, dark: strongest and weakest change of coloured squares, for each channel, and of dark ones,
            as shares of full white. Both darken.
        visible: a square that changes its pixels by less than this on average (share of full white), since
            they are dark already, brightens instead.
        least_change: pixels that change by fewer grey levels than this stay as they were.
    """

    n_coloured: float = 0.9
    n_dark: float = 0.6
    side_fractions: tuple[float, float] = (8 / 224, 54 / 224)
    max_degrees: float = 45.0
    blur_fraction: float = 5 / 224
    coloured: tuple[float, float] = (-1.0, 0.0)
    dark: tuple[float, float] = (-1.0, -0.3)
    visible: float = 0.08
    least_change: int = 1


def add_confetti(
    image: np.ndarray, rng: np.random.Generator, settings: Confetti | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of an image with confetti on it, and where it changed.

    Args:
        image: (h, w, 3) uint8.
        rng: of numbers, places, sizes and colours.
        settings: Confetti() when None.

    Returns:
        The (h, w, 3) uint8 copy, and the (h, w) bool mask of its changed pixels, at least one.

    Raises:
        ValueError: no square of these settings can be seen.
    """
    settings = settings or Confetti()
    for _ in range(MAX_TRIES):
        changed = _blurred(_layer(image, rng, settings), settings)
        noisy = np.clip(np.rint(image + changed), 0, 255).astype(np.uint8)
        change = np.abs(noisy.astype(np.int16) - image).max(axis=-1)
        mask: np.ndarray = change >= max(1, settings.least_change)
        if mask.any():
            noisy[~mask] = image[~mask]
            return noisy, mask
    raise ValueError(f"Expected confetti that can be seen, found none in {MAX_TRIES} tries with {settings}.")


def _layer(image: np.ndarray, rng: np.random.Generator, settings: Confetti) -> np.ndarray:
    """(h, w, 3) float32: what is added before the blur, in grey levels."""
    layer = np.zeros(image.shape, np.float32)
    n_coloured, n_dark = rng.poisson(settings.n_coloured), rng.poisson(settings.n_dark)
    if n_coloured + n_dark == 0:
        is_coloured = rng.random() * (settings.n_coloured + settings.n_dark) < settings.n_coloured
        n_coloured, n_dark = (1, 0) if is_coloured else (0, 1)
    for index in range(n_coloured + n_dark):
        if index < n_coloured:
            change = 255 * rng.uniform(*settings.coloured, size=3)
        else:
            change = np.full(3, 255 * rng.uniform(*settings.dark))
        inside = _square((image.shape[0], image.shape[1]), rng, settings)
        seen = np.clip(image[inside] + change, 0, 255) - image[inside]
        if np.abs(seen).mean() < 255 * settings.visible:
            change = -change
        layer[inside] = change
    return layer


def _square(image_hw: tuple[int, int], rng: np.random.Generator, settings: Confetti) -> np.ndarray:
    """(h, w) bool: a turned square whose centre lies in the image; at least the pixel of its centre."""
    height, width = image_hw
    half = rng.uniform(*settings.side_fractions) * np.sqrt(height * width) / 2
    centre_rc = rng.uniform((0, 0), (height, width))
    angle = np.deg2rad(rng.uniform(-settings.max_degrees, settings.max_degrees))
    rows = np.arange(height)[:, None] + 0.5 - centre_rc[0]
    columns = np.arange(width)[None, :] + 0.5 - centre_rc[1]
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = np.cos(angle) * columns - np.sin(angle) * rows
    inside: np.ndarray = (np.abs(along) <= half) & (np.abs(across) <= half)
    inside[int(centre_rc[0]), int(centre_rc[1])] = True
    return inside


def _blurred(layer: np.ndarray, settings: Confetti) -> np.ndarray:
    height, width = layer.shape[:2]
    sigma = settings.blur_fraction * float(np.sqrt(height * width))
    used = (layer != 0).any(axis=-1)
    if not used.any():
        return layer
    # only what is not zero, for speed
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    by_rows = _blur_matrix(height, sigma)[:, top:bottom]
    by_columns = _blur_matrix(width, sigma)[:, left:right]
    planes = np.ascontiguousarray(layer[top:bottom, left:right].transpose(2, 0, 1))
    blurred: np.ndarray = (by_rows @ (planes @ by_columns.T)).transpose(1, 2, 0)
    return blurred


@functools.lru_cache(maxsize=8)
def _blur_matrix(n: int, sigma: float) -> np.ndarray:
    return blur_matrix(n, sigma).astype(np.float32)
