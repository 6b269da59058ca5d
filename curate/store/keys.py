"""What the keys of the triage page need from the database: an order to walk in, and what a decision did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.hot_region import hottest
from curate.images import read_image
from curate.store import shown, verdicts
from curate.store.acting import act, known_defect_types, user
from curate.store.appearance import detectors_of
from curate.store.dataset import load
from curate.store.documents import object_id, sample_id_of
from curate.store.failures import database_errors
from curate.store.fields import detector_fields, proposals_field
from curate.verdicts import EXTRA

N_NUMBER_KEYS = 9
SHOWN = ["label", "defect_types", *EXTRA]
ABOUT_MASKS = ("accept_mask", "reject_mask")
NONE_PROPOSED = "no mask is proposed here. `curate propose` makes proposals from the maps."


@database_errors()
def begin(dataset_name: str, view: Any = None) -> dict[str, list[str]]:
    """What a page asks for before its first key.

    The ids are the walk through the view as it is now. The App itself skips what it has shown in a view, by
    number; in one that decided images leave, it would pass over as many others unseen.

    Args:
        view: a FiftyOne view in the order of the grid; None = no image is open.

    Returns:
        defect_types in alphabetical order; map, mask and proposal fields; and ids of the view's documents.
    """
    dataset = load(dataset_name)
    known = set(dataset.get_field_schema())
    detectors = detectors_of(dataset)
    maps, proposals = (
        [detector_fields(name)[1] for name in detectors],
        list(map(proposals_field, detectors)),
    )
    return {
        "defect_types": known_defect_types(dataset_name)[:N_NUMBER_KEYS],
        "maps": [name for name in maps if name in known],
        "masks": ["gt_mask"],
        "proposals": [name for name in proposals if name in known],
        "ids": [] if view is None else [str(found) for found in view.values("_id")],
    }


@database_errors()
def decide(
    dataset_name: str,
    operator: str,
    document_ids: Sequence[str],
    defect_type: str | None = None,
    **looked: Any,
) -> dict[str, Any]:
    """Store one decision, and tell what holds now.

    Args:
        operator: name in curate.triage.TRIAGE.
        document_ids: of samples. None with "undo": the samples of the person's last decision.
        defect_type: only with "mark_anomalous" and "accept_mask"; None keeps the types of the source.
        looked: place, detector and seconds, see acting.act.

    Returns:
        n_verdicts stored, and samples: the fields of each concerned document as the App reads them.

    Raises:
        ValueError: unknown operator, or a defect type that cannot be used.
        CurateError: it is about a mask, and none is proposed.
        DatabaseDown: the database stopped.
    """
    concerned = [sample_id_of(document_id) for document_id in document_ids]
    if not concerned and operator == "undo":
        concerned = verdicts.last_decided(dataset_name, user())
    if operator in ABOUT_MASKS:
        concerned = _proposed(dataset_name, concerned, looked.get("detector"))
    ids = [object_id(sample_id, "sample") for sample_id in concerned]
    options: dict[str, Any] = {} if defect_type is None else {"defect_type": defect_type}
    n_verdicts = act(dataset_name, operator, list(map(str, ids)), **looked, **options) if ids else 0
    if not n_verdicts:
        return {"n_verdicts": 0, "samples": []}
    wanted = dict.fromkeys(["relative_path", *SHOWN], 1)
    found = verdicts.collection_of(dataset_name).find({"_id": {"$in": ids}}, wanted)
    return {"n_verdicts": n_verdicts, "samples": [_as_read(document) for document in found]}


def _proposed(dataset_name: str, sample_ids: Sequence[str], detector: str | None) -> list[str]:
    """Those samples that have a proposed mask.

    Raises:
        CurateError: none has one.
    """
    meant = shown.detector_of(dataset_name, detector)
    wanted = {
        "sample_id": {"$in": list(sample_ids)},
        f"{proposals_field(meant or 'no')}.detections.0": {"$exists": True},
    }
    found = {row["sample_id"] for row in verdicts.collection_of(dataset_name).find(wanted, {"sample_id": 1})}
    if not found:
        raise CurateError(NONE_PROPOSED)
    return [sample_id for sample_id in sample_ids if sample_id in found]


@database_errors()
def strongest(dataset_name: str, document_id: str, detector: str | None) -> list[float] | None:
    """The place of an image that a detector complains about most.

    That is the proposal with the highest map value; where there is none, the strongest region of the map.

    Args:
        document_id: of the sample.
        detector: whose; None: that of the threshold.

    Returns:
        Box as FiftyOne has it: left, top, width and height, as shares of the image's; None where the detector
        has said nothing.
    """
    meant = shown.detector_of(dataset_name, detector)
    if meant is None:
        return None
    proposals, heatmap = proposals_field(meant), detector_fields(meant)[1]
    wanted = {
        f"{proposals}.detections.bounding_box": 1,
        f"{proposals}.detections.map_max": 1,
        f"{heatmap}.map_path": 1,
    }
    where = {"_id": object_id(sample_id_of(document_id), "sample")}
    found = verdicts.collection_of(dataset_name).find_one(where, wanted) or {}
    if detections := (found.get(proposals) or {}).get("detections"):
        best: Mapping[str, Any] = max(detections, key=lambda each: each.get("map_max") or float("-inf"))
        return list(best["bounding_box"])
    path = (found.get(heatmap) or {}).get("map_path")
    if path is None or not Path(path).is_file():
        return None
    shades = read_image(Path(path))[:, :, 0]
    box = hottest(shades)
    if box is None:
        return None
    (height, width), (x0, y0, x1, y1) = shades.shape, box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def _as_read(document: dict[str, Any]) -> dict[str, Any]:
    """A document's fields as the App's pages hold them."""
    at = document["verdict_at"]
    moment = None if at is None else {"_cls": "DateTime", "datetime": round(at.timestamp() * 1000)}
    return {**document, "_id": str(document["_id"]), "verdict_at": moment}
