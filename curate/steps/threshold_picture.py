"""Pictures of thresholds: scores of both parts, and below them where each rule cuts, with its interval."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.files import write_bytes
from curate.images import Array
from curate.steps.joined import with_scores
from curate.steps.record import Context, once
from curate.steps.threshold_choice import map_statistic
from curate.steps.threshold_evidence import parts
from curate.steps.threshold_record import lapsed
from curate.threshold_evidence import Evidence

MOST_CATEGORIES = 6
N_BINS = 40
NORMAL, ANOMALOUS, LINE, BAND, FAINT = "#3b6ea5", "#d1603d", "#222222", "#f0a030", "#9aa0a8"
XLABELS = {
    "image": "anomaly score",
    "region": "highest value of the anomaly map",
    "pixel": "value of the anomaly map",
}
Row = dict[str, Any]


def run(context: Context, decision: Row) -> Path | None:
    """Draw threshold.png for a decision, unless it is there already.

    Returns:
        Its path; None where the decision was made of other scores.
    """
    if lapsed(context, decision):
        return None
    level = decision["level"]
    target = context.paths.threshold_picture
    if level != "image":
        target = target.with_name(f"threshold_{level}.png")

    def work() -> Row:
        title = f"{decision['detector']}: {decision['rule']}, decided {decision['at'][:10]}; grey: interval"
        rules = {
            category: [{"rule": decision["rule"], "recommended": True, **row}]
            for category, row in decision["by_category"].items()
        }
        _write(context, decision, rules, title, target, decision["params"])
        return {"path": str(target)}

    once(context.paths, target.stem + "-picture", {"decision": decision["id"]}, [target], work)
    return target


def of_advice(context: Context, advice: Row) -> Path:
    """Draw threshold_advice.png: every rule that has a threshold; the one that fits is drawn through."""
    target = context.paths.threshold_picture.with_name("threshold_advice.png")
    title = (
        f"{advice['detector']}: all rules; line: the one that fits, grey: its interval; pale: not supported"
    )
    rules = {category: row["rules"] for category, row in advice["by_category"].items()}
    _write(context, advice, rules, title, target, {})
    return target


def _write(
    context: Context, asked: Row, rules: dict[str, list[Row]], title: str, target: Path, params: Row
) -> None:
    """A column for each category: calibration scores, test scores, and the rules."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    merged = with_scores(context, asked["detector"])
    categories = list(rules)[:MOST_CATEGORIES]
    drawn = {name: [row for row in rules[name] if _cuts(row)] for name in categories}
    names = list(dict.fromkeys(row["rule"] for rows in drawn.values() for row in rows))
    ratios = [1.5, 1.5, 0.3 + 0.16 * len(names)]
    size = (max(7.0, 3.6 * len(categories) + 1), 1.45 * sum(ratios) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(categories), squeeze=False, sharex="col", height_ratios=ratios)
    for column, category in zip(axes.T, categories, strict=True):
        _column(context, column, merged[merged["category"] == category], asked, drawn[category], params)
        _forest(column[2], drawn[category], names, category == categories[0])
        column[0].set_title(category, fontsize=10)
    axes[0][0].legend(fontsize=7, frameon=False)
    more = len(rules) - len(categories)
    more_told = f" (the first {MOST_CATEGORIES} categories; {more} more)" if more else ""
    figure.suptitle(title + more_told, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(target, buffer.getvalue())


def _cuts(row: Row) -> list[float]:
    """The finite ends of a rule's answer: threshold, begin of the review band."""
    return [row[key] for key in ("threshold", "review_from") if row[key] is not None]


def _column(
    context: Context, column: Array, rows: pd.DataFrame, asked: Row, rules: list[Row], params: Row
) -> None:
    """One category; its parts have one axis of scores."""
    statistic = map_statistic(params)
    given = parts(context, rows, asked["detector"], asked["level"], asked["group"], statistic)
    scores = [given.calibration.scores, given.test.scores]
    values = np.concatenate([*scores, *(_cuts(row) for row in rules)])
    edges = np.linspace(values.min(), values.max() + 1e-9 * (1 + abs(values.max())), N_BINS + 1)
    for axis, evidence, name in zip(
        column, (given.calibration, given.test), ("calibration", "test"), strict=False
    ):
        _histogram(axis, evidence, name, edges)
    for row in rules:
        if row["recommended"]:
            _through(column, row, edges[0], edges[-1])
    column[2].set_xlabel(XLABELS[asked["level"]], fontsize=8)


def _histogram(axis: Any, evidence: Evidence, name: str, edges: Array) -> None:
    """Normal items above the line, anomalous ones over them, half seen through."""
    for label, colour, part in (
        ("normal", NORMAL, evidence.normals),
        ("anomalous", ANOMALOUS, evidence.anomalies),
    ):
        axis.hist(part.scores, bins=edges, weights=part.weights, color=colour, alpha=0.7, label=label)
    if evidence.level == "pixel":
        axis.set_yscale("log")
    else:
        axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel(f"{name}\n{evidence.level}s", fontsize=8)
    axis.tick_params(labelsize=7)


def _through(column: Array, row: Row, begin: float, end: float) -> None:
    """A rule's line, interval and review band, through all axes of a category."""
    interval = row["interval"] or {}
    for axis in column:
        if row["threshold"] is not None:
            axis.axvline(row["threshold"], color=LINE, linewidth=1.2)
        if interval.get("low") is not None and interval.get("high") is not None:
            axis.axvspan(interval["low"], interval["high"], color=LINE, alpha=0.1, linewidth=0)
        if row["band"] != "none":
            lower = begin if row["review_from"] is None else row["review_from"]
            upper = end if row["threshold"] is None else row["threshold"]
            axis.axvspan(lower, upper, color=BAND, alpha=0.25, linewidth=0)


def _forest(axis: Any, rules: list[Row], names: list[str], named: bool) -> None:
    """A line for each rule: its threshold, and the interval of it; faint where the data do not support it."""
    for row in rules:
        height, colour = -names.index(row["rule"]), LINE if row["supported"] else FAINT
        interval = row["interval"] or {}
        if interval.get("low") is not None and interval.get("high") is not None:
            axis.plot([interval["low"], interval["high"]], [height] * 2, color=colour, linewidth=1.4)
        if row["review_from"] is not None:
            axis.plot(row["review_from"], height, marker="|", markersize=9, color=BAND)
        if row["threshold"] is not None:
            axis.plot(row["threshold"], height, marker="o", markersize=4, color=colour)
    axis.set_yticks([-place for place in range(len(names))], names if named else [""] * len(names))
    axis.set_ylim(-max(len(names), 1) + 0.3, 0.7)
    axis.tick_params(labelsize=7)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    if not rules:
        axis.text(0.5, 0.5, "no rule has a threshold", transform=axis.transAxes, ha="center", fontsize=8)
