"""Foreign particle: a fibre or a crumb on the surface, with the shadow that it throws."""

import numpy as np

from curate.defects.making import (
    LENS_PX,
    THINNEST_PX,
    Layers,
    Range,
    brightness_at,
    check_range,
    lumpy,
    make,
    pick,
    region_of,
)
from curate.drawing import Array, cover, coverage, grain, smooth_noise, soften, stroke

KINDS = ("fibre", "crumb")
COLOURS = ((0.10, 0.09, 0.085), (0.86, 0.85, 0.81), (0.24, 0.33, 0.55), (0.34, 0.20, 0.15))
LEAST_CONTRAST = 0.14
SHADOW = 0.22


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = None,
    kind: str | None = None,
    fibre_length_um: Range = (300.0, 1200.0),
    fibre_width_um: Range = (12.0, 28.0),
    crumb_um: Range = (50.0, 260.0),
) -> tuple[Array, Array]:
    """Lay a particle on the part; its middle is in the layer, its ends may reach beyond.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: kind, place, shape and colour.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: layer of the particle's middle; None for anywhere.
        kind: "fibre" or "crumb"; None draws one.
        fibre_length_um: shortest and longest.
        fibre_width_um: thinnest and thickest.
        crumb_um: least and greatest diameter.

    Returns:
        The changed image and its mask, (H, W) bool; the shadow belongs to the mask.

    Raises:
        ValueError: an argument is out of range, or nothing visible fits.
    """
    for name, limits in (("fibre_length_um", fibre_length_um), ("fibre_width_um", fibre_width_um)):
        check_range(name, limits)
    check_range("crumb_um", crumb_um)
    if kind is not None and kind not in KINDS:
        raise ValueError(f'kind must be one of {", ".join(KINDS)}, or None; not "{kind}".')
    region = region_of(image, layers, within, um_per_px)
    image_hw = (image.shape[0], image.shape[1])

    def draw(picture: Array) -> Array:
        centre = pick(rng, region)
        if (kind or KINDS[int(rng.integers(len(KINDS)))]) == "fibre":
            width = rng.uniform(*fibre_width_um) / um_per_px
            outline = _fibre(rng, centre, rng.uniform(*fibre_length_um) / um_per_px, max(width, THINNEST_PX))
            lift, clouds_px = 0.8 * width, 8.0
            solid = min(width / THINNEST_PX, 1.0)
        else:
            radius = rng.uniform(*crumb_um) / um_per_px / 2
            outline = lumpy(rng, centre, (radius, radius * rng.uniform(0.55, 1)), rng.uniform(0, np.pi), 0.45)
            solid = 1.0
            lift, clouds_px = 0.5 * radius, max(0.6 * radius, 1.5)
        alpha = soften(coverage([outline], image_hw), LENS_PX) * np.float32(solid)
        offset = np.clip(lift, 0.8, 4.0)
        shadow = soften(coverage([outline + offset], image_hw), 0.6 * float(offset) + LENS_PX)
        changed = picture * (1 - SHADOW * solid * shadow[..., None])
        cover(changed, _body(rng, picture, alpha, clouds_px), 0.95 * alpha)
        return changed

    return make(image, "foreign_particle", draw)


def _fibre(rng: np.random.Generator, centre_rc: tuple[float, float], length: float, width: float) -> Array:
    """Outline of a curling thread: its direction wanders along its length."""
    n_steps = 40
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.16, size=n_steps) + rng.normal(0, 0.04))
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=1) * (length / n_steps)
    points = np.cumsum(steps, axis=0)
    return stroke(points - points.mean(axis=0) + np.asarray(centre_rc), width)


def _body(rng: np.random.Generator, picture: Array, alpha: Array, clouds_px: float) -> Array:
    """Colour of the particle, (H, W, 3): one that differs from what it lies on, unevenly lit."""
    below = brightness_at(picture, alpha)
    seen = [colour for colour in COLOURS if abs(float(np.mean(colour)) - below) >= LEAST_CONTRAST]
    colour = np.asarray(seen[int(rng.integers(len(seen)))], dtype=np.float32)
    image_hw = (picture.shape[0], picture.shape[1])
    shade = 1 + 0.13 * smooth_noise(rng, image_hw, clouds_px) + 0.02 * grain(rng, image_hw)
    return np.asarray(shade[..., None] * colour)
