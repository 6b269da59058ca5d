"""Ground-truth masks: files that become bool by a stated rule, regions, boxes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from curate.faults import Fault
from curate.images import Array, read_stored

RULE = re.compile(r"> ?(\d+)|(\d+)\.\.(\d+)")
HIGHEST = 65535
EIGHT_CONNECTED = np.ones((3, 3), dtype=np.uint8)
SPECK_PX = 4  # regions of so few pixels are slips of the pen, or crumbs that a tool left at an edge
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """One 8-connected component of a mask.

    Attributes:
        box_xyxy: smallest box around it in pixels, half-open: x1 and y1 lie outside.
        area_px: number of its pixels.
    """

    box_xyxy: tuple[int, int, int, int]
    area_px: int


def read_mask(path: Path, rule: str = "> 0") -> Array:
    """Read a mask file.

    Args:
        path: grey or colour image; of a colour one the brightest channel counts, alpha does not.
        rule: "> N": pixels above N are defect, or "LOW..HIGH": pixels from LOW to HIGH; in the file's own
            values (up to 255, with 16 bits 65535).

    Returns:
        (H, W) bool, True on the defect.

    Raises:
        Unreadable: the file cannot be read as an image.
        ValueError: the rule is neither "> N" nor "LOW..HIGH".
    """
    low, high = limits(rule)
    values = read_stored(path)
    return within(values.max(axis=2) if values.ndim == 3 else values, low, high)


def cut(rule: str) -> int:
    """The value above which a mask rule calls pixels defect.

    >>> cut("> 127"), cut("1..254")
    (127, 0)
    """
    return limits(rule)[0] - 1


def limits(rule: str) -> tuple[int, int]:
    """The lowest and the highest value that a mask rule calls defect.

    >>> limits("> 127"), limits("1..254")
    ((128, 65535), (1, 254))
    """
    match = RULE.fullmatch(rule)
    if match is None:
        raise ValueError(f'Expected a mask rule like "> 0", "> 127" or "1..254"; found "{rule}".')
    low, high = (int(match[1]) + 1, HIGHEST) if match[1] else (int(match[2]), int(match[3]))
    if not 1 <= low <= high:
        raise ValueError(f'The mask rule "{rule}" must leave 0 outside and one value at least inside.')
    return low, high


def within(values: Array, low: int, high: int) -> Array:
    """Where values lie between two limits, both included; bool."""
    return np.asarray((values >= low) & (values <= high))


def filled(values: Array) -> tuple[slice, slice] | None:
    """The smallest rows and columns around all values but 0; None where there are none.

    Args:
        values: (H, W) bool, uint8 or uint16.

    >>> filled(np.array([[0, 0, 0], [0, 7, 9]], dtype=np.uint8))
    (slice(1, 2, None), slice(1, 3, None))
    """
    seen = values != 0 if values.dtype.itemsize > 1 else values
    left, top, width, height = cv2.boundingRect(seen.view(np.uint8))
    return (slice(top, top + height), slice(left, left + width)) if width else None


def label_regions(gt_mask: Array) -> tuple[Array, int]:
    """Number the regions of a mask.

    Args:
        gt_mask: (H, W) bool.

    Returns:
        (H, W) int32, 0 outside and 1 to R inside, in the order of the regions' first pixels, row by row;
        and R.
    """
    labels, n_regions = ndimage.label(gt_mask, structure=EIGHT_CONNECTED, output=np.int32)
    return labels, int(n_regions)


def regions(gt_mask: Array) -> list[Region]:
    """The 8-connected components of a mask, in label order (see label_regions).

    >>> regions(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool))
    [Region(box_xyxy=(0, 0, 2, 2), area_px=2)]
    """
    labels, n_regions = label_regions(gt_mask)
    areas = np.bincount(labels.ravel(), minlength=n_regions + 1)[1:]
    return [
        Region((columns.start, rows.start, columns.stop, rows.stop), int(area))
        for (rows, columns), area in zip(ndimage.find_objects(labels), areas, strict=True)
    ]


def without_specks(gt_mask: Array, at_most_px: int = SPECK_PX) -> Array:
    """A mask without its smallest regions; unchanged where nothing would be left.

    Args:
        gt_mask: (H, W) bool.
        at_most_px: regions of so many pixels or fewer go.

    Returns:
        (H, W) bool, a new array.

    >>> without_specks(np.array([[1, 0, 1, 1], [0, 0, 1, 0]], dtype=bool), at_most_px=1).astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 0]])
    """
    labels, n_regions = label_regions(gt_mask)
    large = np.bincount(labels.ravel(), minlength=n_regions + 1) > at_most_px
    large[0] = False
    return np.asarray(large[labels]) if large.any() else gt_mask.copy()


def boxes_to_mask(boxes: Iterable[Iterable[float]], image_hw: tuple[int, int]) -> Array:
    """Fill boxes.

    Args:
        boxes: each (x0, y0, x1, y1) in pixels, half-open; what lies outside of the image is cut off. A pixel
            that a box covers only partly counts as covered.
        image_hw: height and width of the mask.

    Returns:
        (H, W) bool.

    >>> boxes_to_mask([(1, 0, 3, 1)], (2, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    height, width = image_hw
    mask = np.zeros(image_hw, dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
        right, bottom = min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))
        mask[top : max(top, bottom), left : max(left, right)] = True
    return mask


def size_fault(
    relative_path: str, image_hw: tuple[int, int], mask_path: Path, mask_hw: tuple[int, int]
) -> Fault:
    """A mask whose size is not its image's."""
    return Fault(
        "mask_size",
        "error",
        relative_path,
        f"{relative_path} has {image_hw[1]} x {image_hw[0]} px, but its mask {mask_path.name} has "
        f"{mask_hw[1]} x {mask_hw[0]} px. The mask is not used.",
        "Draw the mask on the image itself, or find the mask that belongs to it.",
    )
