"""Pinhole or pit: a small hole that swallows light, with a raised rim."""

import numpy as np

from curate.defects.making import LENS_PX, LIGHT_RAD, Layers, Range, check_range, lumpy, make, pick, region_of
from curate.drawing import Array, cover, coverage, relief, soften


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = None,
    diameter_um: Range = (50.0, 160.0),
    darkness: Range = (0.35, 0.80),
) -> tuple[Array, Array]:
    """Prick a hole into a layer.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place, shape and depth.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: layer with the hole; None for anywhere.
        diameter_um: least and greatest.
        darkness: least and greatest share of the light that is lost in the hole.

    Returns:
        The changed image and its mask, (H, W) bool; the shaded rim belongs to the mask.

    Raises:
        ValueError: an argument is out of range, or nothing visible fits.
    """
    check_range("diameter_um", diameter_um)
    check_range("darkness", darkness, 1.0)
    region = region_of(image, layers, within, um_per_px)
    image_hw = (image.shape[0], image.shape[1])

    def draw(picture: Array) -> Array:
        radius = rng.uniform(*diameter_um) / um_per_px / 2
        radii = (radius, radius * rng.uniform(0.75, 1.0))
        outline = lumpy(rng, pick(rng, region), radii, rng.uniform(0, np.pi), 0.25)
        hole = soften(coverage([outline], image_hw), LENS_PX) * region
        changed = picture.copy()
        cover(changed, picture * (1 - rng.uniform(*darkness)), hole)
        # the far wall of the hole faces the lamp
        bowl = soften(np.asarray(hole, dtype=np.float32), max(0.25 * radius, 0.7))
        changed -= (rng.uniform(0.35, 0.65) * relief(bowl, LIGHT_RAD) * region)[..., None]
        return changed

    return make(image, "pinhole", draw)
