"""One image for pixel metrics: its map, its truth, and the weights that its pixels have in each metric."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.images import Array

Key = tuple[str, str]  # names a slice: a column, and a value in it
EXACT_IN_FLOAT32 = (np.float32, np.float16, np.bool_, np.uint8, np.int8, np.uint16, np.int16)


@dataclass(frozen=True)
class Channel:
    """One defect of an image, which may overlap others.

    Attributes:
        mask: (H, W) bool.
        saturation_px: so many found pixels make it complete; less than one counts as one.
        slices: those that it belongs to, besides those of its image.
    """

    mask: Array
    saturation_px: float
    slices: Sequence[Key] = ()


@dataclass(frozen=True)
class PixelItem:
    """An image with what a detector says and what is true.

    Attributes:
        anomaly_map: (H, W) float32, higher is more suspicious; sizes of images may differ.
        gt_mask: (H, W) bool, True on the defect; all False makes the image a normal one.
        group: whom the image belongs to, for intervals; images of a group come one after the other.
        channels: the single defects, where the truth has them; together they are gt_mask.
        slices: sets of images that this one belongs to, such as ("lot", "A"), to be told apart.
        region_slices: of each region in label order (see curate.masks.label_regions), sets of regions that it
            belongs to, such as ("defect_type", "scratch"); empty for no region at all.
    """

    name: str
    anomaly_map: Array
    gt_mask: Array
    group: str = ""
    channels: Sequence[Channel] = ()
    slices: Sequence[Key] = ()
    region_slices: Sequence[Sequence[Key]] = ()


def check_pair(anomaly_map: Array, gt_mask: Array) -> None:
    """Raise ValueError unless a map and a mask belong together: both (H, W), the mask bool."""
    if anomaly_map.ndim != 2 or anomaly_map.shape != gt_mask.shape or gt_mask.dtype != np.bool_:
        raise ValueError(
            f"Expected an (H, W) map and a bool mask of the same shape; found {anomaly_map.shape} "
            f"and {gt_mask.shape} {gt_mask.dtype}."
        )


def paired(maps: Sequence[Array], masks: Sequence[Array]) -> Iterator[PixelItem]:
    """Items of maps and masks, each a group of its own; read one at a time.

    Raises:
        ValueError: their numbers differ.
    """
    if len(maps) != len(masks):
        raise ValueError(f"Expected one mask per map; found {len(maps)} maps and {len(masks)} masks.")
    for number, (anomaly_map, gt_mask) in enumerate(zip(maps, masks, strict=True)):
        name = f"map {number}"
        yield PixelItem(name, np.asarray(anomaly_map), np.asarray(gt_mask), name)


def channelled(maps: Sequence[Array], truth: Sequence[Sequence[Channel]]) -> Iterator[PixelItem]:
    """Items of maps and the channels of each; an image without channels is normal.

    Raises:
        ValueError: their numbers differ.
    """
    if len(maps) != len(truth):
        raise ValueError(f"Expected channels per map; found {len(maps)} maps and {len(truth)} entries.")
    for number, (given, channels) in enumerate(zip(maps, truth, strict=True)):
        anomaly_map = np.asarray(given)
        union = np.zeros(anomaly_map.shape, dtype=np.bool_)
        for channel in channels:
            check_pair(anomaly_map, channel.mask)
            union |= channel.mask
        name = f"map {number}"
        yield PixelItem(name, anomaly_map, union, name, tuple(channels))


def as_float32(anomaly_map: Array) -> tuple[Array, bool]:
    """The map as contiguous float32, and whether that is the same numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.ascontiguousarray(anomaly_map, dtype=np.float32)
    if anomaly_map.dtype in EXACT_IN_FLOAT32:
        return values, True
    return values, bool(np.array_equal(values, anomaly_map))


def region_shares(gt_mask: Array) -> tuple[Array, int]:
    """What each defect pixel is of its 8-connected region, and the number of regions.

    Returns:
        (D,) float64, one over the area of the pixel's region, in the order of gt_mask's True pixels.
    """
    left, top, width, height = cv2.boundingRect(gt_mask.view(np.uint8))
    box = np.ascontiguousarray(gt_mask[top : top + height, left : left + width])
    if not box.size:
        return np.zeros(0), 0
    n_labels, labels = cv2.connectedComponents(box.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    inside = labels[box]
    areas = np.bincount(inside, minlength=n_labels).astype(np.float64)
    return 1 / areas[inside], n_labels - 1


def saturating(values: Array, channels: Iterable[Channel]) -> tuple[Array, Array]:
    """Values and weights of the pixels that count in the saturated overlap of an image's channels.

    A channel is complete with its s highest pixels, so each of those adds 1 / s, and no other adds anything.

    Args:
        values: (H, W) map.
    """
    chosen, weights = [np.zeros(0, values.dtype)], [np.zeros(0)]
    for channel in channels:
        enough = max(float(channel.saturation_px), 1.0)
        n_whole = int(enough)
        highest = np.sort(values[channel.mask])[::-1][: int(np.ceil(enough))]
        weight = np.full(len(highest), 1 / enough)
        if len(highest) > n_whole:
            weight[n_whole:] = (enough - n_whole) / enough
        chosen.append(highest)
        weights.append(weight)
    return np.concatenate(chosen), np.concatenate(weights)
