"""From an anomaly map to proposed masks: cut at a threshold, without specks, refined to the image's edges.

A refinement sees a crop around one region: its box and a margin of half the box's longer side, 16 px at
least. Where a crop is longer than 384 px it is worked on in a smaller copy, so that large images stay quick;
nothing outside of the crop ever changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from curate.images import Array
from curate.masks import SPECK_PX, label_regions
from curate.proposal_seeds import grown, touching
from curate.proposals import REFINEMENTS
from curate.registry import lookup

PLAIN = "plain"
MARGIN_SHARE, MARGIN_PX = 0.5, 16
LONGEST_PX = 384
SHRINKS_TO, GROWS_TO = 0.05, 3.0  # of the coarse region's area; an outline beyond that is not believed
RING_SHARE, RING_PX = 0.5, 4
LEAST_DEVIATION = 1.0  # grey values; an even ring would make any contrast infinite


@dataclass(frozen=True)
class How:
    """How proposals are made.

    Attributes:
        method: of curate.proposals.
        params: its keyword parameters.
        min_area_px: smaller regions are no proposals, before and after refinement.
    """

    method: str = PLAIN
    params: Mapping[str, Any] = field(default_factory=dict)
    min_area_px: int = SPECK_PX + 1


@dataclass(frozen=True)
class Proposal:
    """One proposed region.

    Attributes:
        box_xyxy: smallest box around it in pixels, half-open.
        mask: (y1 - y0, x1 - x0) bool.
        area_px: number of its pixels.
        contrast: see contrast.
        map_max, map_mean: of the anomaly map inside.
        method: that drew its outline; "plain" where a refinement found none that is believed.
    """

    box_xyxy: tuple[int, int, int, int]
    mask: Array
    area_px: int
    contrast: float
    map_max: float
    map_mean: float
    method: str


def propose(image: Array, anomaly_map: Array, threshold: float, how: How | None = None) -> list[Proposal]:
    """The proposals of one image, most suspicious first, 8-connected and apart from each other.

    Args:
        image: (H, W, 3) uint8.
        anomaly_map: (H, W) float32, higher is more suspicious.
        threshold: in units of the map; `>=` is anomalous.

    Returns:
        None of them reaches outside of the crops around the regions at the threshold. Empty where no region
        is large enough.

    Raises:
        ValueError: shapes or types differ from these, the map is not finite, the threshold is not a number,
            the method is not known, or the smallest area is below 1.
    """
    chosen = how or How()
    _check(image, anomaly_map, threshold, chosen)
    refine = partial(lookup(REFINEMENTS, chosen.method, "refinement").refine, **chosen.params)
    coarse = large_enough(anomaly_map >= threshold, chosen.min_area_px)
    labels, _ = label_regions(coarse)
    union, refined = np.zeros_like(coarse), np.zeros_like(coarse)
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        place = crop_around(found, coarse.shape)
        own = labels[place] == number
        outline = None
        if chosen.method != PLAIN:
            outline = _outline(image[place], anomaly_map[place], own, refine, chosen.min_area_px)
        union[place] |= own if outline is None else outline
        if outline is not None:
            refined[place] |= outline
    return described(image, anomaly_map, large_enough(union, chosen.min_area_px), chosen.method, refined)


def large_enough(mask: Array, min_area_px: int) -> Array:
    """A mask without its 8-connected regions that are smaller than so many pixels; (H, W) bool.

    >>> large_enough(np.array([[True, False, True], [False, False, True]]), 2).astype(int)
    array([[0, 0, 1],
           [0, 0, 1]])
    """
    labels, n_regions = label_regions(mask)
    large = np.bincount(labels.ravel(), minlength=n_regions + 1) >= min_area_px
    large[0] = False
    return np.asarray(large[labels])


def crop_around(found: tuple[slice, slice], image_hw: tuple[int, ...]) -> tuple[slice, slice]:
    """The crop that a refinement sees: a region's box with a margin on all sides, inside of the image."""
    longer = max(axis.stop - axis.start for axis in found)
    margin = max(MARGIN_PX, round(MARGIN_SHARE * longer))
    rows, columns = (
        slice(max(0, axis.start - margin), min(side, axis.stop + margin))
        for axis, side in zip(found, image_hw, strict=True)
    )
    return rows, columns


def contrast(image: Array, mask: Array, others: Array) -> float:
    """How much a region differs from the ring around it.

    The difference of the mean grey values inside and in the ring, without sign, in standard deviations of the
    ring (of 1 grey value at least). The ring is as wide as half the region's equivalent diameter, 4 px at
    least. 0 where there is no ring.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) bool, the region.
        others: (H, W) bool, further regions, which are no part of the ring.
    """
    width = max(RING_PX, round(RING_SHARE * float(np.sqrt(4 * mask.sum() / np.pi))))
    ring = grown(mask, width) & ~mask & ~others
    if not ring.any():
        return 0.0
    grey = image.mean(axis=2, dtype=np.float64)
    return float(abs(grey[mask].mean() - grey[ring].mean()) / max(grey[ring].std(), LEAST_DEVIATION))


def described(image: Array, anomaly_map: Array, mask: Array, method: str, refined: Array) -> list[Proposal]:
    """The regions of a mask as proposals, highest map value first, then in label order."""
    labels, _ = label_regions(mask)
    out = []
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = found
        own = labels[found] == number
        place = crop_around(found, mask.shape)
        inside = labels[place] == number
        values = anomaly_map[found][own]
        out.append(
            Proposal(
                (columns.start, rows.start, columns.stop, rows.stop),
                own,
                int(own.sum()),
                contrast(image[place], inside, mask[place] & ~inside),
                float(values.max()),
                float(values.mean(dtype=np.float64)),
                method if (refined[found] & own).any() else PLAIN,
            )
        )
    return sorted(out, key=lambda each: -each.map_max)


def drawn(proposals: list[Proposal], image_hw: tuple[int, int]) -> Array:
    """The mask that proposals are together: (H, W) bool."""
    mask = np.zeros(image_hw, dtype=np.bool_)
    for each in proposals:
        x0, y0, x1, y1 = each.box_xyxy
        mask[y0:y1, x0:x1] |= each.mask
    return mask


def _outline(image: Array, anomaly_map: Array, coarse: Array, refine: Any, min_area_px: int) -> Array | None:
    """A refined region in a crop, without holes and specks; None where none is found that is believed."""
    if coarse.all():
        return None
    shrink = LONGEST_PX / max(coarse.shape)
    if shrink < 1:
        found = _smaller(image, anomaly_map, coarse, refine, shrink)
    else:
        found = refine(image, anomaly_map, coarse)
    filled = np.asarray(ndimage.binary_fill_holes(touching(found, coarse)), dtype=np.bool_)
    outline = large_enough(filled, min_area_px)
    share = outline.sum() / coarse.sum()
    return outline if SHRINKS_TO <= share <= GROWS_TO else None


def _smaller(image: Array, anomaly_map: Array, coarse: Array, refine: Any, shrink: float) -> Array:
    """Refine in a smaller copy and enlarge the answer."""
    height, width = coarse.shape
    to_wh = max(1, round(width * shrink)), max(1, round(height * shrink))
    copies = [cv2.resize(each, to_wh, interpolation=cv2.INTER_AREA) for each in (image, anomaly_map)]
    small = cv2.resize(coarse.astype(np.float32), to_wh, interpolation=cv2.INTER_AREA) >= 0.5
    if not small.any() or small.all():
        return np.zeros_like(coarse)
    found = refine(*copies, small).astype(np.float32)
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5)


def _check(image: Array, anomaly_map: Array, threshold: float, how: How) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"Expected an (H, W, 3) uint8 image; found {image.shape} {image.dtype}.")
    if anomaly_map.shape != image.shape[:2]:
        raise ValueError(f"Expected an anomaly map of shape {image.shape[:2]}; found {anomaly_map.shape}.")
    if not np.isfinite(anomaly_map).all():
        raise ValueError("Expected a finite anomaly map; found NaN or infinity in it.")
    if np.isnan(threshold):
        raise ValueError("Expected a number as threshold; found NaN.")
    if how.min_area_px < 1:
        raise ValueError(f"Expected a smallest area of 1 px or more; found {how.min_area_px}.")
