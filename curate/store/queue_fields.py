"""The fields that queues are sorted by: margin, disagreement, coverage gap, severity, arrival."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from curate.margins import spreads
from curate.store.dataset import BATCH, Progress, _silent, update
from curate.store.failures import database_errors
from curate.store.fields import DESCRIPTIONS, OF_QUEUES, add_fields, declare_indexes, fiftyone
from curate.store.loading import load, touch

MARGIN, DISAGREEMENT, GAP = OF_QUEUES
SEVERITY, ARRIVED = "severity", "arrived_at"
FIELDS = {
    MARGIN: ("FloatField", "From score to threshold, in spreads of the category's normal scores."),
    DISAGREEMENT: ("FloatField", "Of detectors: at 1, one finds the image ten times as rare as another."),
    GAP: ("IntField", "1 is least like anything decided; 2 is so once 1 is decided, and so on."),
    SEVERITY: ("IntField", "Of the worst finding: 3 an error, 2 a warning, 1 a note."),
    ARRIVED: ("DateTimeField", DESCRIPTIONS[ARRIVED]),
}  # fmt: skip
FEW = 50  # different values that are written one statement each


@database_errors()
def declare(dataset_name: str, field: str) -> None:
    """Give a dataset one of FIELDS, and an index for it."""
    dataset = load(dataset_name)
    if field not in dataset.get_field_schema():
        kind, about = FIELDS[field]
        add_fields(dataset, {field: {"ftype": getattr(fiftyone(), kind), "description": about}})
    declare_indexes(dataset, [field])


@database_errors()
def save(dataset_name: str, field: str, values: Mapping[str, Any], progress: Progress = _silent) -> int:
    """Store a field of the samples named, and empty it in all others; what is stored already is left alone.

    Args:
        values: by sample id, as stored.

    Returns:
        Number of samples that were changed.
    """
    declare(dataset_name, field)
    dataset = load(dataset_name)
    collection = dataset._sample_collection
    held = {
        row["sample_id"]: row.get(field) for row in collection.find({}, {"sample_id": 1, field: 1, "_id": 0})
    }
    changed = {one: values.get(one) for one, value in held.items() if values.get(one) != value}
    by_value: dict[Any, list[str]] = defaultdict(list)
    for one, value in changed.items():
        by_value[value].append(one)
    if len(by_value) > FEW:
        return update(dataset_name, {one: {field: value} for one, value in changed.items()}, progress)
    for value, ids in by_value.items():
        _set(collection, field, value, ids, whole=len(ids) == len(held))
    if changed:
        touch(dataset)
    return len(changed)


def _set(collection: Any, field: str, value: Any, ids: list[str], whole: bool) -> None:
    change = {"$set": {field: value, "last_modified_at": datetime.now(UTC)}}
    if whole:
        collection.update_many({}, change)
        return
    for start in range(0, len(ids), BATCH):
        collection.update_many({"sample_id": {"$in": ids[start : start + BATCH]}}, change)


def save_margins(dataset: Any, score: str, by_category: Mapping[str, float]) -> None:
    """Store how far scores lie from their category's threshold, see curate.margins; all others lose theirs.

    Args:
        score: field of the scores.
        by_category: thresholds; under "", that of all categories.
    """
    declare(dataset.name, MARGIN)
    collection = dataset._sample_collection
    wanted = {"category": 1, "label": 1, "assigned_split": 1, "score": f"${score}", "_id": 0}
    units = spreads(collection.find({score: {"$ne": None}}, wanted))
    collection.update_many({MARGIN: {"$ne": None}}, {"$set": {MARGIN: None}})
    now = datetime.now(UTC)
    for category, unit in units.items():
        threshold = by_category.get(category, by_category.get(""))
        if threshold is None:
            continue
        distance = {"$divide": [{"$abs": {"$subtract": [f"${score}", threshold]}}, unit]}
        collection.update_many(
            {"category": category, score: {"$ne": None}},
            [{"$set": {MARGIN: distance, "last_modified_at": now}}],
        )


@database_errors()
def scores_of(dataset_name: str, fields: Collection[str]) -> list[dict[str, Any]]:
    """sample_id, category and some score fields of every sample that has at least one of the scores."""
    collection = load(dataset_name)._sample_collection
    scored = {"$or": [{field: {"$ne": None}} for field in fields]}
    return list(
        collection.find(scored, {"sample_id": 1, "category": 1, "_id": 0, **dict.fromkeys(fields, 1)})
    )


@database_errors()
def decided(dataset_name: str) -> set[str]:
    """Sample ids of the images that somebody has decided on."""
    found = load(dataset_name)._sample_collection.find({"verdict": {"$ne": None}}, {"sample_id": 1, "_id": 0})
    return {row["sample_id"] for row in found}


@database_errors()
def gaps_are_spent(dataset_name: str) -> bool:
    """Whether more than half of the images that were picked as gaps of coverage are decided by now."""
    collection = load(dataset_name)._sample_collection
    picked = {GAP: {"$ne": None}}
    n_picked = int(collection.count_documents(picked))
    n_open = int(collection.count_documents({**picked, "verdict": None}))
    return 2 * n_open < n_picked


@database_errors()
def created(dataset_name: str) -> dict[str, datetime]:
    """When the database first got each sample, UTC."""
    found = load(dataset_name)._sample_collection.find({}, {"sample_id": 1, "created_at": 1, "_id": 0})
    return {row["sample_id"]: row["created_at"].replace(tzinfo=UTC) for row in found}
