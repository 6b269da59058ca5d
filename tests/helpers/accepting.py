"""A stored dataset with proposals: deciding and drawing on it, and what the App then shows and offers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bson import Binary

from curate import tables
from curate.recipe import Source
from curate.steps import ingest, labels, propose, split, sync
from curate.steps.propose import Asked
from curate.steps.record import Context
from curate.store import dataset, marks, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.workspace import Workspace
from tests.helpers import evaluated
from tests.helpers.tiny import HEIGHT, WIDTH, write_mvtec

HW = HEIGHT, WIDTH
NAME = "accepting"
FIELD = "keen_proposals"


@contextmanager
def built(home: Path, folder: Path) -> Iterator[Context]:
    """A small dataset with maps and proposals, stored while the block runs."""
    root = write_mvtec(folder, n_train=4, n_good=4, n_per_defect=3)
    workspace = Workspace.at(home)
    context = Context(workspace, workspace.dataset(NAME))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    evaluated.scored(context, "keen")
    propose.run(context, "keen", Asked("plain"))
    sync.everything(context)
    yield context
    dataset.load(NAME).delete()
    shutil.rmtree(context.paths.root)


def put_back(context: Context) -> None:
    """Make it as if nobody had decided or drawn anything."""
    forget(context)
    propose.run(context, "keen", Asked("plain"), overwrite=True)
    collection = dataset.load(NAME)._sample_collection
    collection.update_many({}, {"$set": {FIELD: None}})
    for part in ("samples", "proposals keen"):
        marks.remove(NAME, part)
    sync.everything(context)


def forget(context: Context) -> None:
    """Remove every verdict and what was noted for correction."""
    from fiftyone.core.odm import get_db_conn

    get_db_conn()[verdicts.LOG].delete_many({"dataset": context.paths.name})
    context.paths.verdicts.unlink(missing_ok=True)
    for folder in (context.paths.drawn_masks, context.paths.root / "corrections"):
        shutil.rmtree(folder, ignore_errors=True)


def stored(sample_id: str, name: str = NAME) -> dict[str, Any]:
    """The document of an image."""
    return dict(dataset.load(name)._sample_collection.find_one({"sample_id": sample_id}))


def offered(sample_id: str) -> list[dict[str, Any]]:
    """The regions that the App offers for an image."""
    return list((stored(sample_id).get(FIELD) or {}).get("detections") or [])


def shown_mask(sample_id: str) -> str | None:
    """File of the ground-truth mask that the App shows."""
    found = stored(sample_id)["gt_mask"]
    return None if found is None else str(found["mask_path"])


def decide(operator: str, *sample_ids: str, **options: Any) -> int:
    """Do what an operator of the App does; the number of verdicts."""
    ids = [str(object_id(name, "sample")) for name in sample_ids]
    return act(NAME, operator, ids, detector="keen", **options)


def proposed(context: Context) -> dict[str, list[dict[str, Any]]]:
    """The proposals by sample."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in tables.to_rows(propose.read(context, "keen")):
        found.setdefault(row["sample_id"], []).append(row)
    return found


def now(context: Context, sample_id: str) -> dict[str, Any]:
    """The row of an image, with what was decided."""
    return next(row for row in tables.to_rows(labels.current(context)) if row["sample_id"] == sample_id)


def draw(
    sample_id: str, label: str, box_xyxy: tuple[int, int, int, int], field: str = FIELD, name: str = NAME
) -> None:
    """Add a region as the App's brush does."""
    from fiftyone.core.utils import serialize_numpy_array

    x0, y0, x1, y1 = box_xyxy
    painted = Binary(serialize_numpy_array(np.ones((y1 - y0, x1 - x0), dtype=np.uint8)))
    box = [x0 / WIDTH, y0 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
    detection = {
        "_cls": "Detection", "_id": object_id(sample_id, f"drawn {label} {box}"), "label": label,
        "bounding_box": box, "mask": painted, "tags": [], "attributes": {},
    }  # fmt: skip
    before = (stored(sample_id, name).get(field) or {}).get("detections") or []
    value = {"_cls": "Detections", "detections": [*before, detection]}
    collection = dataset.load(name)._sample_collection
    assert collection.update_one({"sample_id": sample_id}, {"$set": {field: value}}).modified_count == 1
