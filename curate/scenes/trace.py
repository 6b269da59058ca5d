"""Gold fingers at the edge of the circuit, and the traces that fan in to them under the coverlay."""

import numpy as np

from curate.drawing import Array, cover, rectangle, stroke
from curate.scenes.materials import BACKING, lay_adhesive, lay_copper, lay_coverlay, lay_gold, polyimide
from curate.scenes.part import Painting, Part

UM_PER_PX = 10.0
UM_PER_PX_RANGE = (3.0, 25.0)

FINGER_PITCH_UM = 320.0
FINGER_WIDTH_UM = 200.0
TRACE_PITCH_UM = 170.0
TRACE_WIDTH_UM = 80.0
MARGIN_UM = 400.0  # drawn beyond the view, so that a shifted part shows no end


def paint(part: Part) -> Painting:
    """Coverlay above, bare fingers below, the punched edge of the circuit at the bottom."""
    height_um, width_um = part.field_um
    film_end = (0.40 + part.design.uniform(-0.03, 0.03)) * height_um
    circuit_end = 0.925 * height_um
    phase = part.design.uniform(-0.3, 0.3)
    film_slip = part.rng.normal(0, 6.0)

    fingers = _fingers(width_um, film_end, circuit_end, phase)
    lines = _fan(width_um, film_end, phase, 0.5 * width_um)
    gold = part.etch(fingers, rounding_um=18, roughness_um=1.2)
    copper = np.maximum(part.etch(lines, rounding_um=10, roughness_um=1.6), gold)
    film = part.etch([_band(-MARGIN_UM, film_end + film_slip, width_um)], 25, 2.5)
    flow = part.etch([_band(film_end + film_slip - 60, film_end + film_slip + 38, width_um)], 30, 6.0)
    flow = flow * (1 - film)
    circuit = part.etch([_band(-MARGIN_UM, circuit_end, width_um)], 20, 1.5)

    picture = polyimide(part)
    lay_copper(picture, part, copper)
    lay_gold(picture, part, gold, part.values(fingers, 0.035))
    lay_coverlay(picture, part, film, copper)
    lay_adhesive(picture, part, flow)
    cover(picture, BACKING, 1 - circuit)
    open_gold = gold * (1 - film)
    bare = circuit * (1 - film) * (1 - gold)
    layers = {"trace": copper * circuit, "pad": open_gold * circuit, "coverlay": film, "polyimide": bare}
    return Painting(picture, layers | {"adhesive": flow, "outside": 1 - circuit})


def _band(top: float, bottom: float, width_um: float) -> Array:
    return rectangle(((top + bottom) / 2, width_um / 2), (bottom - top, width_um + 2 * MARGIN_UM))


def _positions(width_um: float, phase: float) -> Array:
    """Signed finger numbers counted from the middle, enough to pass both borders of the view."""
    reach = int(np.ceil((width_um / 2 + MARGIN_UM) / FINGER_PITCH_UM))
    return np.arange(-reach, reach + 1) + phase


def _fingers(width_um: float, film_end: float, circuit_end: float, phase: float) -> list[Array]:
    """Fingers start below the coverlay and stop short of the punched edge."""
    top, bottom = film_end - 150, circuit_end - 110
    middle, extent = (top + bottom) / 2, max(bottom - top, 1.0)
    return [
        rectangle((middle, width_um / 2 + number * FINGER_PITCH_UM), (extent, FINGER_WIDTH_UM), 45)
        for number in _positions(width_um, phase)
    ]


def _fan(width_um: float, film_end: float, phase: float, centre_um: float) -> list[Array]:
    """Traces at fine pitch at the top, bent at 45 degrees out to the pitch of the fingers."""
    outlines = []
    for number in _positions(width_um, phase):
        fine, coarse = centre_um + number * TRACE_PITCH_UM, centre_um + number * FINGER_PITCH_UM
        bend_end = film_end - 220
        bend_start = bend_end - abs(coarse - fine)
        points = [(min(-MARGIN_UM, bend_start - 1), fine), (bend_start, fine), (bend_end, coarse)]
        outlines.append(stroke(np.array([*points, (film_end, coarse)]), TRACE_WIDTH_UM))
    return outlines
