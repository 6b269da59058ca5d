"""Renders a photograph of one part of a section, with the layers that it shows."""

import zlib
from dataclasses import dataclass

import numpy as np

from curate.drawing import Array, ImageHW
from curate.registry import lookup
from curate.scenes import SCENES
from curate.scenes.camera import expose
from curate.scenes.part import MAX_SHIFT_PX, MAX_TURN_RAD, Part

SIDE_RANGE_PX = (32, 4096)


@dataclass(frozen=True)
class Scene:
    """A normal photograph and what is where on it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        layers: name to (H, W) bool; layers may overlap, as copper under coverlay does.
        um_per_px: scale.
        section: name in SCENES.
    """

    image: Array
    layers: dict[str, Array]
    um_per_px: float
    section: str


def render(
    section: str,
    rng: np.random.Generator,
    image_hw: ImageHW = (256, 320),
    um_per_px: float | None = None,
    design_seed: int = 0,
) -> Scene:
    """Photograph a normal part.

    Args:
        section: name in SCENES.
        rng: the part's own differences: place, edges, textures, light, noise.
        image_hw: height and width, each 32 to 4096.
        um_per_px: scale; None takes the section's usual one.
        design_seed: the product; parts of one product share layout and lighting.

    Returns:
        The scene; equal arguments and generator state give equal bytes.

    Raises:
        ValueError: unknown section, or a size, scale or seed out of range.

    >>> scene = render("sus", np.random.default_rng(7), image_hw=(48, 64))
    >>> scene.image.shape, scene.um_per_px, sorted(scene.layers)
    ((48, 64, 3), 10.0, ['adhesive', 'coverlay', 'hole', 'sus', 'trace'])
    """
    scale = check_view(section, image_hw, um_per_px, design_seed)
    down, across = rng.uniform(-MAX_SHIFT_PX, MAX_SHIFT_PX, size=2)
    part = Part(
        image_hw=image_hw,
        um_per_px=scale,
        design=np.random.default_rng([design_seed, zlib.crc32(section.encode())]),
        rng=rng,
        shift_rc_px=(float(down), float(across)),
        turn_rad=float(rng.uniform(-MAX_TURN_RAD, MAX_TURN_RAD)),
    )
    painting = lookup(SCENES, section, "scene").paint(part)
    layers = {name: coverage > 0.5 for name, coverage in painting.coverages.items()}
    return Scene(expose(painting.reflectance, part), layers, part.um_per_px, section)


def check_view(section: str, image_hw: ImageHW, um_per_px: float | None, design_seed: int) -> float:
    """Scale of a view, after checking the arguments of `render`.

    Raises:
        ValueError: unknown section, or a size, scale or seed out of range; the message names it.
    """
    module = lookup(SCENES, section, "scene")
    low, high = SIDE_RANGE_PX
    if len(image_hw) != 2 or not all(low <= side <= high for side in image_hw):
        raise ValueError(f"image_hw must be two sides of {low} to {high} px, not {image_hw}.")
    scale = float(module.UM_PER_PX if um_per_px is None else um_per_px)
    finest, coarsest = module.UM_PER_PX_RANGE
    if not finest <= scale <= coarsest:
        raise ValueError(
            f'um_per_px must be {finest} to {coarsest} for the section "{section}", not {scale}: '
            "its structures would be too large or too small to draw."
        )
    if design_seed < 0:
        raise ValueError(f"design_seed must not be negative, not {design_seed}.")
    return scale
