"""What a person had before their eyes when they decided, as the database has it at that moment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate import drawn_masks
from curate.store.failures import database_errors
from curate.store.fields import detector_fields, fiftyone, proposals_field
from curate.store.proposals import mask_of_detections
from curate.store.verdicts import collection_of

Row = dict[str, Any]


@database_errors()
def shown_to(
    dataset_name: str, sample_ids: Sequence[str], place: str, detector: str | None
) -> dict[str, Row]:
    """`shown` of a verdict after data_schemas/verdict.json, by sample id.

    Args:
        place: "image", "grid", or the tool that the decision came back from.
        detector: whose map was shown; None: none was.
    """
    thresholds = _thresholds(dataset_name)
    field = proposals_field(detector) if detector else "nothing"
    wanted = {"sample_id": 1, "category": 1, f"{field}.detections.digest": 1}
    found = collection_of(dataset_name).find({"sample_id": {"$in": list(sample_ids)}}, wanted)
    return {
        row["sample_id"]: {
            "place": place,
            "detector": detector,
            "threshold": thresholds.get(row["category"], thresholds.get(None)),
            "proposals": [
                each["digest"]
                for each in (row.get(field) or {}).get("detections", [])
                if each.get("digest")  # what a person drew has none
            ],
        }
        for row in found
    }


def _thresholds(dataset_name: str) -> dict[str | None, float]:
    """Threshold in force by category; under None where one is for all."""
    database = fiftyone("core.odm").get_db_conn()
    info = (database["datasets"].find_one({"name": dataset_name}, {"info.curate": 1}) or {}).get("info") or {}
    held = info.get("curate", {}).get("threshold")
    if isinstance(held, list):
        return {name: value for name, value in held if value is not None}
    return {} if held is None else {None: float(held)}


@database_errors()
def keep_proposed(
    dataset_name: str, sample_ids: Sequence[str], detector: str, folder: Path
) -> dict[str, str]:
    """Store the masks that are proposed now, as people may have edited them; digest by sample id.

    Samples without a proposed region are absent.

    Args:
        folder: the dataset's drawn_masks.
    """
    field = proposals_field(detector)
    wanted = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1, field: 1}
    found = collection_of(dataset_name).find({"sample_id": {"$in": list(sample_ids)}}, wanted)
    kept = {}
    for row in found:
        detections: list[Mapping[str, Any]] = (row.get(field) or {}).get("detections") or []
        mask = mask_of_detections(detections, (row["metadata"]["height"], row["metadata"]["width"]))
        if mask.any():
            kept[row["sample_id"]] = drawn_masks.store(folder, row["sample_id"], mask)
    return kept


@database_errors()
def detector_of(dataset_name: str, asked: str | None) -> str | None:
    """The detector whose proposals are meant: the one asked for, else that of the threshold in force."""
    if asked:
        return detector_fields(asked)[0].removesuffix("_score")
    database = fiftyone("core.odm").get_db_conn()
    info = (database["datasets"].find_one({"name": dataset_name}, {"info.curate": 1}) or {}).get("info") or {}
    chosen: str | None = info.get("curate", {}).get("detector")
    return chosen
