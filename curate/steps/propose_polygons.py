"""Step: writes proposals, or ground truth, as a COCO file, for annotation tools that read one."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate import tables
from curate.errors import AlreadyExists
from curate.files import write_json
from curate.outlines import outer_outlines
from curate.proposal_table import crop_of
from curate.steps import labels, propose
from curate.steps.pixels import truth_of
from curate.steps.record import Context
from curate.tables import to_rows
from curate.truth_regions import rows_of_truth

LABEL = "proposal"  # of regions without a defect type


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
    """Write the proposals of a detector that are still offered as COCO, with polygons of the outlines.

    Images are named by their path in the dataset, with `sample_id` beside; an annotation has `digest`,
    `confidence` and `contrast` beside COCO's own keys. `segmentation` holds polygons, through the centres of
    the border pixels' outer edges; a hole is not cut out of them.

    Returns:
        polygons: the path.
    """
    check(path, overwrite)
    return {"polygons": _write(context, propose.still_offered(context, detector), path)}


def of_truth(
    context: Context, path: Path, only: Collection[str] | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write the ground truth in force as COCO, a category for each defect type; else as run.

    Args:
        only: sample ids; None: all anomalous images.

    Returns:
        polygons: the path; n_images: with ground truth.
    """
    check(path, overwrite)
    rows = []
    for row in to_rows(labels.current(context)):
        if row["label"] == "anomalous" and (only is None or row["sample_id"] in only):
            truth = truth_of(row, context.paths.masks)
            rows += [] if truth is None else rows_of_truth(row, truth)
    written = _write(context, rows, path)
    return {"polygons": written, "n_images": len({row["sample_id"] for row in rows})}


def _write(context: Context, rows: Sequence[dict[str, Any]], path: Path) -> str:
    named = {row["sample_id"] for row in rows}
    samples = [row for row in to_rows(tables.read(context.paths.samples)) if row["sample_id"] in named]
    numbers = {row["sample_id"]: number for number, row in enumerate(samples, start=1)}
    types = sorted({row.get("label") or LABEL for row in rows}) or [LABEL]
    images = [
        {
            "id": numbers[row["sample_id"]], "file_name": row["relative_path"], "width": row["width"],
            "height": row["height"], "sample_id": row["sample_id"],
        }
        for row in samples
    ]  # fmt: skip
    annotations = [
        {
            "id": number, "image_id": numbers[row["sample_id"]], "iscrowd": 0,
            "category_id": types.index(row.get("label") or LABEL) + 1,
            "bbox": _xywh(row["box_xyxy"]), "area": row["area_px"], "segmentation": outlines(row),
            "digest": row["digest"], "confidence": row["confidence"], "contrast": row["contrast"],
        }
        for number, row in enumerate(rows, start=1)
    ]  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(types, start=1)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})
    return str(path)


def outlines(row: dict[str, Any]) -> list[list[float]]:
    """The outer outlines of a proposal: x0, y0, x1, y1, ... along the edges of its pixels.

    Filled so that a pixel belongs to an outline when its centre lies inside, they give the mask with its
    holes filled.
    """
    x0, y0, _, _ = row["box_xyxy"]
    found = outer_outlines(crop_of(row))
    return [[float(value) for value in np.add(each, (x0, y0)).ravel()] for each in found]


def _xywh(box: list[int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
