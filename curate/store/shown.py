"""What a person had before their eyes when they decided, as the database has it at that moment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate import drawn_masks
from curate.drawn_types import combined, known_values
from curate.store.failures import database_errors
from curate.store.fields import detector_fields, fiftyone, proposals_field
from curate.store.proposals import regions_of
from curate.store.verdicts import collection_of, values_in_use

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
    dataset_name: str, sample_ids: Sequence[str], detector: str, folder: Path, named: str | None = None
) -> dict[str, Row]:
    """Store the masks that are proposed now, as people may have edited them or drawn them from nothing.

    Args:
        folder: the dataset's drawn_masks.
        named: the defect type that a person names for the whole image; None: the regions' own count.

    Returns:
        drawn_mask (digest), drawn_type and drawn_classes by sample id, see curate.triage.accept_mask; samples
        without a proposed region are absent.
    """
    field = proposals_field(detector)
    wanted = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1, field: 1}
    found = collection_of(dataset_name).find({"sample_id": {"$in": list(sample_ids)}}, wanted)
    kept: dict[str, Row] = {}
    given: dict[str, int] = {}  # values of this call, whose masks are not in the log yet
    for row in found:
        detections: list[Mapping[str, Any]] = (row.get(field) or {}).get("detections") or []
        image_hw = row["metadata"]["height"], row["metadata"]["width"]
        found_types = [(named or name, box, mask) for name, box, mask in regions_of(detections, image_hw)]
        drawn = combined(found_types, image_hw, lambda: values_in_use(dataset_name) | given)
        given.update(known_values([{"mask_classes": drawn.classes}]))
        if drawn.mask.any():
            kept[row["sample_id"]] = {
                "drawn_mask": drawn_masks.store(folder, row["sample_id"], drawn.mask),
                "drawn_type": drawn.defect_type,
                "drawn_classes": drawn.classes,
            }
    return kept


@database_errors()
def detector_of(dataset_name: str, asked: str | None) -> str | None:
    """The detector whose proposals are meant: the one asked for, else that of the threshold in force.

    Without a threshold, it is the only one that has proposals; None: there is none, or there are several.
    """
    if asked:
        return detector_fields(asked)[0].removesuffix("_score")
    database = fiftyone("core.odm").get_db_conn()
    wanted = {"info.curate": 1, "sample_fields.name": 1}
    found = database["datasets"].find_one({"name": dataset_name}, wanted) or {}
    chosen: str | None = (found.get("info") or {}).get("curate", {}).get("detector")
    if chosen:
        return chosen
    names = [field["name"] for field in found.get("sample_fields") or ()]
    proposing = [name.removesuffix("_proposals") for name in names if name.endswith("_proposals")]
    return proposing[0] if len(proposing) == 1 else None
