"""Shield film: black, matte, finely grained, following the traces below; a window for grounding."""

import numpy as np

from curate.drawing import Array, cover, grain, rectangle, relief, smooth_noise, soften, stroke
from curate.scenes.materials import LIGHT_RAD, lay_adhesive, lay_copper, lay_coverlay, lay_gold, polyimide
from curate.scenes.part import Painting, Part

UM_PER_PX = 10.0
UM_PER_PX_RANGE = (3.0, 40.0)

WINDOW_HW_UM = (330.0, 760.0)
TRACE_PITCH_UM = 210.0
TRACE_WIDTH_UM = 110.0
MARGIN_UM = 500.0


def paint(part: Part) -> Painting:
    """Film over most of the view, its cut edge at the bottom, one gold grounding window left as is."""
    height_um, width_um = part.field_um
    film_end = (0.80 + part.design.uniform(-0.02, 0.02)) * height_um + part.rng.normal(0, 7.0)
    at = (0.26 * height_um, (0.70 + part.design.uniform(-0.06, 0.06)) * width_um)
    slip = part.rng.normal(0, 7.0, size=2)

    copper = part.etch(_lines(height_um, width_um, at), rounding_um=10, roughness_um=1.6)
    plane = [rectangle(at, (WINDOW_HW_UM[0] + 160, WINDOW_HW_UM[1] + 160), 60)]
    gold = part.etch(plane, rounding_um=16, roughness_um=1.2)
    window = part.etch([rectangle((at[0] + slip[0], at[1] + slip[1]), WINDOW_HW_UM, 110)], 16, 1.6)
    sheet = rectangle(((film_end - MARGIN_UM) / 2, width_um / 2), (film_end + MARGIN_UM, width_um + 1200))
    film = part.etch([sheet], rounding_um=15, roughness_um=2.0) * (1 - window)
    flow = soften(film, part.px(22, 0.9)) * (1 - film) * (1 - window)

    metal = np.maximum(copper, gold)
    picture = polyimide(part)
    lay_copper(picture, part, metal)
    lay_gold(picture, part, gold, part.values(plane, 0.03))
    lay_coverlay(picture, part, 1 - window, metal)
    lay_adhesive(picture, part, flow, strength=0.8)
    cover(picture, _film(part, metal, window), film)
    picture += (0.16 * relief(soften(film, part.px(12, 1.0)), LIGHT_RAD))[..., None]
    layers = {"shield": film, "coverlay": (1 - film) * (1 - window), "opening": window}
    return Painting(picture, layers | {"pad": gold * window, "trace": copper})


def _film(part: Part, metal: Array, window: Array) -> Array:
    """Black film on the relief of what lies below, (H, W, 3) float32."""
    hw = part.image_hw
    tone = 0.125 + 0.0045 * smooth_noise(part.rng, hw, 70.0) + 0.0045 * smooth_noise(part.rng, hw, 6.0)
    tone += 0.0085 * smooth_noise(part.rng, hw, 1.6) + 0.006 * grain(part.rng, hw)
    # pressed on hot, the film drapes over each trace and into the coverlay's window
    drape = relief(soften(metal, part.px(30, 1.6)), LIGHT_RAD)
    step = relief(soften(1 - window, part.px(26, 1.5)), LIGHT_RAD)
    tone += 0.20 * drape + 0.22 * step
    glints = np.clip(smooth_noise(part.rng, hw, 1.3) - 3.4, 0, 1)
    tone += 0.10 * glints
    return np.asarray(tone[..., None] * np.asarray((0.985, 0.99, 1.03), dtype=np.float32))


def _lines(height_um: float, width_um: float, window_at: tuple[float, float]) -> list[Array]:
    """Traces down the view; those under the grounding window end at its copper."""
    outlines = []
    half = WINDOW_HW_UM[1] / 2 + 80
    for number in range(-2, int(width_um / TRACE_PITCH_UM) + 3):
        column = (number + 0.4) * TRACE_PITCH_UM
        top = window_at[0] if abs(column - window_at[1]) < half else -MARGIN_UM
        points = np.array([(top, column), (height_um + MARGIN_UM, column)])
        outlines.append(stroke(points, TRACE_WIDTH_UM))
    return outlines
