"""What film, copper, gold, adhesive and steel look like under a camera's ring light."""

import numpy as np

from curate.drawing import Array, cover, grain, relief, smooth_noise, soften, streaks
from curate.scenes.part import Part

LIGHT_RAD = 0.9  # the same lamp for each section: from above left

POLYIMIDE = (0.765, 0.485, 0.170)
COPPER = (0.535, 0.300, 0.150)
THROUGH_COVERLAY = (0.890, 0.775, 0.600)
ADHESIVE = (0.560, 0.330, 0.110)
BACKING = (0.085, 0.085, 0.090)
GOLD_TONES = (0.0, 0.35, 0.62, 0.85, 1.0)
GOLD_RGB = ((0.36, 0.24, 0.09), (0.69, 0.52, 0.25), (0.86, 0.71, 0.40), (0.97, 0.87, 0.60), (1.0, 0.97, 0.82))


def polyimide(part: Part) -> Array:
    """Base film: amber, faint rolling marks, fine texture. (H, W, 3) float32."""
    tone = 1 + 0.018 * smooth_noise(part.rng, part.image_hw, 60.0)
    tone += 0.010 * smooth_noise(part.rng, part.image_hw, 2.5)
    tone += 0.006 * streaks(part.rng, part.image_hw, 40)
    return np.asarray(tone[..., None] * np.asarray(POLYIMIDE, dtype=np.float32))


def lay_copper(picture: Array, part: Part, copper: Array) -> None:
    """Bare or covered copper: etched grain, one bright and one dark flank. In place."""
    tone = 1 + 0.028 * smooth_noise(part.rng, part.image_hw, 2.0)
    tone += 0.030 * smooth_noise(part.rng, part.image_hw, 30.0)
    cover(picture, tone[..., None] * np.asarray(COPPER, dtype=np.float32), copper)
    picture += (0.30 * relief(soften(copper, 1.0), LIGHT_RAD))[..., None]


def lay_gold(picture: Array, part: Part, gold: Array, tilt: Array) -> None:
    """Plated gold: broad mirror-like gradients, a bevelled edge, fine nodules. In place.

    Args:
        picture: (H, W, 3) float32, changed.
        part: the part.
        gold: (H, W) coverage.
        tilt: (H, W) brightness offset of each pad; pads never lie quite level.
    """
    bevel = relief(soften(gold, max(part.px(12), 1.2)), LIGHT_RAD)
    tone = 0.70 + tilt + 0.075 * smooth_noise(part.rng, part.image_hw, max(part.px(350), 8.0))
    tone += 0.014 * smooth_noise(part.rng, part.image_hw, 2.2) + 0.010 * grain(part.rng, part.image_hw)
    tone += 1.35 * bevel
    metal = np.stack([np.interp(tone, GOLD_TONES, stops) for stops in zip(*GOLD_RGB, strict=True)], axis=-1)
    cover(picture, metal.astype(np.float32), gold)


def lay_coverlay(picture: Array, part: Part, film: Array, beneath: Array) -> None:
    """Coverlay with its adhesive: tints what is below and follows its steps softly. In place.

    Args:
        picture: (H, W, 3) float32, changed.
        part: the part.
        film: (H, W) coverage of the coverlay.
        beneath: (H, W) copper below it, whose steps show as soft ridges.
    """
    haze = 0.05 + 0.008 * smooth_noise(part.rng, part.image_hw, 45.0)
    tint = np.asarray(THROUGH_COVERLAY, dtype=np.float32)
    seen = picture * tint * (1 - haze[..., None]) + haze[..., None] * np.float32(0.62)
    seen *= (1 + 0.007 * smooth_noise(part.rng, part.image_hw, 3.0))[..., None]
    ridge = relief(soften(beneath, max(part.px(18), 1.3)), LIGHT_RAD)
    seen += (0.42 * ridge)[..., None]
    cover(picture, seen, film)
    # the cut edge of the film: a step of some 40 um that catches the light
    picture += (0.26 * relief(soften(film, max(part.px(9), 0.8)), LIGHT_RAD))[..., None]


def lay_adhesive(picture: Array, part: Part, band: Array, strength: float = 0.5) -> None:
    """Adhesive squeezed out along an edge: brown, glossy, of uneven thickness. In place."""
    thickness = strength * (1 + 0.30 * smooth_noise(part.rng, part.image_hw, max(part.px(90), 3.0)))
    cover(picture, ADHESIVE, band * np.clip(thickness, 0, 0.9))
    gloss = np.clip(relief(soften(band, max(part.px(8), 0.9)), LIGHT_RAD), 0, None)
    picture += (0.55 * gloss)[..., None] * np.asarray((1.0, 0.93, 0.78), dtype=np.float32)


def steel(part: Part) -> Array:
    """Brushed stainless steel: lines of several lengths along the rows, a broad sheen across them."""
    hw = part.image_hw
    tone = 0.595 + 0.026 * streaks(part.rng, hw, 18) + 0.022 * streaks(part.rng, hw, 70)
    tone += 0.020 * streaks(part.rng, hw, 260) + 0.010 * grain(part.rng, hw)
    rows = (np.arange(hw[0], dtype=np.float32) / hw[0])[:, None]
    tone += 0.075 * np.exp(-(((rows - 0.42) / 0.30) ** 2)) + 0.012 * smooth_noise(part.rng, hw, 90.0)
    return np.asarray(tone[..., None] * np.asarray((0.985, 1.0, 1.01), dtype=np.float32))
