"""Rows of the sample table as the documents that FiftyOne stores, and back.

Writing documents in bulk is ten times as fast as one object per sample; the tests let FiftyOne's own code
judge them. Ids follow from the sample's id, so that writing a row again changes nothing.
"""

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from bson import ObjectId

from curate.opinions import Standing
from curate.schema import load
from curate.store.fields import FLOATS, INTEGERS, STRINGS, TRUTH, VIEW
from curate.truth import shown
from curate.verdicts import EXTRA, fields, labelled

Row = dict[str, Any]
COMPUTED = {
    "label",
    "assigned_split",
    "verdict",
    "verdict_defect_type",
    "verdict_by",
    "verdict_mask",
    "second_opinion",
    VIEW,
    *TRUTH,
}
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


class Folders:
    """Which files the workspace made for the samples; the folders are listed once.

    Args:
        masks: holds <sample_id>.png for samples that have a mask; None = no masks.
        media: holds <sample_id>-<checksum>.<suffix> for images that a browser cannot show; None = no copies.
        drawn: of the masks that people accepted or drew; None = none.
    """

    def __init__(
        self, masks: Path | None = None, media: Path | None = None, drawn: Path | None = None
    ) -> None:
        self.drawn = drawn
        self._masks = {path.stem: path for path in masks.glob("*.png")} if masks else {}
        self._media = {path.stem: path for path in media.glob("*-*.*")} if media else {}

    def mask(self, sample_id: str) -> Path | None:
        """The mask that ingest made of a sample."""
        return self._masks.get(sample_id)

    def view(self, row: Mapping[str, Any]) -> str:
        """What the browser shows of a sample: the copy that was made for it, else the image itself."""
        found = self._media.get(f"{row['sample_id']}-{row['sha256'][:8]}")
        return str(found) if found else str(row["filepath"])


def sample_document(row: Row, folders: Folders, held: Standing | None) -> Row:
    """What a row sets in its sample's document.

    Args:
        row: after data_schemas/sample.json.
        held: the verdict that holds for this sample.
    """
    sample_id = row["sample_id"]
    document: Row = {name: row[name] for name in COPIED}
    document["filepath"] = row["filepath"]
    document[VIEW] = folders.view(row)
    document |= {name: _as_stored(row[name]) for name in TRUTH}
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
    document["boxes"] = _detections(row)
    return document | verdict_document(row, held, folders.mask(sample_id), folders.drawn)


def verdict_document(
    row: Mapping[str, Any], held: Standing | None, made: Path | None, drawn: Path | None
) -> Row:
    """What follows from the verdicts for a sample: its label and defect types, and which mask is in force.

    Args:
        row: sample_id, label and defect_types as the source delivered them.
        held: the verdicts that hold for this sample.
        made: the mask that ingest made; None: there is none.
        drawn: folder of the masks that people accepted or drew; None: there are none.
    """
    now, types = labelled(row["label"], list(row["defect_types"]), held)
    mask = shown(row, now, held, made, drawn)
    document: Row = {"label": now, "defect_types": types, "gt_mask": _segmentation(row["sample_id"], mask)}
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


def _as_stored(value: Any) -> str | None:
    """Nested truth that only curate reads is one text: the App would list each of its parts as a field."""
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _segmentation(sample_id: str, path: Path | None) -> Row | None:
    if path is None:
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
    row |= {name: text and json.loads(text) for name in TRUTH for text in [document.get(name)]}
    row["assigned_split"] = document.get("assigned_split")
    return row
