"""Step: writes proposals as a COCO file, for annotation tools that read one."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curate import tables
from curate.errors import AlreadyExists
from curate.files import write_json
from curate.images import Array
from curate.proposal_table import crop_of
from curate.steps import propose
from curate.steps.record import Context

LABEL = "proposal"


def check(path: Path | None, overwrite: bool) -> None:
    """Refuse a file that is there, before any work is done.

    Raises:
        AlreadyExists: it is there, and may not be replaced.
    """
    if path is not None and path.exists() and not overwrite:
        raise AlreadyExists(
            f"AlreadyExists: {path} is there. Choose another name, or replace it: --overwrite"
        )


def run(context: Context, detector: str, path: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write the proposals of a detector as COCO: exact run lengths of the crop, and polygons of the outlines.

    Images are named by their path in the dataset, with `sample_id` beside; an annotation has `digest`,
    `confidence` and `contrast` beside COCO's own keys. `segmentation` holds polygons, through the centres of
    the border pixels' outer edges; a hole is not cut out of them.

    Returns:
        polygons: the path.
    """
    check(path, overwrite)
    proposals = tables.to_rows(propose.read(context, detector))
    named = {row["sample_id"] for row in proposals}
    samples = [row for row in tables.to_rows(tables.read(context.paths.samples)) if row["sample_id"] in named]
    numbers = {row["sample_id"]: number for number, row in enumerate(samples, start=1)}
    images = [
        {
            "id": numbers[row["sample_id"]], "file_name": row["relative_path"], "width": row["width"],
            "height": row["height"], "sample_id": row["sample_id"],
        }
        for row in samples
    ]  # fmt: skip
    annotations = [
        {
            "id": number, "image_id": numbers[row["sample_id"]], "category_id": 1, "iscrowd": 0,
            "bbox": _xywh(row["box_xyxy"]), "area": row["area_px"], "segmentation": outlines(row),
            "digest": row["digest"], "confidence": row["confidence"], "contrast": row["contrast"],
        }
        for number, row in enumerate(proposals, start=1)
    ]  # fmt: skip
    categories = [{"id": 1, "name": LABEL}]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})
    return {"polygons": str(path)}


def outlines(row: dict[str, Any]) -> list[list[float]]:
    """The outer outlines of a proposal: x0, y0, x1, y1, ... along the edges of its pixels.

    Filled so that a pixel belongs to an outline when its centre lies inside, they give the mask with its
    holes filled.
    """
    x0, y0, _, _ = row["box_xyxy"]
    found, _ = cv2.findContours(_doubled(crop_of(row)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [[float(value) for value in np.add(_corners(each), (x0, y0)).ravel()] for each in found]


def _doubled(mask: Array) -> Array:
    """Each pixel as 3 x 3, so that an outline through pixel centres has an area."""
    return np.asarray(np.kron(mask.astype(np.uint8), np.ones((3, 3), dtype=np.uint8)))


def _corners(contour: Any) -> Array:
    """The outline in pixels of the mask: without the points in the middle of straight lines."""
    points = contour.reshape(-1, 2).astype(np.float64)
    exact = (points + 0.5) / 3
    before, after = exact - np.roll(exact, 1, axis=0), np.roll(exact, -1, axis=0) - exact
    turns = ~np.isclose(before[:, 0] * after[:, 1], before[:, 1] * after[:, 0])
    return np.asarray(exact[turns] if turns.sum() >= 3 else exact)


def _xywh(box: list[int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
