"""Scars: sharp-edged patches of another normal image that make a normal image anomalous, with their mask.

Thin strokes and small patches, straight or round, turned at will, in another brightness than where they come
from. Confetti is soft and mostly large; these look more like scratches, chips, stains and dirt.

Source: the idea of pasted patches and thin "scars" is that of Li et al., "CutPaste: Self-Supervised Learning
for Anomaly Detection and Localization", CVPR 2021, arXiv:2104.04015, from memory; that the patch comes from
another image, its shapes, sizes and brightness are ours.
"""

from dataclasses import dataclass

import numpy as np

MAX_TRIES = 8


@dataclass(frozen=True)
class Scars:
    """What patches are drawn. Lengths are shares of the image's side, the root of its area.

    Attributes:
        n_more: expected number beyond the first.
        stroke_lengths, stroke_widths: smallest and largest, of the thin half of the patches.
        patch_lengths: of the other half; small ones are as likely as large ones on a logarithmic scale.
        patch_ratios: of a patch's width to its length.
        gains: smallest and largest factor of the patch's brightness.
        offsets: smallest and largest change of it, up or down, in grey levels.
        least_change: pixels that change by fewer grey levels than this stay as they were.
    """

    n_more: float = 0.7
    stroke_lengths: tuple[float, float] = (0.06, 0.3)
    stroke_widths: tuple[float, float] = (0.008, 0.03)
    patch_lengths: tuple[float, float] = (0.015, 0.22)
    patch_ratios: tuple[float, float] = (0.4, 1.0)
    gains: tuple[float, float] = (0.6, 1.5)
    offsets: tuple[float, float] = (15.0, 80.0)
    least_change: int = 10


def add_scars(
    image: np.ndarray, donor: np.ndarray, rng: np.random.Generator, settings: Scars | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of an image with scars on it, and where it changed.

    Args:
        image: (h, w, 3) uint8.
        donor: (h, w, 3) uint8, whose pixels the scars are made of; may be the image itself.
        rng: of numbers, places, shapes and brightness.
        settings: Scars() when None.

    Returns:
        The (h, w, 3) uint8 copy, and the (h, w) bool mask of its changed pixels, at least one.

    Raises:
        ValueError: image and donor differ in shape, or no scar of these settings can be seen.
    """
    if image.shape != donor.shape:
        raise ValueError(f"Expected a donor of the image's shape {image.shape}, found {donor.shape}.")
    settings = settings or Scars()
    for _ in range(MAX_TRIES):
        scarred = image.copy()
        for _ in range(1 + rng.poisson(settings.n_more)):
            _add_one(scarred, donor, rng, settings)
        change = np.abs(scarred.astype(np.int16) - image).max(axis=-1)
        mask: np.ndarray = change >= max(1, settings.least_change)
        if mask.any():
            scarred[~mask] = image[~mask]
            return scarred, mask
    raise ValueError(f"Expected scars that can be seen, found none in {MAX_TRIES} tries with {settings}.")


def _add_one(scarred: np.ndarray, donor: np.ndarray, rng: np.random.Generator, settings: Scars) -> None:
    height, width = scarred.shape[:2]
    inside = _shape((height, width), rng, settings)
    shift_rc = rng.integers((0, 0), (height, width))
    gain, offset = rng.uniform(*settings.gains), rng.uniform(*settings.offsets) * rng.choice([-1, 1])
    rows, columns = np.nonzero(inside)
    taken = donor[(rows + shift_rc[0]) % height, (columns + shift_rc[1]) % width]
    scarred[rows, columns] = np.clip(np.rint(gain * taken + offset), 0, 255).astype(np.uint8)


def _shape(image_hw: tuple[int, int], rng: np.random.Generator, settings: Scars) -> np.ndarray:
    """(h, w) bool: a turned rectangle or ellipse whose centre lies in the image; at least its centre."""
    height, width = image_hw
    if rng.random() < 0.5:
        length, breadth = rng.uniform(*settings.stroke_lengths), rng.uniform(*settings.stroke_widths)
    else:
        length = float(np.exp(rng.uniform(*np.log(settings.patch_lengths))))
        breadth = length * rng.uniform(*settings.patch_ratios)
    side = float(np.sqrt(height * width))
    centre_rc = rng.uniform((0, 0), (height, width))
    angle = rng.uniform(0, np.pi)
    rows = np.arange(height)[:, None] + 0.5 - centre_rc[0]
    columns = np.arange(width)[None, :] + 0.5 - centre_rc[1]
    along = np.abs(np.cos(angle) * rows + np.sin(angle) * columns) * 2 / (length * side)
    across = np.abs(np.cos(angle) * columns - np.sin(angle) * rows) * 2 / (breadth * side)
    is_round = rng.random() < 0.5
    inside: np.ndarray = along**2 + across**2 <= 1 if is_round else np.maximum(along, across) <= 1
    inside[int(centre_rc[0]), int(centre_rc[1])] = True
    return inside
