"""What the charts are built of: the drawing area, axes, text, and numbers as a reader wants them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from curate.check_report import shown

INK, SOFT, GRID = "#1f2430", "#5d6675", "#e3e7ed"
FONT = 12
MAX_TICKS = 5


@dataclass(frozen=True)
class Frame:
    """The drawing area, and how values become positions.

    Attributes:
        x_range, y_range: values at its edges, low < high.
        left, top, width, height: of the area within the picture, in units of the picture.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float
    top: float
    width: float
    height: float

    def x(self, value: float) -> float:
        """Position across; values outside of the range stay at its edge."""
        low, high = self.x_range
        return self.left + self.width * min(1.0, max(0.0, (value - low) / (high - low)))

    def y(self, value: float) -> float:
        """Position down; values outside of the range stay at its edge."""
        low, high = self.y_range
        return self.top + self.height * (1 - min(1.0, max(0.0, (value - low) / (high - low))))


def fraction(value: float) -> str:
    """A fraction with three decimals, never rounded onto 0 or 1 when it is neither.

    >>> fraction(0.98349), fraction(0.99999), fraction(0.00001), fraction(1.0)
    ('0.983', '>0.999', '<0.001', '1.000')
    """
    if 0.9995 <= value < 1:
        return ">0.999"
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def ticks(low: float, high: float, most: int = MAX_TICKS, whole: bool = False) -> list[float]:
    """Round numbers from low to high, at most `most` steps apart.

    >>> ticks(0, 1), ticks(213, 548), ticks(0, 3, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [300.0, 400.0, 500.0], [0.0, 1.0, 2.0, 3.0])
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def svg(parts: Sequence[str], size: tuple[float, float], title: str, frame: Frame) -> str:
    """The picture; its frame is told for scripts that move marks."""
    low, high = frame.x_range
    told = (
        f'data-low="{low!r}" data-high="{high!r}" data-left="{at(frame.left)}" data-width="{at(frame.width)}"'
    )
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" aria-label="{shown(title)}" '
        f'font-size="{FONT}" fill="{INK}" {told}><title>{shown(title)}</title>{"".join(parts)}</svg>'
    )


def ticks_x(frame: Frame, label: str) -> str:
    """The axis below, with its name."""
    bottom = frame.top + frame.height
    out = []
    most = 4 if frame.width < 300 else MAX_TICKS
    for value in ticks(*frame.x_range, most=most):
        x = at(frame.x(value))
        out.append(f'<path d="M{x} {at(frame.top)}V{at(bottom)}" stroke="{GRID}"/>')
        out.append(text_at(frame.x(value), bottom + 16, short_number(value), anchor="middle", colour=SOFT))
    out.append(f'<path d="M{at(frame.left)} {at(bottom)}H{at(frame.left + frame.width)}" stroke="{SOFT}"/>')
    out.append(text_at(frame.left + frame.width / 2, bottom + 34, label, anchor="middle", colour=SOFT))
    return "".join(out)


def ticks_y(frame: Frame, label: str = "", whole: bool = False, most: int = MAX_TICKS) -> str:
    """The axis on the left, with its name if it has one; whole: of counts."""
    out = []
    for value in ticks(*frame.y_range, most=most, whole=whole):
        y = at(frame.y(value))
        out.append(f'<path d="M{at(frame.left)} {y}H{at(frame.left + frame.width)}" stroke="{GRID}"/>')
        out.append(
            text_at(frame.left - 6, frame.y(value) + 4, short_number(value), anchor="end", colour=SOFT)
        )
    if label:
        middle = frame.top + frame.height / 2
        out.append(
            f'<text transform="translate(11 {at(middle)}) rotate(-90)" text-anchor="middle" fill="{SOFT}">'
            f"{shown(label)}</text>"
        )
    return "".join(out)


def text_at(
    x: float, y: float, text: str, anchor: str = "start", colour: str = INK, bold: bool = False
) -> str:
    """Text at a place; everything in it is escaped."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{at(x)}" y="{at(y)}" text-anchor="{anchor}" fill="{colour}"{weight}>{shown(text)}</text>'
    )


def points(frame: Frame, pairs: Sequence[tuple[float, float]]) -> str:
    """Values (x, y) as the points of a line."""
    return " ".join(f"{at(frame.x(x))},{at(frame.y(y))}" for x, y in pairs)


def at(value: float) -> str:
    """A position with one decimal, and no minus zero."""
    return f"{round(value, 1) + 0.0:g}"


def short_number(value: float) -> str:
    """A tick's number.

    >>> short_number(0.25), short_number(12000.0)
    ('0.25', '12,000')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def shortened(text: str, most: int) -> str:
    """Text of at most so many characters.

    >>> shortened("foreign_particle", 9)
    'foreign_…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
