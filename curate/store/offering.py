"""Lets what is offered in the App follow a verdict at once: a rejected proposal goes, an undo brings it back.

The next sync comes to the same, from the tables; regions that a person edited or drew are left alone by both.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from curate import offered
from curate.store.documents import object_id
from curate.store.failures import database_errors
from curate.store.fields import proposals_field
from curate.store.proposals import as_stored, is_as_offered
from curate.store.verdicts import collection_of, read_log
from curate.workspace import DatasetPaths

Row = Mapping[str, Any]


@database_errors()
def follow(dataset_name: str, sample_ids: Sequence[str], detector: str, paths: DatasetPaths) -> None:
    """Make a detector's proposals follow from the verdicts, where a proposal was ever rejected.

    Args:
        detector: as its name stands in the fields.
    """
    given = read_log(dataset_name, sample_ids)
    concerned = {row["sample_id"] for row in given if row["verdict"] == "mask_rejected"}
    if not concerned:
        return
    field, collection = proposals_field(detector), collection_of(dataset_name)
    wanted = {"sample_id": 1, "sha256": 1, "metadata.width": 1, "metadata.height": 1, field: 1}
    found = list(collection.find({"sample_id": {"$in": sorted(concerned)}}, wanted))
    kept = offered.withheld(given, {row["sample_id"]: row["sha256"] for row in found})
    emptied = [row["sample_id"] for row in found if row.get(field) is None]
    again = _offered_again(paths, field, given, emptied)
    for row in found:
        name = row["sample_id"]
        image_hw = int(row["metadata"]["height"]), int(row["metadata"]["width"])
        if row.get(field) is not None:
            now = _left(row[field], name, image_hw, kept.rejected.get(name, ()))
        else:
            own = [each for each in again if each["sample_id"] == name]
            now = as_stored(field, own, image_hw) if own else None
        if now != row.get(field):
            collection.update_one({"_id": object_id(name, "sample")}, {"$set": {field: now}})


def _left(
    stored: dict[str, Any], sample_id: str, image_hw: tuple[int, int], rejected: Collection[str]
) -> dict[str, Any] | None:
    """Stored labels without the rejected ones; None where that leaves nothing that a person touched."""
    detections = stored["detections"]
    gone = [
        each
        for each in detections
        if each.get("digest") in rejected and is_as_offered(each, sample_id, image_hw)
    ]
    left = [each for each in detections if each not in gone]
    return {**stored, "detections": left} if left or not gone else None


def _offered_again(
    paths: DatasetPaths, field: str, given: Sequence[Row], sample_ids: Collection[str]
) -> list[dict[str, Any]]:
    """What is offered now of samples that nothing is stored for, out of the workspace's tables."""
    names = [*paths.detectors(), *offered.corrected(paths)]
    name = next((each for each in names if proposals_field(each) == field), None)
    if name is None or not sample_ids:
        return []
    return offered.rows(paths, name, given, sample_ids)
