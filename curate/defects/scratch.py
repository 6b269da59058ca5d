"""Scratch: a slightly curved line, tapered at the ends and broken where the tool lost contact."""

import numpy as np

from curate.defects.making import (
    LENS_PX,
    LIGHT_RAD,
    THINNEST_PX,
    Layers,
    Range,
    check_range,
    make,
    pick,
    region_of,
)
from curate.drawing import Array, coverage, relief, smooth_noise, soften, stroke


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = None,
    length_um: Range = (300.0, 1600.0),
    width_um: Range = (14.0, 45.0),
    contrast: Range = (0.10, 0.30),
) -> tuple[Array, Array]:
    """Scratch a layer; the line ends where the layer ends.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place, direction and strength.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: layer to scratch; None for anywhere.
        length_um: shortest and longest.
        width_um: thinnest and widest, at the middle of the line.
        contrast: least and greatest change of brightness, in shares of full scale.

    Returns:
        The changed image and its mask, (H, W) bool.

    Raises:
        ValueError: an argument is out of range, or nothing visible fits.
    """
    check_range("length_um", length_um)
    check_range("width_um", width_um)
    check_range("contrast", contrast, 1.0)
    region = region_of(image, layers, within, um_per_px)
    image_hw = (image.shape[0], image.shape[1])

    def draw(picture: Array) -> Array:
        centre, length = pick(rng, region), rng.uniform(*length_um) / um_per_px
        width = rng.uniform(*width_um) / um_per_px
        outline = _line(rng, centre, length, max(width, THINNEST_PX))
        alpha = soften(coverage([outline], image_hw), LENS_PX) * np.float32(min(width / THINNEST_PX, 1.0))
        contact = np.clip(0.85 + 0.45 * smooth_noise(rng, image_hw, 7.0), 0.15, 1)
        depth = alpha * contact * region
        sign = 1.0 if rng.uniform() < 0.6 else -1.0
        flank = 0.9 * relief(depth, LIGHT_RAD) * region
        return np.asarray(picture + (rng.uniform(*contrast) * (sign * depth + flank))[..., None])

    return make(image, "scratch", draw)


def _line(rng: np.random.Generator, centre_rc: tuple[float, float], length: float, width: float) -> Array:
    """Outline of a bowed line in pixels, widest in the middle."""
    along = np.linspace(-0.5, 0.5, 24)
    bow = rng.normal(0, 0.05) * length * (along**2 * 4 - 1)
    waver = np.cumsum(rng.normal(0, 0.0025 * length, size=24))
    across = bow + waver - waver.mean()
    angle = rng.uniform(0, np.pi)
    direction = np.array([np.sin(angle), np.cos(angle)])
    normal = np.array([direction[1], -direction[0]])
    points = length * along[:, None] * direction + across[:, None] * normal + np.asarray(centre_rc)
    return stroke(points, width * np.clip(1.15 - 3.2 * along**2, 0.25, 1))
