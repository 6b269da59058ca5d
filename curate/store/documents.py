"""Rows of the sample table as the documents that FiftyOne stores, and back.

Writing documents in bulk is ten times as fast as one object per sample; the tests let FiftyOne's own code
judge them. Ids follow from the sample's id, so that writing a row again changes nothing.
"""

import hashlib
import mimetypes
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from bson import ObjectId

from curate.schema import load
from curate.store.fields import FLOATS, INTEGERS, STRINGS
from curate.verdicts import EXTRA, Standing, fields, labelled

Row = dict[str, Any]
COMPUTED = {"label", "assigned_split", "verdict", "verdict_defect_type", "verdict_by"}
COPIED = [name for name in (*STRINGS, *INTEGERS, *FLOATS) if name not in COMPUTED]


@cache
def _suffix(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()[:8]


def object_id(sample_id: str, what: str) -> ObjectId:
    """Id of a sample's document, or of the label `what` in it; always the same for the same sample."""
    return ObjectId(sample_id + _suffix(what))


def sample_id_of(document_id: str) -> str:
    """Our sample id out of the id of its document, or of a label in it.

    >>> sample_id_of(str(object_id("00ff" * 4, "gt_mask")))
    '00ff00ff00ff00ff'
    """
    return document_id[:16]


def sample_document(row: Row, masks_folder: Path | None, held: Standing | None) -> Row:
    """What a row sets in its sample's document.

    Args:
        row: after data_schemas/sample.json.
        masks_folder: holds <sample_id>.png for samples that have a mask; None = no masks.
        held: the verdict that holds for this sample.
    """
    sample_id = row["sample_id"]
    document: Row = {name: row[name] for name in COPIED}
    document["filepath"] = row["filepath"]
    document["_media_type"] = "image"
    document["metadata"] = {
        "_cls": "ImageMetadata",
        "size_bytes": row["size_bytes"],
        "mime_type": mimetypes.guess_type(row["filepath"])[0] or "image",
        "width": row["width"],
        "height": row["height"],
        "num_channels": row["channels"],
    }
    document["ground_truth"] = {
        "_id": object_id(sample_id, "ground_truth"),
        "_cls": "Classification",
        "tags": [],
        "label": row["label"],
        "defect_types": row["defect_types"],
    }
    document["gt_mask"] = _segmentation(sample_id, masks_folder)
    document["boxes"] = _detections(row)
    return document | verdict_document(row["label"], row["defect_types"], held)


def verdict_document(label: str, defect_types: list[str], held: Standing | None) -> Row:
    """What follows from the verdicts for a sample whose source says `label` and `defect_types`."""
    now, types = labelled(label, defect_types, held)
    document: Row = {"label": now, "defect_types": types}
    if held is None:
        return document | dict.fromkeys(EXTRA)
    document |= fields(held)
    document["verdict_at"] = datetime.fromisoformat(document["verdict_at"])
    return document


def first_document(row: Row, dataset_id: ObjectId, now: datetime) -> Row:
    """What is set only when the sample is new."""
    return {
        "tags": [],
        "_rand": int(row["sample_id"], 16) / 2.0**64,
        "_dataset_id": dataset_id,
        "created_at": now,
    }


def _segmentation(sample_id: str, masks_folder: Path | None) -> Row | None:
    path = masks_folder / f"{sample_id}.png" if masks_folder else None
    if path is None or not path.exists():
        return None
    return {
        "_id": object_id(sample_id, "gt_mask"),
        "_cls": "Segmentation",
        "tags": [],
        "mask_path": str(path),
    }


def _detections(row: Row) -> Row | None:
    """Boxes relative to the image, as FiftyOne wants them, with the exact pixels beside."""
    if row["boxes"] is None:
        return None
    width, height = row["width"], row["height"]
    detections = []
    for index, box in enumerate(row["boxes"]):
        x0, y0, x1, y1 = box["box_xyxy"]
        detections.append(
            {
                "_id": object_id(row["sample_id"], f"boxes {index}"),
                "_cls": "Detection",
                "attributes": {},
                "tags": [],
                "label": box["defect_type"],
                "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
                "box_xyxy": [float(x0), float(y0), float(x1), float(y1)],
            }
        )
    return {"_cls": "Detections", "detections": detections}


def sample_row(document: Row) -> Row:
    """The row of a document, as the source delivered it, with assigned_split."""
    metadata, truth, boxes = document["metadata"], document["ground_truth"], document.get("boxes")
    row: Row = {name: document.get(name) for name in load("sample")["properties"]}
    row |= {"size_bytes": metadata["size_bytes"], "width": metadata["width"], "height": metadata["height"]}
    row |= {"label": truth["label"], "defect_types": list(truth["defect_types"])}
    row["boxes"] = boxes and [
        {"box_xyxy": found["box_xyxy"], "defect_type": found["label"]} for found in boxes["detections"]
    ]
    row["assigned_split"] = document.get("assigned_split")
    return row
