"""Stain: a soft discolouration, as oil, flux or a dried drop leaves it."""

import numpy as np

from curate.defects.making import Layers, Range, brightness_at, check_range, lumpy, make, pick, region_of
from curate.drawing import Array, coverage, smooth_noise, soften

TINTS = ((0.55, 0.85, 1.15), (1.0, 1.0, 1.0), (1.15, 0.95, 0.70))  # brown, grey, blue: what is taken away
DARK = 0.22  # below this brightness a deposit shows lighter, not darker


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = None,
    diameter_um: Range = (300.0, 900.0),
    contrast: Range = (0.09, 0.22),
) -> tuple[Array, Array]:
    """Discolour a spot of a layer.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place, shape, tint and strength.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: layer to stain; None for anywhere.
        diameter_um: least and greatest.
        contrast: least and greatest share of the light that the stain takes.

    Returns:
        The changed image and its mask, (H, W) bool. The mask ends where the rim fades below four levels.

    Raises:
        ValueError: an argument is out of range, or nothing visible fits.
    """
    check_range("diameter_um", diameter_um)
    check_range("contrast", contrast, 1.0)
    region = region_of(image, layers, within, um_per_px)
    image_hw = (image.shape[0], image.shape[1])

    def draw(picture: Array) -> Array:
        radius = rng.uniform(*diameter_um) / um_per_px / 2
        radii = (radius, radius * rng.uniform(0.6, 1.0))
        outline = lumpy(rng, pick(rng, region), radii, rng.uniform(0, np.pi), 0.40)
        body = soften(coverage([outline], image_hw), max(0.16 * radius, 0.8))
        rim = 4 * body * (1 - body)
        cloud = 1 + 0.18 * smooth_noise(rng, image_hw, max(0.5 * radius, 2.0))
        strength = rng.uniform(*contrast) * cloud * (0.85 * body + 0.30 * rim) * region
        tint = np.asarray(TINTS[int(rng.integers(len(TINTS)))], dtype=np.float32)
        if brightness_at(picture, body * region) < DARK:
            return np.asarray(picture + 0.45 * strength[..., None] * tint)
        return np.asarray(picture * (1 - strength[..., None] * tint))

    return make(image, "stain", draw)
