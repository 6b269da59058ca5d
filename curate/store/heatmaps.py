"""Anomaly scores and maps as score and Heatmap fields, and what the threshold makes of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from curate.store.dataset import Progress, _silent, update
from curate.store.documents import object_id
from curate.store.failures import database_errors
from curate.store.fields import (
    OUTCOME,
    declare_detector,
    declare_outcome,
    detector_fields,
    fiftyone,
    suspicion_field,
)
from curate.store.loading import load, touch
from curate.store.queue_fields import save_margins
from curate.tables import to_rows

MAP_RANGE = [0.0, 255.0]
DECISIONS = "curate_decisions"
SUSPICION = "A normal training image that scores this many deviations above the others; left out of the fit."
Threshold = float | Mapping[str, float]


def save_predictions(
    dataset_name: str,
    detector: str,
    predictions: pd.DataFrame,
    display_root: Path,
    threshold: Threshold | None = None,
    *,
    progress: Progress = _silent,
) -> int:
    """Store a detector's scores and maps as the fields <detector>_score and <detector>_map.

    Args:
        predictions: after data_schemas/prediction.json.
        display_root: folder that display_map is relative to.
        threshold: see save_threshold; left out, `predicted` stays as it is.

    Returns:
        Number of samples of the dataset that were given a score.
    """
    with database_errors():
        declare_detector(load(dataset_name), detector)
    score, heatmap = detector_fields(detector)
    changes = {
        row["sample_id"]: {score: row["anomaly_score"], heatmap: _heatmap(row, heatmap, display_root)}
        for row in to_rows(predictions)
    }
    n_scored = update(dataset_name, changes, progress)
    if threshold is not None:
        save_threshold(dataset_name, detector, threshold)
    return n_scored


@database_errors()
def save_suspicions(dataset_name: str, detector: str, z: Mapping[str, float]) -> None:
    """Store how far above the others normal training images score that a detector was not fitted on.

    Args:
        z: robust standard deviations by sample id; all other samples get none.
    """
    field, dataset = suspicion_field(detector), load(dataset_name)
    if z and field not in dataset.get_field_schema():
        dataset.add_sample_field(field, fiftyone().FloatField, description=SUSPICION)
    clear(dataset_name, [field])
    update(dataset_name, {sample_id: {field: value} for sample_id, value in z.items()}, _silent)


def _heatmap(row: dict[str, Any], field: str, display_root: Path) -> dict[str, Any] | None:
    if row["display_map"] is None:
        return None
    return {
        "_id": object_id(row["sample_id"], field),
        "_cls": "Heatmap",
        "tags": [],
        "map_path": str(display_root / row["display_map"]),
        "range": MAP_RANGE,
    }


@database_errors()
def clear(dataset_name: str, fields: Iterable[str]) -> None:
    """Empty fields in every sample: scores and maps that are no longer to be trusted."""
    dataset = load(dataset_name)
    known = set(dataset.get_field_schema())
    changes: dict[str, Any] = {name: None for name in fields if name in known}
    if changes:
        changes["last_modified_at"] = datetime.now(UTC)
        dataset._sample_collection.update_many({}, {"$set": changes})
        touch(dataset)


@database_errors()
def save_threshold(
    dataset_name: str,
    detector: str,
    threshold: Threshold,
    review_from: Mapping[str, float] | None = None,
) -> None:
    """Set `predicted` of every scored sample: anomalous where the score is at or above the threshold.

    Its `margin` follows: how far the score lies from the threshold, see curate.margins.

    Args:
        threshold: one for all, or one per category; samples of other categories get no prediction.
        review_from: of the categories with a review band, where it begins; their samples get an `outcome`:
            pass below it, reject from the threshold on, and review between; without a threshold, review from
            there on.
    """
    dataset = load(dataset_name)
    declare_detector(dataset, detector)
    collection = dataset._sample_collection
    (score, _), now = detector_fields(detector), datetime.now(UTC)
    bands = dict(review_from or {})
    if bands:
        declare_outcome(dataset)
    collection.update_many(
        {}, {"$set": {"predicted": None, **({OUTCOME: None} if _has_outcome(dataset) else {})}}
    )
    by_category = threshold if isinstance(threshold, Mapping) else {"": threshold}
    for category, value in by_category.items():
        where: dict[str, Any] = {"category": category} if category else {}
        for label, condition in (("anomalous", {"$gte": value}), ("normal", {"$lt": value})):
            predicted = {"_id": "$_id", "_cls": "Classification", "tags": [], "label": label}
            collection.update_many(
                {**where, score: condition}, [{"$set": {"predicted": predicted, "last_modified_at": now}}]
            )
    for category, lower in bands.items():
        _set_outcomes(collection, score, category, lower, by_category.get(category))
    save_margins(dataset, score, by_category)
    plain = dict(threshold) if isinstance(threshold, Mapping) else threshold
    # keys with dots are not allowed in a document: categories are kept as pairs
    stored = [list(pair) for pair in plain.items()] if isinstance(plain, dict) else plain
    dataset.info["curate"] = {"detector": score.removesuffix("_score"), "threshold": stored}
    if bands:
        dataset.info["curate"]["review_from"] = [list(pair) for pair in bands.items()]
    dataset.save()


def _has_outcome(dataset: Any) -> bool:
    return OUTCOME in dataset.get_field_schema()


def _set_outcomes(collection: Any, score: str, category: str, lower: float, upper: float | None) -> None:
    """Set the outcome of one category's scored samples; see save_threshold."""
    ranges: dict[str, dict[str, float]] = {"pass": {"$lt": lower}, "review": {"$gte": lower}}
    if upper is not None:
        ranges["review"] = {"$gte": lower, "$lt": upper}
        ranges["reject"] = {"$gte": upper}
    for outcome, within in ranges.items():
        change = {OUTCOME: outcome, "last_modified_at": datetime.now(UTC)}
        collection.update_many({"category": category, score: within}, {"$set": change})


@database_errors()
def save_decisions(dataset_name: str, decisions: Sequence[Mapping[str, Any]]) -> None:
    """Store every decision about thresholds in the dataset's info, oldest first, for whoever reads it there.

    Args:
        decisions: after data_schemas/threshold_decision.json. In the info, by_category is a list of rows with
            a `category`: a document's key must not hold a dot.
    """
    dataset = load(dataset_name)
    dataset.info[DECISIONS] = [
        {
            **decision,
            "versions": [list(pair) for pair in decision["versions"].items()],
            "by_category": [{"category": name, **row} for name, row in decision["by_category"].items()],
        }
        for decision in decisions
    ]
    dataset.save()
