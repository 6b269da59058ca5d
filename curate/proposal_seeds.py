"""What refinements of a proposal have in common: a grey image, and pixels that are sure to be in or out."""

from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from curate.images import Array
from curate.masks import EIGHT_CONNECTED


def deviation(image: Array, outside: Array) -> Array:
    """How far each pixel's colour lies from that of the surroundings: (H, W) float32, 0 or more.

    The colour of the surroundings is the median of each channel; of the whole crop where no pixel is outside.

    Args:
        image: (H, W, 3) uint8.
        outside: (H, W) bool, the surroundings.

    >>> pixels = np.array([[[10, 10, 10], [10, 10, 10], [40, 10, 50]]], dtype=np.uint8)
    >>> deviation(pixels, np.array([[True, True, False]])).tolist()
    [[0.0, 0.0, 50.0]]
    """
    known = outside if outside.any() else np.ones_like(outside)
    middle = np.median(image[known].astype(np.float32), axis=0)
    return np.asarray(np.linalg.norm(image.astype(np.float32) - middle, axis=2), dtype=np.float32)


def core(anomaly_map: Array, coarse: Array, share: float) -> Array:
    """The pixels of a coarse region whose map values are highest: at least one of them.

    Args:
        anomaly_map: (H, W) float32.
        coarse: (H, W) bool with a True pixel.
        share: of the region's pixels, in (0, 1]; ties come along.
    """
    values = anomaly_map[coarse]
    cut = np.partition(values, -max(1, round(share * len(values))))[-max(1, round(share * len(values)))]
    return np.asarray(coarse & (anomaly_map >= cut))


def grown(coarse: Array, px: int) -> Array:
    """A region and everything within some pixels of it, (H, W) bool; exact Euclidean distance."""
    return np.asarray(ndimage.distance_transform_edt(~coarse) <= px)


def reach_px(coarse: Array, share: float) -> int:
    """How far an edge may lie outside of a region: a share of its equivalent diameter, at least 2 px."""
    return max(2, round(share * float(np.sqrt(4 * coarse.sum() / np.pi))))


def touching(mask: Array, seeds: Array) -> Array:
    """Those 8-connected components of a mask that hold a seed pixel; (H, W) bool."""
    labels, _ = ndimage.label(mask, structure=EIGHT_CONNECTED)
    kept = np.unique(labels[seeds & mask])
    return np.asarray(np.isin(labels, kept[kept > 0]))


def smoothed(image: Array, sigma_px: float) -> Array:
    """(H, W, 3) uint8, blurred a little, so that grain does not count as an edge."""
    blurred: Any = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.uint8)
