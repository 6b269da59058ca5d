"""Proposals as rows of a table, and back to masks without loss."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from curate.ground_truth import decode_runs, encode_runs
from curate.images import Array
from curate.propose import Proposal

Row = dict[str, Any]


def confidence(map_max: float, normal_peaks: Sequence[float]) -> float | None:
    """1 - (1 + k) / (1 + n): k of the n normal images reach the proposal's highest map value somewhere.

    So it is 1 minus the conformal p-value of that map value, and 0.95 needs 19 normal images at least.

    Args:
        map_max: highest map value of a proposal.
        normal_peaks: highest map value of each normal image that the detector was not fitted on.

    Returns:
        In [0, 1]; None without normal images.

    >>> confidence(5.0, [1.0, 2.0, 9.0])
    0.5
    """
    if not len(normal_peaks):
        return None
    as_high = int(np.count_nonzero(np.asarray(normal_peaks) >= map_max))
    return 1 - (1 + as_high) / (1 + len(normal_peaks))


def rows_of(
    proposals: Iterable[Proposal], facts: Mapping[str, Any], normal_peaks: Sequence[float]
) -> list[Row]:
    """Rows after data_schemas/proposal.json, in the order of the proposals.

    Args:
        proposals: of one image.
        facts: sample_id, detector, threshold and um_per_px (None where it is not stated).
        normal_peaks: see confidence.
    """
    um = facts["um_per_px"]
    return [
        {
            "sample_id": facts["sample_id"],
            "proposal": number,
            "digest": digest(facts["sample_id"], each.box_xyxy, each.mask),
            "detector": facts["detector"],
            "method": each.method,
            "threshold": float(facts["threshold"]),
            "box_xyxy": [int(edge) for edge in each.box_xyxy],
            "mask_rle": encode_runs(each.mask),
            "area_px": each.area_px,
            "area_um2": None if um is None else each.area_px * float(um) ** 2,
            "contrast": each.contrast,
            "map_max": each.map_max,
            "map_mean": each.map_mean,
            "confidence": confidence(each.map_max, normal_peaks),
        }
        for number, each in enumerate(proposals, start=1)
    ]


def crop_of(row: Mapping[str, Any]) -> Array:
    """The mask inside of a row's box: (y1 - y0, x1 - x0) bool."""
    x0, y0, x1, y1 = row["box_xyxy"]
    return decode_runs(row["mask_rle"], (y1 - y0, x1 - x0))


def mask_of(rows: Iterable[Mapping[str, Any]], image_hw: tuple[int, int]) -> Array:
    """The mask that the proposals of an image are together: (H, W) bool.

    Raises:
        ValueError: a box leaves the image.
    """
    mask = np.zeros(image_hw, dtype=np.bool_)
    for row in rows:
        x0, y0, x1, y1 = row["box_xyxy"]
        if not (0 <= x0 < x1 <= image_hw[1] and 0 <= y0 < y1 <= image_hw[0]):
            raise ValueError(
                f"Expected a box inside of {image_hw[1]} x {image_hw[0]} px; found {row['box_xyxy']}."
            )
        mask[y0:y1, x0:x1] |= crop_of(row)
    return mask


def digest(sample_id: str, box_xyxy: Sequence[int], mask: Array) -> str:
    """16 hex digits that tell a proposal from every other one: by sample, box and pixels.

    Args:
        mask: (y1 - y0, x1 - x0) bool.
    """
    told = f"{sample_id} {' '.join(str(int(edge)) for edge in box_xyxy)} ".encode()
    return hashlib.sha256(told + np.packbits(mask).tobytes()).hexdigest()[:16]
