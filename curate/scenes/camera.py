"""From what a part reflects to the grey levels that a camera stores."""

import numpy as np

from curate.drawing import Array, soften
from curate.scenes.part import Part

BLUR_PX = 0.55
FULL_WELL_ELECTRONS = 9000.0
READ_NOISE = 0.0028  # of full scale
EXPOSURE_SPREAD = 0.012
COLOUR_SPREAD = 0.006


def illumination(part: Part) -> Array:
    """Brightness of the lamp over the view, (H, W) float32 about 1.

    Vignette and gradient belong to the station and stay; the lamp drifts a little from part to part.
    """
    height, width = part.image_hw
    rows = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    columns = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width - 0.5
    centre_r, centre_c = part.design.uniform(-0.12, 0.12, size=2)
    slope_r, slope_c = part.design.uniform(-0.10, 0.10, size=2) + part.rng.normal(0, 0.006, size=2)
    falloff = 1 - 0.34 * ((rows - centre_r) ** 2 + (columns - centre_c) ** 2)
    return np.asarray(falloff + slope_r * rows + slope_c * columns, dtype=np.float32)


def expose(reflectance: Array, part: Part) -> Array:
    """Photograph a painting: light, drift, lens blur, shot and read noise.

    Args:
        reflectance: (H, W, 3) float32, about [0, 1].
        part: gives the draws.

    Returns:
        (H, W, 3) uint8.
    """
    gain = 1 + part.rng.normal(0, EXPOSURE_SPREAD)
    balance = gain * (1 + part.rng.normal(0, COLOUR_SPREAD, size=3))
    lit = reflectance * illumination(part)[..., None]
    lit *= balance.astype(np.float32)
    seen = np.clip(soften(lit, BLUR_PX * float(part.rng.uniform(0.9, 1.1))), 0, 1)
    noise = part.rng.standard_normal(seen.shape, dtype=np.float32)
    noise *= np.sqrt(seen * np.float32(1 / FULL_WELL_ELECTRONS) + np.float32(READ_NOISE**2))
    noise += seen
    noise *= 255
    return np.clip(np.rint(noise, out=noise), 0, 255).astype(np.uint8)
