"""What is shown beside an open image: each detector's map and score, its template, the nearest normals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate import score_standing
from curate.errors import CurateError
from curate.files import read_json
from curate.masks import read_mask
from curate.outlines import outer_outlines
from curate.pair_template import template_of
from curate.store.appearance import detectors_of
from curate.store.dataset import load
from curate.store.documents import object_id, sample_id_of
from curate.store.failures import database_errors
from curate.store.fields import detector_fields
from curate.store.nearest import nearest_normals

N_NEIGHBOURS = 6
MAX_OUTLINED = 1 << 22  # of pixels around the defects; larger masks are thinned first
IMAGE = {
    name: 1 for name in ("filepath", "view_path", "relative_path", "label", "assigned_split", "metadata")
}
NOT_EMBEDDED = "This image has not been embedded yet, so its nearest normal images are not known."
NO_NORMALS = "There is no other normal image of this category to compare with."
Row = dict[str, Any]


@database_errors()
def look(dataset_name: str, document_id: str, k: int = N_NEIGHBOURS) -> Row:
    """Everything that the panel shows of one image; paths are for the App's media address.

    Returns:
        image, outlines (an SVG path in pixels), boxes (x, y, width, height in pixels), detectors, template
        (None: it has none), nearest (None: not embedded) with their distances, and `missing`: why there are
        no nearest, in words.

    Raises:
        ValueError: the dataset has no such image.
        DatabaseDown: the database stopped.
    """
    dataset = load(dataset_name)
    collection = dataset._sample_collection
    document = collection.find_one({"_id": object_id(sample_id_of(document_id), "sample")})
    if document is None:
        raise ValueError("This image is not in the dataset any more. Load the page anew.")
    own = (dataset_name, document["sample_id"], document["category"], document["part_id"])
    near = nearest_normals(*own, k)
    ids = [object_id(each.sample_id, "sample") for each in near or []]
    rows = {row["_id"]: row for row in collection.find({"_id": {"$in": ids}}, IMAGE)}
    shown = [
        {**image_row(rows[each]), "distance": known.distance}
        for each, known in zip(ids, near or [], strict=True)
        if each in rows
    ]
    return {
        "image": {**image_row(document), "defect_types": document.get("defect_types") or []},
        "outlines": _outlines(document),
        "boxes": _boxes(document),
        "detectors": [_detector(dataset, document, name) for name in _with_score(dataset, document)],
        "template": _template(collection, document),
        "nearest": None if near is None else shown,
        "missing": NOT_EMBEDDED if near is None else "" if shown else NO_NORMALS,
    }


def image_row(document: Mapping[str, Any]) -> Row:
    """What the panels need of an image; made of the fields of IMAGE."""
    return {
        "id": str(document["_id"]),
        "path": document["relative_path"],
        "file": document.get("view_path") or document["filepath"],
        "width": document["metadata"]["width"],
        "height": document["metadata"]["height"],
        "label": document["label"],
        "split": document.get("assigned_split"),
    }


def _template(collection: Any, document: Mapping[str, Any]) -> Row | None:
    """The template of a tested image; see curate.pair_template."""
    alike = {name: document[name] for name in ("part_id", "category", "source")}
    others = {row["relative_path"]: row for row in collection.find(alike, IMAGE)}
    found = template_of(document["relative_path"], others)
    return None if found is None else image_row(others[found])


# ---- the ground truth


def _outlines(document: Mapping[str, Any]) -> str:
    """Outlines of the mask in force as an SVG path; empty without a mask, or with one that cannot be read."""
    path = (document.get("gt_mask") or {}).get("mask_path")
    try:
        mask = read_mask(Path(path)) if path else np.zeros((1, 1), dtype=np.bool_)
    except CurateError:  # `curate check` reports it; the rest of the panel is still of use
        return ""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return ""
    top, left = int(rows[0]), int(columns[0])
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    step = max(1, int(np.ceil(np.sqrt(crop.size / MAX_OUTLINED))))
    lines = [each * step + (left, top) for each in outer_outlines(crop[::step, ::step])]
    return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) + "Z" for line in lines)


def _boxes(document: Mapping[str, Any]) -> list[list[float]]:
    """The source's boxes, where no person has drawn a mask instead."""
    if document["label"] == "normal" or document.get("verdict_mask"):
        return []
    found = (document.get("boxes") or {}).get("detections") or []
    corners = [each["box_xyxy"] for each in found]
    return [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in corners]


# ---- the detectors


def _with_score(dataset: Any, document: Mapping[str, Any]) -> list[str]:
    return [name for name in detectors_of(dataset) if document.get(detector_fields(name)[0]) is not None]


def _detector(dataset: Any, document: Mapping[str, Any], name: str) -> Row:
    score_field, map_field = detector_fields(name)
    score = float(document[score_field])
    path = (document.get(map_field) or {}).get("map_path")
    threshold, review_from = thresholds(dataset, name, document["category"])
    return {
        "name": name,
        "score": score_standing.shown(score),
        "map": path,
        "range": _range(path),
        "decision": score_standing.against_threshold(score, threshold, review_from),
        "standing": _standing(dataset._sample_collection, document, score_field, score),
        "alarm": threshold is not None and score >= threshold,
    }


def thresholds(dataset: Any, detector: str, category: str) -> tuple[float | None, float | None]:
    """The threshold in force and where its review band begins; None where there is none.

    Args:
        detector: as its name stands in the fields.
    """
    held = dataset.info.get("curate") or {}
    if held.get("detector") != detector:
        return None, None
    told = held.get("threshold")
    threshold = dict(told).get(category) if isinstance(told, list) else told
    return threshold, dict(held.get("review_from") or []).get(category)


def _standing(collection: Any, document: Mapping[str, Any], field: str, score: float) -> str:
    """Where a score stands among the normal calibration images of its category, else all its normal ones."""
    normal: Row = {"category": document["category"], "label": "normal", "_id": {"$ne": document["_id"]}}
    normal[field] = {"$ne": None}
    which, wanted = score_standing.CALIBRATION, {field: 1, "_id": 0}
    found = list(collection.find({**normal, "assigned_split": "calibration"}, wanted))
    if not found:
        which, found = score_standing.OTHERS, list(collection.find(normal, wanted))
    below, equal = sum(row[field] < score for row in found), sum(row[field] == score for row in found)
    return score_standing.among_normals(below, equal, len(found), which)


def _range(map_path: str | None) -> str:
    """Between which map values the colours lie; one range for all images of a detector."""
    for folder in list(Path(map_path).parents)[:3] if map_path else []:
        if (report := folder / "report.json").exists():
            ends = read_json(report).get("display_range") or []
            return " to ".join(score_standing.shown(end) for end in ends)
    return ""
