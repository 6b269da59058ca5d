"""Collects where the images of a category are marked: ground truth in force, proposals, or false alarms."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate import density_cache
from curate.defect_density import Mark, counted, grid_of, images_at, mark, mark_boxes, types_of
from curate.errors import CurateError
from curate.images import Array, read_stored
from curate.masks import read_mask
from curate.store.appearance import detectors_of
from curate.store.comparison import IMAGE, image_row
from curate.store.dataset import load
from curate.store.documents import object_id, sample_id_of
from curate.store.failures import database_errors
from curate.store.fields import detector_fields, proposals_field
from curate.store.proposals import mask_of_detections
from curate.workspace import Workspace, file_name

TRUTH, PROPOSALS, ALARMS = "truth", "proposals", "alarms"
FOLDER = "density"
FORMAT = 1  # of what marks are made by
BASIC = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1, "defect_types": 1}
N_EXAMPLES = 200  # normal images among which one of usual proportions is looked for
Row = dict[str, Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """What is to be counted.

    Attributes:
        category: of the images.
        source: "truth", "proposals:DETECTOR" or "alarms:DETECTOR".
    """

    category: str
    source: str = TRUTH


@dataclass(frozen=True)
class Collected:
    """The marks of a category.

    Attributes:
        n_images: images that were looked at.
        n_left: images that there was no time for; they are not in the marks.
        n_unmarked: images with nothing that tells where, or a mask that cannot be read.
    """

    marks: list[Mark]
    grid_hw: tuple[int, int]
    n_images: int
    n_left: int
    n_unmarked: int


def sources(dataset: Any) -> list[Row]:
    """What can be counted in a dataset: `source`, as in Asked, and `said`."""
    found = [{"source": TRUTH, "said": "marked defects (ground truth)"}]
    known, collection = set(dataset.get_field_schema()), dataset._sample_collection
    chosen = (dataset.info.get("curate") or {}).get("detector")
    for name in detectors_of(dataset):
        field = proposals_field(name)
        if field in known and collection.find_one({f"{field}.detections.0": {"$exists": True}}, {"_id": 1}):
            found.append({"source": f"{PROPOSALS}:{name}", "said": f"proposals of {name}"})
        if name == chosen and collection.find_one(_alarmed(), {"_id": 1}):
            found.append({"source": f"{ALARMS}:{name}", "said": f"false alarms of {name}"})
    return found


def _alarmed() -> Row:
    return {"label": "normal", "predicted.label": "anomalous"}


@database_errors()
def collect(
    dataset_name: str, asked: Asked, limit_s: float = float("inf"), progress: Progress | None = None
) -> Collected:
    """Gather the marks of a category; what was read before comes from a file in the dataset's folder.

    Args:
        limit_s: begin to read no image after so long; what is read by then is kept for the next call. The
            look at what was read before does not count.
        progress: told how many images are done, and of how many.

    Raises:
        ValueError: there is no such source.
    """
    dataset = load(dataset_name)
    if asked.source not in (names := [each["source"] for each in sources(dataset)]):
        raise ValueError(f'Nothing is known as "{asked.source}" here. Known: {", ".join(names)}.')
    grid_hw = _grid(dataset._sample_collection, asked.category)
    path = _cache(dataset_name, asked, grid_hw)
    held, kept = density_cache.read(path), dict[str, list[Mark]]()
    end: float | None = None  # told from the first image that is read, so that every call gets further
    n, n_left, fresh = 0, 0, False
    documents = list(_documents(dataset._sample_collection, asked))
    for document in documents:
        n += 1
        key = _key(document, asked.source)
        if key in held:
            kept[key] = held[key]
        else:
            end = time.monotonic() + limit_s if end is None else end
            if time.monotonic() < end:
                kept[key], fresh = list(_marks(document, asked.source, grid_hw)), True
            else:
                n_left += 1
        if progress:
            progress(n, len(documents))
    if fresh or kept.keys() != held.keys():
        density_cache.write(path, kept)
    marks = [each for own in kept.values() for each in own]
    n_unmarked = sum(not any(each.cells.size for each in own) for own in kept.values())
    return Collected(marks, grid_hw, len(documents), n_left, n_unmarked)


def _grid(collection: Any, category: str) -> tuple[int, int]:
    wanted = {"$group": {"_id": ["$metadata.height", "$metadata.width"], "n": {"$sum": 1}}}
    found = list(collection.aggregate([{"$match": {"category": category}}, wanted]))
    return grid_of([tuple(row["_id"]) for row in found for _ in range(row["n"])])


def _cache(dataset_name: str, asked: Asked, grid_hw: tuple[int, int]) -> Path:
    told = f"{FORMAT} {asked.category} {asked.source} {grid_hw}"
    name = f"{file_name(asked.category)[:40]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}.npz"
    return Workspace.at().dataset(dataset_name).root / FOLDER / name


def _documents(collection: Any, asked: Asked) -> Iterator[Row]:
    """The images of a source, with the fields that its marks are made of."""
    kind, _, detector = asked.source.partition(":")
    where: Row = {"category": asked.category}
    if kind == TRUTH:
        where["label"] = "anomalous"
        fields = ["gt_mask.mask_path", "boxes.detections", "verdict_mask"]
    else:
        field = proposals_field(detector)
        fields = [field, f"{detector_fields(detector)[1]}.map_path"]
        where |= _alarmed() if kind == ALARMS else {f"{field}.detections.0": {"$exists": True}}
    yield from collection.find(where, {**BASIC, **dict.fromkeys(fields, 1)}).sort("relative_path", 1)


def _key(document: Row, source: str) -> str:
    """Changes when what is marked changes: file, boxes, or the pixels of proposals."""
    told = hashlib.sha256(f"{document['sample_id']} {document.get('defect_types')}".encode())
    kind, _, detector = source.partition(":")
    paths = [(document.get("gt_mask") or {}).get("mask_path")]
    if kind == TRUTH:
        told.update(json.dumps(_corners(document)).encode())
    else:
        for each in _detections(document, detector):
            told.update(f"{each['bounding_box']}".encode() + bytes(each.get("mask") or b""))
        paths = [(document.get(detector_fields(detector)[1]) or {}).get("map_path")]
    for path in filter(None, paths):
        if Path(path).exists():
            stat = Path(path).stat()
            told.update(f"{path} {stat.st_size} {stat.st_mtime_ns}".encode())
    return told.hexdigest()[:16]


def _marks(document: Row, source: str, grid_hw: tuple[int, int]) -> Iterator[Mark]:
    kind, _, detector = source.partition(":")
    name, types = document["sample_id"], document.get("defect_types") or []
    image_hw = (document["metadata"]["height"], document["metadata"]["width"])
    if kind == TRUTH:
        if path := (document.get("gt_mask") or {}).get("mask_path"):
            yield mark(name, types, _read(path, image_hw, read_mask), grid_hw)
            return
        by_type: dict[str, list[list[float]]] = {}
        for label, box in _corners(document):
            by_type.setdefault(label, []).append(box)
        for label, boxes in by_type.items():
            yield mark_boxes(name, [label], boxes, image_hw, grid_hw)
    elif found := _detections(document, detector):
        yield mark(name, types, mask_of_detections(found, image_hw), grid_hw)
    elif path := (document.get(detector_fields(detector)[1]) or {}).get("map_path"):
        yield mark(name, types, _read(path, image_hw, _strongest_spot), grid_hw)


def _detections(document: Row, detector: str) -> list[Row]:
    return (document.get(proposals_field(detector)) or {}).get("detections") or []


def _corners(document: Row) -> list[tuple[str, list[float]]]:
    """Type and corners of the source's boxes, where no person has drawn a mask instead."""
    if document.get("verdict_mask"):
        return []
    found = (document.get("boxes") or {}).get("detections") or []
    return [(each["label"], list(each["box_xyxy"])) for each in found]


def _read(path: str, image_hw: tuple[int, int], how: Callable[[Path], Array]) -> Array:
    """A mask, or an empty one where the file cannot be read: `curate check` reports it."""
    try:
        return how(Path(path))
    except CurateError:
        return np.zeros(image_hw, dtype=np.bool_)


def _strongest_spot(path: Path) -> Array:
    """Where a display map is highest; nowhere when it is dark all over."""
    values = read_stored(path)
    return np.asarray((values == values.max()) & (values > 0))


@database_errors()
def look(dataset_name: str, asked: Asked, defect_type: str | None, limit_s: float) -> Row:
    """What the panel shows, or how far it is: with n_left above 0, ask again."""
    found = collect(dataset_name, asked, limit_s)
    seen = counted(found.marks, found.grid_hw, defect_type)
    collection = load(dataset_name)._sample_collection
    return {
        "n_left": found.n_left,
        "n_images": found.n_images,
        "n_unmarked": found.n_unmarked,
        "n_marked": seen.n_images,
        "types": [[name, n] for name, n in types_of(found.marks).items()],
        "grid_hw": list(found.grid_hw),
        "cells": seen.n_in_cell.tolist(),
        "example": example(collection, asked.category, found.grid_hw),
    }


@database_errors()
def images(dataset_name: str, asked: Asked, cells: list[int], defect_type: str | None) -> list[str]:
    """Document ids of the images that mark something in some cells."""
    found = images_at(collect(dataset_name, asked).marks, cells, defect_type)
    return [str(object_id(each, "sample")) for each in found]


def example(collection: Any, category: str, grid_hw: tuple[int, int]) -> Row | None:
    """A normal image of usual proportions to draw upon; None when the category has no normal image."""
    normal = {"category": category, "label": "normal"}
    found = list(collection.find(normal, IMAGE).sort("relative_path", 1).limit(N_EXAMPLES))
    wanted = grid_hw[0] / grid_hw[1]

    def off(row: Mapping[str, Any]) -> float:
        return abs(float(np.log(row["metadata"]["height"] / row["metadata"]["width"] / wanted)))

    return image_row(min(found, key=off)) if found else None


@database_errors()
def choices(dataset_name: str, document_id: str | None) -> Row:
    """What the panel lets choose: categories and sources; and the category to begin with.

    Args:
        document_id: of the open image, whose category comes first; None: none is open.
    """
    dataset = load(dataset_name)
    collection = dataset._sample_collection
    where = {"_id": object_id(sample_id_of(document_id), "sample")} if document_id else {"label": "anomalous"}
    found = collection.find_one(where, {"category": 1}) or collection.find_one({}, {"category": 1})
    return {
        "categories": sorted(collection.distinct("category")),
        "sources": sources(dataset),
        "category": found["category"] if found else "",
    }
