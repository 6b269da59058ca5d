"""Step: chooses a threshold per category on the calibration part, and tells what it gives on the test."""

from typing import Any

import numpy as np
import pandas as pd

from curate.errors import CurateError
from curate.files import write_json
from curate.metrics import METRICS
from curate.registry import lookup
from curate.steps import labels
from curate.steps.joined import masks_digest, set_aside, with_scores
from curate.steps.record import Context, digest, once
from curate.threshold_evidence import Evidence
from curate.thresholds import THRESHOLDS


def run(context: Context, detector: str, rule: str = "f1_max") -> dict[str, Any]:
    """Choose thresholds with a rule; the test part is never looked at for the choice.

    Returns:
        detector, rule, by_category (category -> threshold, calibration and test figures), test, fresh.

    Raises:
        ValueError: no such rule.
        Missing: the dataset has not been split or scored.
        CurateError: a category has no calibration image the rule needs.
    """
    paths = context.paths
    lookup(THRESHOLDS, rule, "threshold rule")
    predictions = paths.detector(detector) / "predictions.parquet"
    inputs = {
        "detector": detector,
        "rule": rule,
        "predictions": digest(predictions),
        "split": digest(paths.split),
        "samples": digest(paths.samples),
        "verdicts": labels.digest(context),
        "masks": masks_digest(context),
        "set_aside": set_aside(context, detector),
    }
    merged = with_scores(context, detector)  # also refuses scores that are no longer those of the images

    def work() -> dict[str, Any]:
        result = _choose(context, merged, detector, rule)
        write_json(paths.threshold, result)
        return result

    return once(paths, "threshold", inputs, [paths.threshold], work)


def _choose(context: Context, merged: pd.DataFrame, detector: str, rule: str) -> dict[str, Any]:
    from curate.steps.pixels import pixel_auroc

    by_category, problems = {}, []
    for category, rows in merged.groupby("category", sort=True):
        known = rows[rows["label"] != "unknown"]
        calibration = known[known["assigned_split"] == "calibration"]
        try:
            scores, labels = _arrays(calibration)
            evidence = Evidence.of(scores, labels)
            threshold = lookup(THRESHOLDS, rule, "threshold rule").choose(evidence).threshold
        except ValueError as error:
            problems.append(f"category {category}: {error}")
            continue
        test = known[known["assigned_split"] == "test"]
        by_category[str(category)] = {
            "threshold": threshold,
            "calibration": figures(calibration, threshold),
            "test": figures(test, threshold) | {"pixel_auroc": pixel_auroc(context, test, detector)},
        }
    if problems:
        raise CurateError(
            f"CurateError: the rule {rule} cannot choose a threshold on the calibration part:\n  "
            + "\n  ".join(problems)
            + '\nGive the split more calibration images, or use the rule "max_normal", which needs no defect.'
        )
    return {"detector": detector, "rule": rule, "by_category": by_category, "test": _mean(by_category)}


def _arrays(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows["anomaly_score"].to_numpy(dtype=np.float64), (rows["label"] == "anomalous").to_numpy(
        dtype=bool
    )


def figures(rows: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Counts and figures of one part at a threshold; a figure that needs a missing label is None."""
    scores, labels = _arrays(rows)
    alarms = scores >= threshold
    n_anomalous, n_normal = int(labels.sum()), int((~labels).sum())
    both = n_anomalous > 0 and n_normal > 0
    return {
        "n_normal": n_normal,
        "n_anomalous": n_anomalous,
        "n_false_alarms": int((alarms & ~labels).sum()),
        "n_missed": int((~alarms & labels).sum()),
        "image_auroc": float(lookup(METRICS, "auroc", "metric").compute(scores, labels)) if both else None,
        "f1": float(lookup(METRICS, "f1", "metric").compute(alarms, labels)) if n_anomalous else None,
    }


def _mean(by_category: dict[str, Any]) -> dict[str, Any]:
    """Means over the categories, counts summed, of the test figures."""
    rows = [row["test"] for row in by_category.values()]
    out: dict[str, Any] = {
        key: sum(row[key] for row in rows)
        for key in ("n_normal", "n_anomalous", "n_false_alarms", "n_missed")
    }
    for key in ("image_auroc", "f1", "pixel_auroc"):
        values = [row[key] for row in rows if row[key] is not None]
        out[key] = float(np.mean(values)) if values else None
    return out
