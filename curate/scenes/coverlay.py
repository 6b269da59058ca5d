"""Coverlay with rounded openings over gold pads, a bus of traces running beneath."""

import numpy as np

from curate.drawing import Array, ellipse, rectangle, stroke
from curate.scenes.materials import lay_adhesive, lay_copper, lay_coverlay, lay_gold, polyimide
from curate.scenes.part import Painting, Part

UM_PER_PX = 10.0
UM_PER_PX_RANGE = (3.0, 25.0)

OPENING_PITCH_UM = 640.0
OPENING_HW_UM = (430.0, 440.0)
PAD_HW_UM = (300.0, 310.0)
RIM_UM = 26.0  # adhesive that flows into an opening when the coverlay is pressed
TRACE_PITCH_UM = 120.0
TRACE_WIDTH_UM = 64.0
N_BUS_TRACES = 5
MARGIN_UM = 400.0


def paint(part: Part) -> Painting:
    """Two staggered rows of openings, traces leaving them, and the bus with its jog between the rows."""
    height_um, width_um = part.field_um
    first = part.design.uniform(0.25, 0.6) * OPENING_PITCH_UM
    rows_um = (0.235 * height_um, 0.80 * height_um)
    centres = [
        (row, first + (number + 0.5 * index) * OPENING_PITCH_UM)
        for index, row in enumerate(rows_um)
        for number in range(-1, int(width_um / OPENING_PITCH_UM) + 1)
    ]
    lines = [_lead(centre, index * 2 < len(centres), height_um) for index, centre in enumerate(centres)]
    lines += _bus(0.515 * height_um, width_um, part.design.uniform(0.4, 0.6) * width_um)
    pads, openings, inner = _windows(part, centres)

    gold = part.etch(pads, rounding_um=16, roughness_um=1.2)
    copper = np.maximum(part.etch(lines, rounding_um=9, roughness_um=1.6), gold)
    opening = part.etch(openings, rounding_um=14, roughness_um=2.0)
    rim = opening * (1 - part.etch(inner, rounding_um=16, roughness_um=3.5))

    picture = polyimide(part)
    lay_copper(picture, part, copper)
    lay_gold(picture, part, gold, part.values(pads, 0.035))
    lay_coverlay(picture, part, 1 - opening, copper)
    lay_adhesive(picture, part, rim)
    layers = {"trace": copper, "pad": gold * opening, "coverlay": 1 - opening, "opening": opening}
    return Painting(picture, layers | {"polyimide": opening * (1 - copper), "adhesive": rim})


def _windows(part: Part, centres: list[tuple[float, float]]) -> tuple[list[Array], list[Array], list[Array]]:
    """Outlines of pads, of the openings, and of the openings inside the adhesive rim.

    The coverlay is laid on by hand-eye or camera: it is off the copper by some 10 um in each part.
    """
    slip = part.rng.normal(0, 9.0, size=2)
    moved = [(row + slip[0], column + slip[1]) for row, column in centres]
    pads = [rectangle(centre, PAD_HW_UM, 40) for centre in centres]
    openings = [rectangle(centre, OPENING_HW_UM, 120) for centre in moved]
    narrow = (OPENING_HW_UM[0] - 2 * RIM_UM, OPENING_HW_UM[1] - 2 * RIM_UM)
    inner = [rectangle(centre, narrow, 100) for centre in moved]
    # a round reference mark between the first two pads of the upper row
    dot = (centres[0][0], centres[1][1] + OPENING_PITCH_UM / 2)
    mark = (dot[0] + slip[0], dot[1] + slip[1])
    pads.append(ellipse(dot, (48, 48)))
    openings.append(ellipse(mark, (82, 82)))
    inner.append(ellipse(mark, (82 - RIM_UM / 2, 82 - RIM_UM / 2)))
    return pads, openings, inner


def _lead(centre: tuple[float, float], upward: bool, height_um: float) -> Array:
    """The trace of one pad: out of the view, sidestepping once at 45 degrees."""
    row, column = centre
    sign = -1.0 if upward else 1.0
    end = -MARGIN_UM if upward else height_um + MARGIN_UM
    start_bend = row + sign * 270
    points = [(row, column), (start_bend, column), (start_bend + sign * 90, column + 90)]
    return stroke(np.array([*points, (end + sign * 600, column + 90)]), TRACE_WIDTH_UM)


def _bus(middle_um: float, width_um: float, jog_um: float) -> list[Array]:
    """Parallel traces across the view with a common 45-degree jog."""
    outlines = []
    for number in range(N_BUS_TRACES):
        row = middle_um + (number - (N_BUS_TRACES - 1) / 2) * TRACE_PITCH_UM
        # bends sit on one slanted line, so that the pitch is kept inside the jog
        bend = jog_um - number * TRACE_PITCH_UM * np.tan(np.pi / 8)
        points = [(row - 60, -MARGIN_UM), (row - 60, bend - 60), (row + 60, bend + 60)]
        outlines.append(stroke(np.array([*points, (row + 60, width_um + MARGIN_UM)]), TRACE_WIDTH_UM))
    return outlines
