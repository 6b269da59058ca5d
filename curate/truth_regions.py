"""Ground truth as regions that a person can edit; together they are the mask, pixel by pixel."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from curate.ground_truth import encode_runs
from curate.images import Array
from curate.masks import label_regions
from curate.proposal_table import digest
from curate.region_table import layers

METHOD = "truth"
Row = Mapping[str, Any]


def rows_of_truth(row: Row, mask: Array) -> list[dict[str, Any]]:
    """The regions of a sample's ground truth, as the App's proposals are stored.

    Where the source, or a person, told defect types apart, each region has one type; the others have the only
    type of the image, or none. Regions of two types that overlap stay whole.

    Args:
        row: of a sample table with the verdicts applied.
        mask: (H, W) bool, its mask in force.

    Raises:
        Unreadable: a mask file that tells defect types apart cannot be read.
    """
    out: list[dict[str, Any]] = []
    for name, box_xyxy, crop in _regions(row, mask):
        out.append(
            {
                "sample_id": row["sample_id"],
                "proposal": len(out) + 1,
                "digest": digest(row["sample_id"], box_xyxy, crop),
                "method": METHOD,
                "label": name,
                "box_xyxy": list(box_xyxy),
                "mask_rle": encode_runs(crop),
                "area_px": int(crop.sum()),
                "contrast": None,
                "map_max": None,
                "confidence": None,
            }
        )
    return out


def _regions(row: Row, mask: Array) -> Iterator[tuple[str | None, tuple[int, int, int, int], Array]]:
    types = row["defect_types"]
    only = str(types[0]) if len(types) == 1 else None
    left = mask.copy()
    if only is None:
        for name, pixels in layers(row, (mask.shape[0], mask.shape[1])):
            yield from _components(name, pixels & mask)
            left &= ~pixels
    yield from _components(only, left)


def _components(
    name: str | None, pixels: Array
) -> Iterator[tuple[str | None, tuple[int, int, int, int], Array]]:
    labels, _ = label_regions(pixels)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        crop = np.asarray(labels[rows, columns] == number)
        yield name, (columns.start, rows.start, columns.stop, rows.stop), crop
