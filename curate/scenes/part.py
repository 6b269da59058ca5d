"""One part on the inspection table: its design, its own small differences, and where it lies."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from curate.drawing import Array, ImageHW, coverage, fine_coverage, rotate, shrink, smooth_noise, soften

MAX_SHIFT_PX = 1.6
ETCH_SUPERSAMPLE = 2  # enough where edges are soft ramps
MAX_TURN_RAD = np.deg2rad(0.22)


@dataclass(frozen=True)
class Painting:
    """What a section paints before the camera sees it.

    Attributes:
        reflectance: (H, W, 3) float32, about [0, 1].
        coverages: layer name to (H, W) float32 share of each pixel that the layer takes.
    """

    reflectance: Array
    coverages: dict[str, Array]


@dataclass(frozen=True)
class Part:
    """A part of a product; lengths are micrometres from the top left corner of the nominal view.

    Attributes:
        image_hw: of the photograph.
        um_per_px: scale.
        design: the same draws for each part of the product.
        rng: this part's own draws.
        shift_rc_px: where the part lies off its nominal place.
        turn_rad: how far it is turned about the middle of the view.
    """

    image_hw: ImageHW
    um_per_px: float
    design: np.random.Generator
    rng: np.random.Generator
    shift_rc_px: tuple[float, float]
    turn_rad: float

    @property
    def field_um(self) -> tuple[float, float]:
        """Height and width of the view."""
        return self.image_hw[0] * self.um_per_px, self.image_hw[1] * self.um_per_px

    def px(self, length_um: float, least: float = 0.0) -> float:
        """A length in pixels, at least `least`."""
        return max(length_um / self.um_per_px, least)

    def place(self, outline_um: Array) -> Array:
        """Outline in micrometres of the design to continuous pixels of this photograph."""
        middle = np.asarray(self.image_hw, dtype=np.float64) / 2
        turned = rotate(outline_um / self.um_per_px - middle, self.turn_rad)
        return np.asarray(turned + middle + np.asarray(self.shift_rc_px))

    def cut(self, outlines_um: Iterable[Array]) -> Array:
        """Coverage of sharp outlines, (H, W) float32 in [0, 1]."""
        return coverage((self.place(outline) for outline in outlines_um), self.image_hw)

    def etch(self, outlines_um: Iterable[Array], rounding_um: float, roughness_um: float) -> Array:
        """Coverage of outlines as etching or punching leaves them.

        Args:
            outlines_um: (V, 2) each, filled; their union is meant.
            rounding_um: corners are rounded by about this radius.
            roughness_um: deviation of the edge from its line, one sigma.

        Returns:
            (H, W) float32 in [0, 1].
        """
        placed = (self.place(outline) for outline in outlines_um)
        fine = fine_coverage(placed, self.image_hw, ETCH_SUPERSAMPLE)
        sigma = max(self.px(rounding_um) * ETCH_SUPERSAMPLE, 1.0)
        # the flank of a blurred step rises by this much per fine pixel
        slope = 255 / (sigma * np.sqrt(2 * np.pi))
        edge = soften(fine, sigma).astype(np.float32) * np.float32(1 / slope)
        wave = smooth_noise(self.rng, self.image_hw, 5.0) + 0.5 * smooth_noise(self.rng, self.image_hw, 1.6)
        wave *= np.float32(min(self.px(roughness_um), 1.0) * ETCH_SUPERSAMPLE)
        edge += cv2.resize(wave, fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return shrink(np.clip(edge - np.float32(127.5 / slope - 0.5), 0, 1), self.image_hw)

    def values(self, outlines_um: Iterable[Array], spread: float) -> Array:
        """One random value for each outline, painted over it and a little beyond.

        Returns:
            (H, W) float32, 0 elsewhere, deviation `spread` among the outlines.
        """
        field = np.zeros(self.image_hw, dtype=np.float32)
        for outline in outlines_um:
            corners = np.round(self.place(outline)[:, ::-1] - 0.5).astype(np.int32)
            shade = float(np.clip(self.rng.normal(0, spread), -2 * spread, 2 * spread))
            cv2.fillPoly(field, [corners], shade)
            cv2.polylines(field, [corners], True, shade, thickness=3)
        return field
