"""SUS stiffener: a brushed stainless plate with a hole, glued on beside the flexible circuit."""

import numpy as np

from curate.drawing import Array, cover, ellipse, rectangle, relief, soften, stroke
from curate.scenes.materials import (
    BACKING,
    LIGHT_RAD,
    lay_adhesive,
    lay_copper,
    lay_coverlay,
    polyimide,
    steel,
)
from curate.scenes.part import Painting, Part

UM_PER_PX = 10.0
UM_PER_PX_RANGE = (3.0, 40.0)

HOLE_RADIUS_UM = 290.0
TRACE_PITCH_UM = 130.0
TRACE_WIDTH_UM = 66.0
MARGIN_UM = 600.0


def paint(part: Part) -> Painting:
    """The plate with one rounded corner in view; coverlay with traces to its left and below."""
    height_um, width_um = part.field_um
    left = (0.17 + part.design.uniform(-0.02, 0.02)) * width_um
    bottom = 0.885 * height_um
    hole_at = (0.34 * height_um, (0.74 + part.design.uniform(-0.05, 0.05)) * width_um)
    slip_r, slip_c = part.rng.normal(0, 7.0, size=2)

    plate_outline = _corner(left + slip_c, bottom + slip_r, width_um, 0.0)
    hole_outline = ellipse((hole_at[0] + slip_r, hole_at[1] + slip_c), (HOLE_RADIUS_UM, HOLE_RADIUS_UM))
    hole = part.cut([hole_outline])
    plate = part.etch([plate_outline], rounding_um=12, roughness_um=1.5) * (1 - hole)
    glue = part.etch([_corner(left + slip_c, bottom + slip_r, width_um, 42.0)], 30, 6.0)
    glue = glue * (1 - plate) * (1 - hole)
    copper = part.etch(_lines(left, bottom, height_um, width_um), rounding_um=9, roughness_um=1.6)

    picture = polyimide(part)
    lay_copper(picture, part, copper)
    lay_coverlay(picture, part, np.ones(part.image_hw, dtype=np.float32), copper)
    shadow = soften(np.asarray(plate), part.px(35, 1.0)) * (1 - plate)
    picture *= (1 - 0.30 * shadow)[..., None]
    lay_adhesive(picture, part, glue, strength=0.42)
    cover(picture, steel(part), plate)
    cover(picture, BACKING, hole)
    # burr-free but bevelled: the punched edge shines toward the lamp and is dark away from it
    bevel = relief(soften(np.asarray(plate), part.px(14, 1.1)), LIGHT_RAD)
    picture += (0.95 * bevel)[..., None]
    hidden = (1 - plate) * (1 - hole)
    layers = {"sus": plate, "hole": hole, "adhesive": glue, "coverlay": hidden * (1 - glue)}
    return Painting(picture, layers | {"trace": copper * hidden})


def _corner(left: float, bottom: float, width_um: float, grow: float) -> Array:
    """The plate's outline: its lower left corner is in view, the other sides are beyond it."""
    top, right = -MARGIN_UM, width_um + MARGIN_UM
    centre = ((top + bottom) / 2, (left + right) / 2)
    return rectangle(centre, (bottom - top + 2 * grow, right - left + 2 * grow), 170 + grow)


def _lines(left: float, bottom: float, height_um: float, width_um: float) -> list[Array]:
    """Traces that come down beside the plate and turn under its lower edge."""
    outlines = []
    for number in range(int((left + MARGIN_UM) / TRACE_PITCH_UM)):
        column = left - 150 - number * TRACE_PITCH_UM
        row = bottom + 150 + number * TRACE_PITCH_UM
        points = [(-MARGIN_UM, column), (row - 130, column), (row, column + 130), (row, width_um + MARGIN_UM)]
        if row < height_um + MARGIN_UM:
            outlines.append(stroke(np.array(points), TRACE_WIDTH_UM))
    return outlines
