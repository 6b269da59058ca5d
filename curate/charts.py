"""Charts as inline SVG for pages that load nothing: score histograms, lines with bands, dots with whiskers.

Colours are those of Okabe and Ito, which people with any colour vision tell apart; everything is labelled
where it is drawn. Shapes carry their colours as attributes, not as styles, so that a page may forbid styles.
Equal input gives equal text.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from curate.chart_parts import (
    INK,
    SOFT,
    Frame,
    at,
    fraction,
    points,
    shortened,
    svg,
    text_at,
    ticks_x,
    ticks_y,
)
from curate.check_report import shown

NORMAL, ANOMALOUS = "#0072B2", "#D55E00"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B58900", "#56B4E9", "#4D4D4D")
WIDE, DOTS_WIDE = 960, 520  # of pictures over the whole page, and over half of it
ROW = 15  # height of a name above the frame
Points = Sequence[float]


@dataclass(frozen=True)
class Line:
    """A curve of a chart.

    Attributes:
        name: written at the curve.
        x, y: equally many values.
        low, high: ends of its band; None without one.
        colour: of the line; its band is the same, but pale.
        dashed: for lines that are only there to compare with.
    """

    name: str
    x: Points
    y: Points
    low: Points | None = None
    high: Points | None = None
    colour: str = PALETTE[0]
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A place on the x axis with a name, drawn as an upright line."""

    x: float
    name: str
    colour: str = INK
    kind: str = ""


@dataclass(frozen=True)
class Dot:
    """A figure with its interval.

    Attributes:
        name: what it is the figure of.
        value, low, high: None where there is none.
        note: written behind it, such as "9 of 10".
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    colour: str = PALETTE[0]


def histogram(
    edges: Points, normal: Sequence[int], anomalous: Sequence[int], marks: Sequence[Mark], title: str
) -> str:
    """Two histograms over one axis, normal above and anomalous below, each on its own scale.

    Args:
        edges: (B + 1,) rising.
        normal, anomalous: (B,) images in each bin.
        marks: such as the threshold; one with a kind can be moved by a script (see _mark).
    """
    room = ROW * len(marks)
    frames = [
        Frame((edges[0], edges[-1]), (0, max(1, *counts)), 44, top + room, WIDE - 60, 92)
        for counts, top in ((normal, 14), (anomalous, 126))
    ]
    parts = [ticks_x(frames[1], "anomaly score")]
    for frame, counts, colour, name in zip(
        frames, (normal, anomalous), (NORMAL, ANOMALOUS), ("normal", "anomalous"), strict=True
    ):
        parts.append(ticks_y(frame, whole=True, most=3))
        for low, high, n in zip(edges, edges[1:], counts, strict=False):
            if n:
                x, y = frame.x(low), frame.y(n)
                parts.append(
                    f'<rect x="{at(x)}" y="{at(y)}" width="{at(max(0.8, frame.x(high) - x - 0.8))}" '
                    f'height="{at(frame.top + frame.height - y)}" fill="{colour}"/>'
                )
        told = f"{name}, {sum(counts):,} image{'s' * (sum(counts) != 1)}"
        right = frame.left + frame.width
        parts.append(text_at(right, frame.top + 4, told, anchor="end", colour=colour, bold=True))
    whole = Frame(frames[0].x_range, (0, 1), 44, room + 8, WIDE - 60, 210)
    parts += [_mark(mark, whole, index, len(marks)) for index, mark in enumerate(marks)]
    return svg(parts, (WIDE, 262 + room), title, whole)


def lines(
    curves: Sequence[Line],
    title: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] = (0, 1),
    y_range: tuple[float, float] = (0, 1),
    marks: Sequence[Mark] = (),
    wide: bool = False,
) -> str:
    """Curves with bands; their names stand in the emptier lower or upper corner, in their colour."""
    room = ROW * len(marks)
    size = (WIDE, 268 + room) if wide else (320, 300)
    frame = Frame(x_range, y_range, 50, 16 + room, size[0] - 66, size[1] - room - 68)
    parts = [ticks_x(frame, x_label), ticks_y(frame, y_label)]
    for curve in curves:
        if curve.low is not None and curve.high is not None:
            there = [*zip(curve.x, curve.high, strict=True)]
            back = [*zip(reversed(curve.x), reversed(curve.low), strict=True)]
            parts.append(
                f'<polygon points="{points(frame, [*there, *back])}" fill="{curve.colour}" opacity="0.18"/>'
            )
    for curve in curves:
        dash = ' stroke-dasharray="4 4"' if curve.dashed else ""
        wider = 1.2 if curve.dashed else 2.2
        parts.append(
            f'<polyline points="{points(frame, [*zip(curve.x, curve.y, strict=True)])}" fill="none" '
            f'stroke="{curve.colour}" stroke-width="{wider}" stroke-linejoin="round"{dash}/>'
        )
    parts += _names(frame, [curve for curve in curves if curve.name])
    parts += [_mark(mark, frame, index, len(marks)) for index, mark in enumerate(marks)]
    return svg(parts, size, title, frame)


def dots(rows: Sequence[Dot], title: str, x_label: str, whole: bool = True) -> str:
    """Figures below each other, each a dot with its interval as a whisker, and the number behind it.

    Args:
        whole: the axis goes from 0 to 1; else it begins near the lowest end, so that differences can be seen.
    """
    ends = [end for row in rows for end in (row.value, row.low) if end is not None]
    x_range = (0.0 if whole or not ends else min(0.9, max(0, math.floor(min(ends) * 10) / 10)), 1.0)
    longest = max((len(row.name) for row in rows), default=0)
    left = min(220, max(70, 7.2 * longest + 16))
    behind = 130 if any(row.note for row in rows) else 66
    frame = Frame(x_range, (0, 1), left, 8, DOTS_WIDE - left - behind, 26 * max(1, len(rows)))
    parts = [ticks_x(frame, x_label)]
    for index, row in enumerate(rows):
        y = frame.top + 26 * index + 13
        parts.append(text_at(left - 10, y + 4, shortened(row.name, 28), anchor="end"))
        if row.low is not None and row.high is not None:
            a, b = frame.x(row.low), frame.x(row.high)
            parts.append(
                f'<path d="M{at(a)} {at(y)}H{at(b)}M{at(a)} {at(y - 5)}v10M{at(b)} {at(y - 5)}v10" '
                f'stroke="{row.colour}" stroke-width="1.6" fill="none"/>'
            )
        if row.value is not None:
            parts.append(f'<circle cx="{at(frame.x(row.value))}" cy="{at(y)}" r="5" fill="{row.colour}"/>')
        told = "not known" if row.value is None else fraction(row.value)
        parts.append(text_at(frame.left + frame.width + 12, y + 4, told, bold=row.value is not None))
        if row.note:
            parts.append(text_at(frame.left + frame.width + 60, y + 4, row.note, colour=SOFT))
    return svg(parts, (DOTS_WIDE, 26 * max(1, len(rows)) + 52), title, frame)


def _names(frame: Frame, curves: Sequence[Line]) -> Iterator[str]:
    """Names of the curves in the corner on the right that they leave free."""
    edge = frame.y_range[0] + 0.45 * (frame.y_range[1] - frame.y_range[0])
    far = frame.x_range[0] + 0.35 * (frame.x_range[1] - frame.x_range[0])
    late = [
        y for curve in curves if not curve.dashed for x, y in zip(curve.x, curve.y, strict=True) if x >= far
    ]
    below = sum(y < edge for y in late) * 2 < len(late)
    top = frame.top + frame.height - 10 - 16 * (len(curves) - 1) if below else frame.top + 16
    for index, curve in enumerate(curves):
        edge_x = frame.left + frame.width - 6
        yield text_at(edge_x, top + 16 * index, curve.name, anchor="end", colour=curve.colour, bold=True)


def _mark(mark: Mark, frame: Frame, row: int, n_rows: int) -> str:
    """An upright line; its name stands above the frame, in a row of its own, where there is room."""
    top = frame.top - ROW * (n_rows - row)
    x = frame.x(mark.x)
    right = x < frame.left + frame.width * 0.6
    kind = f' data-mark="{shown(mark.kind)}"' if mark.kind else ""
    text = text_at(
        x + (6 if right else -6), top + 9, mark.name, "start" if right else "end", mark.colour, True
    )
    return (
        f'<g{kind}><path d="M{at(x)} {at(top)}V{at(frame.top + frame.height)}" '
        f'stroke="{mark.colour}" stroke-width="1.8" stroke-dasharray="6 3"/>{text}</g>'
    )
