"""How well a measured detector tells defects: image AUROC, and whose scores it is of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from curate.cost_images import Chosen
from curate.errors import Missing
from curate.files import fingerprint
from curate.steps.joined import with_scores
from curate.steps.record import Context, recorded

Settings = Mapping[str, Any]
SCORED, MEASURED = "curate score", "this measurement"


def accuracy(
    context: Context, detector: str, made_by: Settings, images: Chosen, scores: Mapping[str, float]
) -> dict[str, Any]:
    """Image AUROC on the test part: by scores of curate score where those are of the same fit, else own."""
    from curate.metrics import METRICS
    from curate.registry import lookup

    rows, origin = scored_before(context, detector, made_by, images), SCORED
    if rows is None:
        rows, origin = (
            images.shown.assign(anomaly_score=images.shown["sample_id"].map(scores)),
            MEASURED,
        )
    rows = rows[(rows["assigned_split"] == "test") & (rows["label"] != "unknown")]
    truth = (rows["label"] == "anomalous").to_numpy(dtype=bool)
    counts = {"n_normal": int((~truth).sum()), "n_anomalous": int(truth.sum())}
    if not truth.any() or truth.all():
        return {"image_auroc": None, "auroc_from": None, **counts}
    values = rows["anomaly_score"].to_numpy(dtype=np.float64)
    auroc = float(lookup(METRICS, "auroc", "metric").compute(values, truth))
    return {"image_auroc": auroc, "auroc_from": origin, **counts}


def scored_before(context: Context, detector: str, made_by: Settings, images: Chosen) -> pd.DataFrame | None:
    """Scores by curate score, where its detector was fitted on the same images with the same settings."""
    try:
        merged = with_scores(context, detector)
    except Missing:
        return None
    inputs = recorded(context.paths, context.paths.score_step(detector))["inputs"]
    own = set(merged[merged["category"] == images.category]["sample_id"]) & set(images.all_train)
    same = (
        fingerprint(inputs.get("made_by")) == fingerprint(made_by)
        and inputs.get("train") == fingerprint(images.all_train)
        and inputs.get("robust") is None
        and not (inputs.get("facts") or {}).get("n_anomalies")
        and own == set(images.train["sample_id"])
    )
    return merged[merged["category"] == images.category] if same else None
