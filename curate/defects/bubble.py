"""Bubble: trapped air under a film or in cured resin, a shaded core inside a thin bright rim."""

import numpy as np

from curate.defects.making import LENS_PX, LIGHT_RAD, Layers, Range, check_range, lumpy, make, pick, region_of
from curate.drawing import Array, coverage, relief, soften


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = None,
    diameter_um: Range = (150.0, 600.0),
    contrast: Range = (0.08, 0.25),
) -> tuple[Array, Array]:
    """Trap a bubble in a layer.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place, shape, strength, and whether the core is lighter or darker.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: layer that holds the bubble; None for anywhere.
        diameter_um: least and greatest.
        contrast: least and greatest relative change of the core.

    Returns:
        The changed image and its mask, (H, W) bool.

    Raises:
        ValueError: an argument is out of range, or nothing visible fits.
    """
    check_range("diameter_um", diameter_um)
    check_range("contrast", contrast, 1.0)
    region = region_of(image, layers, within, um_per_px)
    image_hw = (image.shape[0], image.shape[1])

    def draw(picture: Array) -> Array:
        radius = rng.uniform(*diameter_um) / um_per_px / 2
        radii = (radius, radius * rng.uniform(0.65, 1.0))
        outline = lumpy(rng, pick(rng, region), radii, rng.uniform(0, np.pi), 0.12)
        body = soften(coverage([outline], image_hw), LENS_PX + 0.05 * radius) * region
        dome = relief(soften(np.asarray(body, dtype=np.float32), max(0.22 * radius, 0.8)), LIGHT_RAD) * region
        rim = 4 * body * (1 - body)
        strength = rng.uniform(*contrast)
        sign = 1.0 if rng.uniform() < 0.5 else -1.0
        core = picture * (1 + sign * strength * body)[..., None]
        shading = strength * (0.35 * rim + 0.45 * max(radius, 2.0) * dome)
        return np.asarray(core + shading[..., None])

    return make(image, "bubble", draw)
