"""Small pictures of samples for reports, with their ground truth outlined."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curate import ground_truth
from curate.errors import Unreadable
from curate.images import Array, encode_jpeg, read_image
from curate.masks import boxes_to_mask, read_mask
from curate.truth import in_force

SIDE_PX = 192
QUALITY = 80
INSIDE_RGB, RIM_RGB = (0, 255, 255), (0, 0, 0)


def thumbnail(row: Mapping[str, Any], masks: Path, side_px: int = SIDE_PX) -> bytes | None:
    """A JPEG of a sample, its mask or boxes outlined; None when the image cannot be read.

    Args:
        row: of the sample table.
        masks: folder of the canonical masks, <sample_id>.png; where it lacks one, the source's is read.
        side_px: longest side at most; pictures of less than half of it are enlarged by whole numbers.
    """
    small = picture(row, masks, side_px)
    return None if small is None else encode_jpeg(small, QUALITY)


def picture(row: Mapping[str, Any], masks: Path, side_px: int = SIDE_PX) -> Array | None:
    """The pixels of a thumbnail, (h, w, 3) uint8; see thumbnail."""
    try:
        image = read_image(Path(row["filepath"]))
    except Unreadable:
        return None
    small = _eight_bits(resized(image, side_px))
    truth = truth_of(row, masks, image.shape[:2])
    if truth is not None:
        _outline(small, truth)
    return small


def resized(image: Array, side_px: int) -> Array:
    """A picture that fits into a square; enlarged by a whole number where it is less than half of that.

    >>> resized(np.zeros((48, 64, 3), np.uint8), 192).shape
    (144, 192, 3)
    >>> resized(np.zeros((300, 400), np.uint8), 192).shape
    (144, 192)
    """
    longest = max(image.shape[:2])
    scale = side_px / longest if longest > side_px else side_px // longest
    size_wh = tuple(max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, size_wh, interpolation=how))


def _eight_bits(image: Array) -> Array:
    """16-bit values spread over the range that the picture uses; 8-bit ones as they are."""
    if image.dtype != np.uint16:
        return np.ascontiguousarray(image)
    low, high = np.percentile(image, (0.5, 99.5))
    spread = (image.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.asarray(np.clip(spread, 0, 255), dtype=np.uint8)


def truth_of(row: Mapping[str, Any], masks: Path, image_hw: tuple[int, int]) -> Array | None:
    """(H, W) bool ground truth; None without mask and boxes, or where the mask does not fit."""
    try:
        if (path := in_force(row, masks)) is not None:
            mask = read_mask(path)
        elif ground_truth.has_mask(row):
            mask = ground_truth.read(row).mask
        elif row["boxes"]:
            mask = boxes_to_mask([box["box_xyxy"] for box in row["boxes"]], image_hw)
        else:
            return None
    except (Unreadable, ground_truth.WrongSize):
        return None
    return mask if mask.shape == image_hw and mask.any() else None


def _outline(picture: Array, mask: Array) -> None:
    """Draw around the regions of a mask, in place; a region of one pixel stays visible."""
    size_wh = (picture.shape[1], picture.shape[0])
    smaller = size_wh[0] < mask.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    # 65535: one defect pixel among a thousand must not round to none
    small = cv2.resize(mask.astype(np.uint16) * 65535, size_wh, interpolation=how) > 0
    grown = cv2.dilate(small.astype(np.uint8), np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(grown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, RIM_RGB, 3)
    cv2.drawContours(picture, outlines, -1, INSIDE_RGB, 1)
