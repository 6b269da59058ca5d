"""Picture of a size study: recall against the size of regions, and how many there are of each."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate.files import write_bytes
from curate.psychometric import Curve

SIZE_INCHES, DPI = (9.5, 7.2), 110
COLOURS = {"found_any": "#3b6ea5", "found_overlap": "#d1603d"}
GREY, LINE = "#b8bdc4", "#222222"
Study = Mapping[str, Any]


def draw(result: Study, title: str, target: Path) -> None:
    """Draw the result of curate.steps.sizes.run as a PNG file; without a detector, the sizes alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    sizes, recall = result["sizes"], result["recall"]
    figure = Figure(figsize=SIZE_INCHES if recall else (SIZE_INCHES[0], 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = {"height_ratios": [3, 1]} if recall else {}
    axes = figure.subplots(2 if recall else 1, 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    if recall:
        _recall(axes[0], recall)
    _distribution(axes[-1], sizes, recall)
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(True, color="#e9e9e9", linewidth=0.8)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    unit = {"px": "px", "um": "µm"}[sizes["unit"]]
    axes[-1].set_xlabel(f"equivalent diameter of the region, {unit}", fontsize=11)
    figure.suptitle(title, fontsize=13)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes(target, buffer.getvalue())


def _recall(axis: Any, study: Study) -> None:
    names = {
        "found_any": "any pixel at the threshold",
        "found_overlap": f"overlap of {study['min_overlap']:g} or more",
    }
    edges = study["rule"]["edges"]
    across = np.geomspace(max(edges[0], 0.25), edges[-1], 200)
    for shift, (key, name) in zip((-0.04, 0.04), names.items(), strict=True):
        colour, smallest = COLOURS[key], study["smallest"][key]
        for row in study["bins"]:
            if not row["n"]:
                continue
            estimate, middle = row[key], np.sqrt(max(row["low"], 0.25) * row["high"]) * 2**shift
            if estimate["low"] is not None:
                axis.plot([middle] * 2, [estimate["low"], estimate["high"]], color=colour, linewidth=1.6)
            axis.plot(middle, estimate["value"], "o", color=colour, markersize=6)
        axis.plot([], [], "o-", color=colour, label=f"{name}: {_told(smallest, study['unit'])}")
        if (curve := smallest["curve"]) is not None:
            axis.plot(across, Curve(**curve).probability(across), color=colour, linewidth=2, alpha=0.55)
        if smallest["value"] is not None and smallest["status"] == "fitted":
            axis.axvline(smallest["value"], color=colour, linestyle=":", linewidth=1.4)
    axis.axhline(study["smallest"]["found_any"]["probability"], color=LINE, linestyle="--", linewidth=0.9)
    axis.set_ylim(-0.03, 1.08)
    axis.set_ylabel("share of the regions found", fontsize=11)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), fontsize=9.5, frameon=False)


def _told(smallest: Study, unit: str) -> str:
    """The size found with the probability, in a few words."""
    chance, shown = f"{smallest['probability']:g}", {"px": "px", "um": "µm"}[unit]
    if smallest["value"] is None:
        return f"size found with {chance}: not known ({smallest['status'].replace('_', ' ')})"
    low, high = (f"{smallest[end]:.3g}" if smallest[end] is not None else None for end in ("low", "high"))
    span = f"{low or 'open'} to {high or 'open'}"
    also = ", extrapolated" if smallest["status"] == "extrapolated" else ""
    return f"found with {chance} from {smallest['value']:.3g} {shown} on ({span}{also})"


def _distribution(axis: Any, sizes: Study, recall: Study | None) -> None:
    for study, colour, label in (
        (sizes, GREY, f"all {sizes['n_regions']} regions"),
        (recall, COLOURS["found_any"], f"test part: {recall['n_regions'] if recall else 0}"),
    ):
        if study is not None:
            axis.stairs(study["histogram"]["counts"], study["histogram"]["edges"], fill=True, color=colour,
                        label=label, alpha=0.9)  # fmt: skip
    axis.set_ylabel("regions", fontsize=11)
    axis.legend(fontsize=9.5, frameon=False, loc="upper left")
