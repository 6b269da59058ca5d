"""ACF bonding zone under a microscope: bumps with the dents of captured particles, resin between.

A captured particle shows as a bright and a dark half under oblique light, a free one as a faint ring
(doi:10.1007/978-3-030-03341-5_14).
"""

import numpy as np

from curate.drawing import Array, cover, grain, rectangle, relief, smooth_noise, soften
from curate.scenes.materials import LIGHT_RAD
from curate.scenes.part import Painting, Part

UM_PER_PX = 1.0
UM_PER_PX_RANGE = (0.4, 2.5)

BUMP_PITCH_UM = 52.0
BUMP_WIDTH_UM = 30.0
PARTICLE_RADIUS_UM = 2.0
PARTICLES_PER_MM2 = 5200.0
MARGIN_UM = 60.0
BUMP_RGB = (0.640, 0.675, 0.630)
RESIN_RGB = (0.370, 0.385, 0.365)
PANEL_RGB = (0.255, 0.270, 0.270)


def paint(part: Part) -> Painting:
    """Bumps from top to bottom of the bond line; above them the panel without resin."""
    height_um, width_um = part.field_um
    bond_top = (0.105 + part.design.uniform(-0.01, 0.02)) * height_um + part.rng.normal(0, 1.2)
    phase = part.design.uniform(-0.5, 0.5)
    bumps = _bumps(height_um, width_um, 0.165 * height_um, phase)
    bump = part.etch(bumps, rounding_um=1.6, roughness_um=0.15)
    sheet = rectangle(((bond_top + height_um + MARGIN_UM) / 2, width_um / 2),
                      (height_um + MARGIN_UM - bond_top, width_um + 4 * MARGIN_UM))  # fmt: skip
    bond = part.etch([sheet], rounding_um=4, roughness_um=1.6)

    picture = _ground(part, bond)
    _lay_bumps(picture, part, bump, part.values(bumps, 0.014))
    centres = _scatter(part, bond)
    captured = bump[centres[:, 0].astype(int), centres[:, 1].astype(int)] > 0.85
    dents, dent_mask = _stamp(part, centres[captured], 0.62, ring=-0.05)
    rings, ring_mask = _stamp(part, centres[~captured], 0.12, ring=-0.34)
    picture += (dents + rings)[..., None] * np.asarray((1.0, 1.0, 0.96), dtype=np.float32)
    layers = {"bump": bump, "gap": bond * (1 - bump), "bond": bond}
    return Painting(picture, layers | {"particle": np.maximum(dent_mask, ring_mask)})


def _bumps(height_um: float, width_um: float, top: float, phase: float) -> list[Array]:
    """Long bumps with rounded tips at the top."""
    bottom = height_um + 4 * MARGIN_UM
    reach = int(np.ceil((width_um / 2 + MARGIN_UM) / BUMP_PITCH_UM))
    columns = width_um / 2 + (np.arange(-reach, reach + 1) + phase) * BUMP_PITCH_UM
    extent = (bottom - top, BUMP_WIDTH_UM)
    return [rectangle(((top + bottom) / 2, float(column)), extent, 6.0) for column in columns]


def _ground(part: Part, bond: Array) -> Array:
    """Panel glass and, on the bond line, cured resin with its flow texture. (H, W, 3) float32."""
    hw = part.image_hw
    picture = np.broadcast_to(np.asarray(PANEL_RGB, dtype=np.float32), (*hw, 3)).copy()
    resin = 1 + 0.035 * smooth_noise(part.rng, hw, part.px(24, 3.0))
    resin += 0.022 * smooth_noise(part.rng, hw, part.px(3.5, 1.5))
    cover(picture, resin[..., None] * np.asarray(RESIN_RGB, dtype=np.float32), bond)
    picture += (0.30 * relief(soften(bond, part.px(3.0, 1.2)), LIGHT_RAD))[..., None]
    return picture


def _lay_bumps(picture: Array, part: Part, bump: Array, level: Array) -> None:
    """Bump metal: slightly rough, its flanks shaded, darker toward the sides. In place."""
    hw = part.image_hw
    tone = 1 + level + 0.016 * smooth_noise(part.rng, hw, part.px(40, 4.0))
    tone += 0.026 * smooth_noise(part.rng, hw, part.px(1.8, 1.2)) + 0.008 * grain(part.rng, hw)
    tone -= 0.16 * (1 - soften(bump, part.px(3.5, 1.2))) * bump
    cover(picture, tone[..., None] * np.asarray(BUMP_RGB, dtype=np.float32), bump)
    picture += (0.55 * relief(soften(bump, part.px(1.4, 1.0)), LIGHT_RAD))[..., None]


def _scatter(part: Part, bond: Array) -> Array:
    """Particle centres on the bond line, (N, 2) pixels; new in each part, like the resin's flow."""
    height, width = part.image_hw
    area_mm2 = height * width * (part.um_per_px / 1000) ** 2
    count = int(part.rng.poisson(PARTICLES_PER_MM2 * area_mm2))
    centres = part.rng.uniform((0, 0), (height, width), size=(count, 2))
    return np.asarray(centres[bond[centres[:, 0].astype(int), centres[:, 1].astype(int)] > 0.99])


def _stamp(part: Part, centres: Array, strength: float, ring: float) -> tuple[Array, Array]:
    """Draw particles: a bright and a dark half, and a ring.

    Args:
        part: the part.
        centres: (N, 2) pixels.
        strength: of the bright and dark halves, in reflectance.
        ring: of the particle's own disc; negative is darker than what is around.

    Returns:
        Change of reflectance and coverage, each (H, W) float32.
    """
    height, width = part.image_hw
    radii = part.px(PARTICLE_RADIUS_UM) * part.rng.uniform(0.8, 1.25, size=(len(centres), 1, 1))
    gains = part.rng.uniform(0.6, 1.1, size=(len(centres), 1, 1))
    reach = int(np.ceil(3 * part.px(PARTICLE_RADIUS_UM))) + 1
    corners = np.floor(centres).astype(int)
    offsets = np.arange(-reach, reach + 1)
    rows = corners[:, :1] + offsets
    columns = corners[:, 1:] + offsets
    down = (rows + 0.5 - centres[:, :1])[:, :, None]
    across = (columns + 0.5 - centres[:, 1:])[:, None, :]
    distance = np.hypot(down, across)
    hump = np.exp(-((distance / radii) ** 2))
    slope = -(np.cos(LIGHT_RAD) * across + np.sin(LIGHT_RAD) * down) / radii
    disc = 1 / (1 + np.exp(np.clip((distance - radii) / (0.12 * radii + 0.25), -30, 30)))
    edge = np.exp(-(((distance - radii) / (0.45 * radii)) ** 2))
    change = gains * (strength * slope * hump + ring * edge * 0.5)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    index = (rows[:, :, None] * width + columns[:, None, :])[inside]
    total = np.bincount(index, weights=change[inside], minlength=height * width)
    share = np.bincount(index, weights=disc[inside], minlength=height * width)
    return (
        np.clip(total, -0.45, 0.45).reshape(height, width).astype(np.float32),
        np.clip(share, 0, 1).reshape(height, width).astype(np.float32),
    )
