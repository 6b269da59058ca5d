"""Picture of what detectors cost: accuracy against latency, and against memory."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.cost import Point, points
from curate.files import write_bytes

PANELS = (
    ("latency_ms_p50", "median latency of one image, ms"),
    ("peak_rss_bytes", "peak memory while predicting, MiB"),
)
SIZE_INCHES, DPI = (12.0, 5.2), 100  # 1200 pixels wide
MEASURED, ADDED = "#3b6ea5", "#d1603d"
LETTER, LINE, GAP = (
    0.0145,
    0.05,
    0.016,
)  # of a panel: width of a letter, height of a name, space beside a point
MINOR = "235"  # lines between powers of ten that get a number
Spot = tuple[float, float]


def draw(rows: Sequence[Mapping[str, Any]], title: str, target: Path) -> bool:
    """Draw rows after data_schemas/cost.json; False, and no picture, where none has an accuracy and a cost.

    Points up and to the left are better. Rows that came from a file have another colour and shape.
    """
    panels = [(points(rows, key), label) for key, label in PANELS]
    if not (everything := [point for found, _ in panels for point in found]):
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    accuracies = [point.accuracy for point in everything]
    room = max(0.01, 0.15 * (max(accuracies) - min(accuracies)))
    limits = min(accuracies) - room, max(accuracies) + room
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(PANELS))
    for axis, (found, label) in zip(axes, panels, strict=True):
        _panel(axis, found, label, limits)
    if any(point.added for point in everything):
        named = axes[0].get_legend_handles_labels()
        figure.legend(*named, fontsize=10, frameon=False, loc="upper right", ncols=2)
    figure.supylabel("image AUROC, test part", fontsize=12)
    figure.suptitle(f"{title}: up and left is better", fontsize=13)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes(target, buffer.getvalue())
    return True


def _panel(axis: Any, found: Sequence[Point], label: str, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_xscale("log")
    costs = [each.cost for each in found] or [1.0]
    low, high = min(costs) / 1.5, max(max(costs) * 1.5, min(costs) * 4)
    axis.set_xlim(low, high)
    axis.set_ylim(*limits)
    for colour, marker, added, legend in (
        (MEASURED, "o", False, "measured here"),
        (ADDED, "s", True, "from a file"),
    ):
        own = [each for each in found if each.added == added]
        x, y = [each.cost for each in own], [each.accuracy for each in own]
        axis.scatter(x, y, s=70, color=colour, marker=marker, label=legend, zorder=3)
    across, up = math.log(high / low), limits[1] - limits[0]
    spots = [(math.log(each.cost / low) / across, (each.accuracy - limits[0]) / up) for each in found]
    for each, spot, place in zip(found, spots, places(spots, [each.name for each in found]), strict=True):
        _name(axis, each.name, spot, place)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(FuncFormatter(_minor))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}" if value <= 1 else ""))
    axis.set_xlabel(label, fontsize=12)
    axis.grid(True, which="both", color="#e4e4e4", linewidth=0.8)
    axis.tick_params(which="both", labelsize=10)


def _name(axis: Any, name: str, spot: Spot, place: Spot) -> None:
    """Write a name, with a thin line to its point where it could not stand beside it."""
    line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
    axis.annotate(
        name, spot, xycoords="axes fraction", xytext=place, textcoords="axes fraction", fontsize=10,
        va="center", arrowprops=line if abs(place[1] - spot[1]) > LINE / 2 else None,
    )  # fmt: skip


def _minor(value: float, _: Any) -> str:
    """Numbers of the lines between powers of ten: some of them.

    >>> [_minor(each, None) for each in (20.0, 40.0, 500.0)]
    ['20', '', '500']
    """
    return f"{value:g}" if f"{value:e}"[0] in MINOR else ""


def places(spots: Sequence[Spot], names: Sequence[str]) -> list[Spot]:
    """Where names of points begin, so that no name covers another name or a point.

    Beside its point where that is free, to the right first, else as near above or below as possible.

    Args:
        spots: of the points, in shares of the panel's width and height.

    Returns:
        Left edge and middle of each name, in the same shares.
    """
    taken = [(x - GAP / 2, y, x + GAP / 2) for x, y in spots]  # left, middle, right
    found = []
    for (x, y), name in zip(spots, names, strict=True):
        width = LETTER * len(name)
        sides = [left for left in (x + GAP, x - GAP - width) if 0 <= left <= 1 - width] or [
            max(0.0, 1 - width)
        ]
        steps = sorted((0.25 * LINE * step for step in range(-80, 81)), key=lambda lift: (abs(lift), -lift))
        tried = [(left, y + lift) for lift in steps for left in sides if LINE / 2 <= y + lift <= 1 - LINE / 2]
        free = (
            (left, middle)
            for left, middle in tried
            if all(abs(middle - other) >= LINE or left + width <= a or b <= left for a, other, b in taken)
        )
        left, middle = next(free, (sides[0], y))
        taken.append((left, middle, left + width))
        found.append((left, middle))
    return found
