"""Proposed masks in the FiftyOne dataset, as Detections that the App's Annotate mode can edit.

What a person has edited there is theirs: it is never overwritten. Whether they did is told from the label
itself, which carries the digest of the mask that was stored and how many there were in the image.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from bson import Binary

from curate.drawn_types import Region
from curate.images import Array
from curate.proposal_table import crop_of, digest
from curate.store.dataset import BATCH, Progress, _silent, update
from curate.store.documents import object_id
from curate.store.failures import database_errors
from curate.store.fields import fiftyone, proposals_field
from curate.store.loading import load, touch

LABEL = "proposal"
ABOUT = "Proposed defect regions with their masks, to be accepted, edited or rejected."
SHIFT_PX = 1e-6
FACTS = ("area_px", "contrast", "map_max", "method", "digest")
MADE = "made_label"  # what a label said when it was stored
Row = dict[str, Any]


@database_errors()
def save_proposals(
    dataset_name: str,
    detector: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    progress: Progress = _silent,
) -> list[str]:
    """Store proposals in the field <detector>_proposals; samples without any have None there.

    Args:
        rows: of curate.offered.rows; those of data_schemas/proposal.json are.
        progress: told the number of samples written.

    Returns:
        Sample ids whose proposals a person has edited: those are left as they are.
    """
    dataset, field = load(dataset_name), proposals_field(detector)
    _declare(dataset, field)
    edited = _clear(dataset, field)
    by_sample: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_sample.setdefault(row["sample_id"], []).append(row)
    wanted = sorted(set(by_sample) - set(edited))
    sizes = _sizes(dataset, wanted)
    changes = {
        name: {field: as_stored(field, by_sample[name], sizes[name])} for name in wanted if name in sizes
    }
    update(dataset_name, changes, progress)
    return edited


@database_errors()
def remove_proposals(dataset_name: str, detector: str) -> list[str]:
    """Empty the field of a detector's proposals; returns the sample ids of edited ones, which stay."""
    dataset, field = load(dataset_name), proposals_field(detector)
    return _clear(dataset, field) if field in dataset.get_field_schema() else []


@database_errors()
def samples_of_view(dataset_name: str, view: str) -> list[str]:
    """Sample ids of a saved view.

    Raises:
        ValueError: there is no such view; lists those there are.
    """
    dataset = load(dataset_name)
    if view not in dataset.list_saved_views():
        known = ", ".join(dataset.list_saved_views()) or "none yet"
        raise ValueError(f'Dataset "{dataset_name}" has no saved view "{view}" (it has: {known}).')
    found: list[str] = dataset.load_saved_view(view).values("sample_id")
    return found


def mask_of_detections(detections: Iterable[Mapping[str, Any]], image_hw: tuple[int, int]) -> Array:
    """The mask that stored labels are together, those that the App has edited or drawn too: (H, W) bool.

    Args:
        detections: as in the database: bounding_box, relative to the image, and mask, packed.
        image_hw: height and width of the image. A mask of another size than its box in pixels is stretched
            over it by nearest neighbour. Labels without a mask count with their whole box.
    """
    mask = np.zeros(image_hw, dtype=np.bool_)
    for _, (x0, y0, x1, y1), crop in regions_of(detections, image_hw):
        mask[y0:y1, x0:x1] |= crop
    return mask


def regions_of(detections: Iterable[Mapping[str, Any]], image_hw: tuple[int, int]) -> list[Region]:
    """Stored labels as regions for curate.drawn_types.combined; see mask_of_detections.

    Those that nobody gave a defect type have None, and those without a pixel are left out.
    """
    out: list[Region] = []
    for each in detections:
        x0, y0, x1, y1 = box_of(each["bounding_box"], image_hw)
        if x1 > x0 and y1 > y0:
            name = each.get("label")
            own = _fitted(each.get("mask"), (y1 - y0, x1 - x0))
            out.append((None if name in (None, "", LABEL) else str(name), (x0, y0, x1, y1), own))
    return out


def relative_box(box_xyxy: tuple[int, int, int, int], image_hw: tuple[int, int]) -> list[float]:
    """The reverse of box_of, shifted by a millionth of a pixel.

    FiftyOne cuts off what follows the point; without the shift a rounding error would cost a whole pixel.
    """
    height, width = image_hw
    x0, y0, x1, y1 = box_xyxy
    return [(x0 + SHIFT_PX) / width, (y0 + SHIFT_PX) / height, (x1 - x0) / width, (y1 - y0) / height]


def box_of(bounding_box: Sequence[float], image_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """The pixels of a relative box (left, top, width, height), half-open and inside of the image.

    >>> box_of([0.5, 0.25, 0.25, 0.5], (48, 64))
    (32, 12, 48, 36)
    """
    height, width = image_hw
    left, top, across, down = bounding_box
    xs = [min(max(round(edge * width), 0), width) for edge in (left, left + across)]
    ys = [min(max(round(edge * height), 0), height) for edge in (top, top + down)]
    return xs[0], ys[0], xs[1], ys[1]


def is_edited(detections: Sequence[Mapping[str, Any]], sample_id: str, image_hw: tuple[int, int]) -> bool:
    """Whether stored labels of an image differ from those that were proposed: moved, drawn, new or fewer."""
    if not detections:
        return True  # images without a proposal have no list at all
    for each in detections:
        if not is_as_offered(each, sample_id, image_hw) or each.get("n_in_image") != len(detections):
            return True
    return False


def is_as_offered(each: Mapping[str, Any], sample_id: str, image_hw: tuple[int, int]) -> bool:
    """Whether a stored label is as it was when it was offered."""
    x0, y0, x1, y1 = box = box_of(each["bounding_box"], image_hw)
    own = _fitted(each.get("mask"), (y1 - y0, x1 - x0))
    named = each.get("label") == (each.get(MADE) or LABEL)
    return named and each.get("digest") == digest(sample_id, box, own)


def _fitted(packed: bytes | None, box_hw: tuple[int, int]) -> Array:
    """A stored mask at the size of its box, (h, w) bool."""
    if packed is None:
        return np.ones(box_hw, dtype=np.bool_)
    own = np.asarray(fiftyone("core.utils").deserialize_numpy_array(packed)) > 0
    rows, columns = (
        np.minimum((np.arange(side) + 0.5) * had / side, had - 1).astype(np.int64)
        for side, had in zip(box_hw, own.shape, strict=True)
    )
    return np.asarray(own[rows][:, columns])


def as_stored(field: str, rows: Sequence[Mapping[str, Any]], image_hw: tuple[int, int]) -> Row:
    """One image's proposals as FiftyOne stores them."""
    pack = fiftyone("core.utils").serialize_numpy_array
    detections = []
    for row in rows:
        x0, y0, x1, y1 = row["box_xyxy"]
        detections.append(
            {
                "_id": object_id(row["sample_id"], f"{field} {row['proposal']} {row['digest']}"),
                "_cls": "Detection",
                "attributes": {},
                "tags": [],
                "label": row.get("label") or LABEL,
                MADE: row.get("label") or LABEL,
                "confidence": row["confidence"],
                "bounding_box": relative_box((x0, y0, x1, y1), image_hw),
                "mask": Binary(pack(crop_of(row).astype(np.uint8))),
                **{name: row[name] for name in FACTS},
                "n_in_image": len(rows),
            }
        )
    return {"_cls": "Detections", "detections": detections}


def _declare(dataset: Any, field: str) -> None:
    """Give a dataset the field, and let the App's Annotate mode edit it."""
    fo = fiftyone()
    known = set(dataset.get_field_schema(flat=True))
    if field not in known:
        dataset.add_sample_field(
            field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections, description=ABOUT
        )
    kinds = {
        "area_px": fo.IntField, "contrast": fo.FloatField, "map_max": fo.FloatField,
        "method": fo.StringField, "digest": fo.StringField, MADE: fo.StringField, "n_in_image": fo.IntField,
    }  # fmt: skip
    for name, kind in kinds.items():
        path = f"{field}.detections.{name}"
        if path not in known:
            dataset.add_sample_field(path, kind)
    schemas = dataset.label_schemas
    classes = [LABEL, *sorted(filter(None, dataset.distinct("defect_types")))]
    made = dataset.generate_label_schemas(fields=[field], scan_samples=False)
    made = made.get(field, made) | {"classes": classes, "component": "dropdown"}
    if schemas.get(field) != made:
        dataset.set_label_schemas({**schemas, field: made})
        dataset.activate_label_schemas([field])


def _clear(dataset: Any, field: str) -> list[str]:
    """Empty a field where nobody edited it; returns the sample ids where somebody did."""
    collection = dataset._sample_collection
    wanted = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1, field: 1}
    edited: list[str] = []
    stale: list[str] = []
    for document in collection.find({field: {"$ne": None}}, wanted):
        name, found = document["sample_id"], document[field].get("detections") or []
        image_hw = document["metadata"]["height"], document["metadata"]["width"]
        (edited if is_edited(found, name, image_hw) else stale).append(name)
    for start in range(0, len(stale), BATCH):
        names = stale[start : start + BATCH]
        collection.update_many({"sample_id": {"$in": names}}, {"$set": {field: None}})
    touch(dataset)
    return sorted(edited)


def _sizes(dataset: Any, sample_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Height and width of samples by id."""
    found = {}
    for start in range(0, len(sample_ids), BATCH):
        names = list(sample_ids[start : start + BATCH])
        wanted = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1}
        for document in dataset._sample_collection.find({"sample_id": {"$in": names}}, wanted):
            size = document["metadata"]
            found[document["sample_id"]] = int(size["height"]), int(size["width"])
    return found
