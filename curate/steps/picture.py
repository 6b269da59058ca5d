"""One picture of what a build found: scores with their threshold, and the images that tell most."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.files import read_json, write_bytes
from curate.steps import labels
from curate.steps.joined import masks_digest, with_scores
from curate.steps.record import Context, digest, once
from curate.steps.threshold_record import lapsed
from curate.tables import to_rows
from curate.truth import in_force

MOST_CATEGORIES = 6
N_EXAMPLES = 4
LONGEST_SIDE = 320
NORMAL, ANOMALOUS, LINE = "#3b6ea5", "#d1603d", "#222222"


def run(context: Context) -> dict[str, Any]:
    """Draw the overview unless it is already there; returns its path and whether it was drawn now."""
    paths = context.paths
    inputs = {
        "threshold": digest(paths.threshold),
        "verdicts": labels.digest(context),
        "masks": masks_digest(context),
        "lapsed": paths.threshold.exists() and lapsed(context, read_json(paths.threshold)),
    }
    target = paths.root / "summary.png"
    return once(paths, "picture", inputs, [target], lambda: {"path": str(overview(context))})


def overview(context: Context) -> Path:
    """Draw summary.png of a dataset whose threshold is chosen.

    A row per category (the first six): histogram of the test scores, then up to four test images with their
    map over them and the truth outlined: a miss, a false alarm, then the highest scores. A threshold that was
    chosen on other scores, or that the data do not support, is not drawn.

    Raises:
        Missing: the dataset has not been split or scored.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = read_json(context.paths.threshold)
    held = {} if lapsed(context, chosen) else chosen["by_category"]
    merged = with_scores(context, chosen["detector"])
    test = merged[(merged["assigned_split"] == "test") & (merged["label"] != "unknown")]
    categories = list(chosen["by_category"])[:MOST_CATEGORIES]
    figure = Figure(figsize=(2.9 * (N_EXAMPLES + 1), 2.6 * len(categories)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(categories), N_EXAMPLES + 1, squeeze=False)
    folder = context.paths.detector(chosen["detector"])
    shown = read_json(folder / "report.json").get("display_range")
    for row, category in zip(axes, categories, strict=True):
        threshold = held.get(category, {}).get("threshold")
        threshold = math.inf if threshold is None else threshold  # nothing counts as anomalous
        rows = test[test["category"] == category]
        _histogram(row[0], rows, category, threshold)
        examples = _examples(rows, threshold)
        for axis, example in zip(row[1:], examples, strict=False):
            _draw(axis, example, folder, context.paths.masks, shown)
        for axis in row[1:]:
            axis.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    target = context.paths.root / "summary.png"
    write_bytes(target, buffer.getvalue())
    return target


def _histogram(axis: Any, rows: pd.DataFrame, category: str, threshold: float) -> None:
    scores = rows["anomaly_score"].astype(float)
    ends = [float(scores.min()), float(scores.max()), *([threshold] if math.isfinite(threshold) else [])]
    edges = np.linspace(min(ends), max(ends), 31)
    for label, colour in (("normal", NORMAL), ("anomalous", ANOMALOUS)):
        axis.hist(scores[rows["label"] == label], bins=edges, color=colour, alpha=0.75, label=label)
    if math.isfinite(threshold):
        axis.axvline(threshold, color=LINE, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.1f}")
    axis.set_title(f"{category}: test scores", fontsize=9)
    axis.set_xlabel("anomaly score", fontsize=7)
    axis.set_ylabel("images", fontsize=7)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6, frameon=False)


def _examples(rows: pd.DataFrame, threshold: float) -> list[tuple[str, dict[str, Any]]]:
    """Titled images: a miss, a false alarm, then the highest scores."""
    ordered = rows.sort_values(["anomaly_score", "sample_id"], ascending=False)
    anomalous, normal = ordered[ordered["label"] == "anomalous"], ordered[ordered["label"] == "normal"]
    missed, alarms = (
        anomalous[anomalous["anomaly_score"] < threshold],
        normal[normal["anomaly_score"] >= threshold],
    )
    found = anomalous[anomalous["anomaly_score"] >= threshold]
    kinds = found[~found["defect_types"].map(_kind).duplicated()]  # one of each kind of defect
    picks = [
        ("missed", missed.tail(1)),
        ("false alarm", alarms.head(1)),
        ("found", kinds.head(3)),
        ("normal", normal[normal["anomaly_score"] < threshold].head(1)),
    ]
    if not math.isfinite(threshold):
        picks = [("anomalous", anomalous.head(3)), ("normal", normal.head(1))]
    titled = [(title, record) for title, part in picks for record in to_rows(part)]
    return titled[:N_EXAMPLES]


def _draw(axis: Any, example: tuple[str, dict[str, Any]], folder: Path, masks: Path, shown: Any) -> None:
    import cv2

    from curate.anomaly_maps import read_raw
    from curate.images import read_image
    from curate.masks import read_mask

    title, record = example
    image = read_image(Path(record["filepath"]))
    scale = min(1.0, LONGEST_SIDE / max(image.shape[:2]))
    size_wh = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    small = (small // 257).astype(np.uint8) if small.dtype == np.uint16 else small
    axis.imshow(small)
    if record["raw_map"] is not None:
        values = cv2.resize(read_raw(folder / record["raw_map"]), size_wh, interpolation=cv2.INTER_LINEAR)
        lo, hi = shown or (float(values.min()), float(values.max()))
        strength = np.clip((values - lo) / (hi - lo), 0, 1) if hi > lo else np.zeros_like(values)
        axis.imshow(strength, cmap="turbo", vmin=0, vmax=1, alpha=0.15 + 0.5 * strength)
    if (path := in_force(record, masks)) is not None:
        truth = cv2.resize(read_mask(path, "> 0").astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
        if truth.any():
            axis.contour(truth, levels=[0.5], colors="white", linewidths=0.9)
    for box in record["boxes"] if isinstance(record["boxes"], list) else []:
        x0, y0, x1, y1 = (value * scale for value in box["box_xyxy"])
        axis.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="white", linewidth=0.9)
    kind = _kind(record["defect_types"])
    axis.set_title(f"{title}{': ' + kind if kind else ''}  {record['anomaly_score']:.1f}", fontsize=8)


def _kind(defect_types: list[str]) -> str:
    """Defect types as a short title.

    >>> _kind(["open", "short", "spur"])
    'open +2'
    """
    first, more = (defect_types or [""])[0], len(defect_types) - 1
    return f"{first} +{more}" if more > 0 else first
