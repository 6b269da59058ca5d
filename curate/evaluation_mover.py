"""The movable threshold of the evaluation's page: histograms, sliders over computed steps, a table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curate.charts import Mark, histogram
from curate.check_report import shown
from curate.evaluation_blocks import figure, table

Part = Mapping[str, Any]
SHOWN_STEPS = 12  # rows of the table of thresholds


def mover(part: Part, where: str) -> str:
    """Histograms with a threshold that can be moved; without a script, the one in force and a table."""
    moves, bins, counts = part["steps"], part["histogram"], part["counts"]
    at = moves["in_force"]
    start = len(moves["threshold"]) - 1 if at is None else at
    band = start if moves["review_from"] is None else min(moves["review_from"], start)
    labels = [f"{value:.6g}" for value in moves["threshold"]]
    marks = [Mark(moves["threshold"][band], "look from", "#4D4D4D", "review")] if band < start else []
    marks += [Mark(moves["threshold"][start], "alarm from here", kind="cut")]
    if not band < start:
        marks.insert(0, Mark(moves["threshold"][start], "look from", "#4D4D4D", "review"))
    chart = histogram(
        bins["edges"], bins["normal"], bins["anomalous"], marks, f"Scores of the test images, {where}"
    )
    if not band < start:
        chart = chart.replace('data-mark="review"', 'data-mark="review" visibility="hidden"')
    data = {
        **{key: moves[key] for key in ("threshold", "normal", "anomalous")},
        "label": labels,
        "in_force": start,
        "review_from": band,
        "n_anomalous": counts["n_anomalous"],
    }
    return (
        f'<div class="mover" data-steps="{shown(json.dumps(data, separators=(",", ":")))}">'
        f"<h4>Scores and threshold</h4>{figure(chart, wide=True)}{_sliders(len(labels), start, band)}"
        f"{_counts(moves, counts, start, band, labels)}{_steps_table(moves, counts, labels)}</div>"
    )


def _sliders(n: int, start: int, band: int) -> str:
    last = n - 1
    return (
        '<div class="sliders">'
        f'<label>Alarm from<input class="cut" type="range" min="0" max="{last}" value="{start}"></label>'
        "<label>A person looks from"
        f'<input class="review" type="range" min="0" max="{last}" value="{band}"></label>'
        '<button type="button">Back to the threshold in force</button></div>'
    )


def _counts(moves: Part, counts: Part, start: int, band: int, labels: Sequence[str]) -> str:
    normal, anomalous = moves["normal"], moves["anomalous"]
    review = normal[band] - normal[start] + anomalous[band] - anomalous[start]
    cells = (
        ("false", normal[start], f"false alarms of {counts['n_normal']:,} normal"),
        ("missed", counts["n_anomalous"] - anomalous[band], f"missed of {counts['n_anomalous']:,} anomalous"),
        ("review", review, "for a person to look at"),
        ("at", labels[start], "threshold"),
        ("from", labels[band] if band < start else "none", "review from"),
    )
    items = "".join(
        f'<li><b data-n="{key}">{value}</b> <span>{told}</span></li>' for key, value, told in cells
    )
    return f'<ul class="counts" aria-live="polite">{items}</ul>'


def _steps_table(moves: Part, counts: Part, labels: Sequence[str]) -> str:
    n = len(labels)
    picked = sorted({round(index * (n - 1) / (SHOWN_STEPS - 1)) for index in range(SHOWN_STEPS)} | {
        moves["in_force"] if moves["in_force"] is not None else n - 1
    })  # fmt: skip
    rows = []
    for index in picked:
        name = f"<b>{labels[index]}, in force</b>" if index == moves["in_force"] else labels[index]
        missed = counts["n_anomalous"] - moves["anomalous"][index]
        rows.append([name, f"{moves['normal'][index]:,}", f"{missed:,}"])
    content = table(("threshold", "n:false alarms", "n:missed"), rows)
    return f'<details class="small"><summary>Other thresholds as a table</summary>{content}</details>'
