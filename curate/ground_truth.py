"""The ground truth of one sample, whatever the source keeps it in: mask files, outlines, run lengths.

A row of the sample table tells where its truth is: `gt_mask_path` (one file), `mask_channels` (a file for
each defect; they may overlap) and `shapes`. Together they make one mask: the union. Where a source draws
outlines, a defect that has only a box counts with the box's whole area; beside mask files, boxes only repeat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage.draw import polygon

from curate.images import Array, read_indices, read_stored
from curate.masks import boxes_to_mask, filled, limits, within

Row = Mapping[str, Any]
DEFAULT_RULE = "> 0"
EXACT_FLOAT32 = 1 << 24  # whole numbers below are exact in 32 bits, in which OpenCV counts


class WrongSize(Exception):
    """A mask file that has another size than its image."""

    def __init__(self, path: Path, mask_hw: tuple[int, int]) -> None:
        super().__init__(f"{path.name} has {mask_hw[1]} x {mask_hw[0]} px")
        self.path, self.mask_hw = path, mask_hw


@dataclass(frozen=True)
class Truth:
    """What the mask files and shapes of a sample say.

    Attributes:
        mask: (H, W) bool, True on the defect.
        values: value of the mask files -> number of pixels, without 0; empty where there are only shapes.
    """

    mask: Array
    values: dict[int, int]


def has_mask(row: Row) -> bool:
    """Whether the source gives pixels for this sample; boxes do not count."""
    return bool(row["gt_mask_path"]) or bool(row["mask_channels"]) or bool(row["shapes"])


def mask_files(row: Row) -> list[Path]:
    """The mask files of a sample."""
    named = [row["gt_mask_path"], *(channel["path"] for channel in row["mask_channels"] or ())]
    return [Path(path) for path in named if path]


def read(row: Row) -> Truth:
    """Read and unite everything that a sample's source has.

    Args:
        row: with height and width of the image.

    Raises:
        Unreadable: a mask file cannot be read.
        WrongSize: a mask file has another height or width than the image.
    """
    image_hw = (int(row["height"]), int(row["width"]))
    low, high = limits(row["mask_rule"] or DEFAULT_RULE)
    mask = np.zeros(image_hw, dtype=np.bool_)
    counts: dict[int, int] = {}
    for path in mask_files(row):
        values = _values(path, row["mask_kind"])
        if values.shape != image_hw:
            raise WrongSize(path, (values.shape[0], values.shape[1]))
        if (place := filled(values)) is None:
            continue  # the mask of a normal image, as most are
        mask[place] |= within(values[place], low, high)  # 0 is never inside
        for value, n in _counted(values[place]):
            counts[value] = counts.get(value, 0) + n
    for shape in row["shapes"] or ():
        draw(shape, mask)
    if row["shapes"] and row["boxes"] and not mask_files(row):
        mask |= boxes_to_mask([box["box_xyxy"] for box in row["boxes"]], image_hw)
    return Truth(mask, counts)


def class_map(row: Row) -> Array:
    """(H, W) uint16: the class values of a sample's mask files as the source wrote them, 0 outside.

    Where files overlap, the later one shows.

    Raises:
        Unreadable, WrongSize: see read.
    """
    image_hw = (int(row["height"]), int(row["width"]))
    classes = np.zeros(image_hw, dtype=np.uint16)
    for path in mask_files(row):
        values = _values(path, row["mask_kind"])
        if values.shape != image_hw:
            raise WrongSize(path, (values.shape[0], values.shape[1]))
        np.copyto(classes, values.astype(np.uint16), where=values > 0)
    return classes


def _values(path: Path, mask_kind: str | None) -> Array:
    """(H, W): of a colour file the brightest channel, of a palette the index where values are classes."""
    stored = read_indices(path) if mask_kind == "classes" else read_stored(path)
    brightest: Array = stored.max(axis=2) if stored.ndim == 3 else stored
    return brightest


def _counted(values: Array) -> Iterable[tuple[int, int]]:
    """Values above 0 and how many pixels have them."""
    if values.dtype == np.uint8 and values.size < EXACT_FLOAT32:
        counts = cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    else:
        counts = np.bincount(values.ravel(), minlength=2)  # which makes 8 bytes of each pixel first
    present = np.flatnonzero(counts)
    present = present[present > 0]
    return zip(present.tolist(), counts[present].tolist(), strict=True)


def draw(shape: Row, mask: Array) -> None:
    """Fill one entry of `shapes` into a mask.

    A pixel belongs to an outline when its centre lies inside; an outline that holds no centre gets the pixels
    that its corners lie in, so that no defect vanishes. What lies outside of the image is cut off.

    Args:
        shape: kind "polygon" with points_xy, or "rle" with counts.
        mask: (H, W) bool, changed in place.
    """
    if shape["kind"] == "rle":
        mask |= decode_runs(shape["counts"], (mask.shape[0], mask.shape[1]))
        return
    points = np.asarray(shape["points_xy"], dtype=np.float64).reshape(-1, 2)
    rows, columns = polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, mask.shape)
    if not len(rows):
        columns, rows = np.floor(points).astype(np.int64).T
        inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        rows, columns = rows[inside], columns[inside]
    mask[rows, columns] = True


def decode_runs(counts: Iterable[int], image_hw: tuple[int, int]) -> Array:
    """(H, W) bool from run lengths over the columns, beginning outside (COCO's uncompressed RLE).

    Raises:
        ValueError: the runs do not add up to the image.

    >>> decode_runs([1, 2, 3], (2, 3)).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    runs = np.asarray(list(counts), dtype=np.int64)
    height, width = image_hw
    if runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise ValueError(f"The runs add up to {runs.sum()} pixels, the image has {height * width}.")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def encode_runs(mask: Array) -> list[int]:
    """Run lengths of a mask; the inverse of decode_runs.

    >>> encode_runs(np.array([[0, 1, 0], [1, 0, 0]], dtype=bool))
    [1, 2, 3]
    """
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = changes if len(changes) % 2 == 0 else changes[:-1]
    bounds = [0, *ends.tolist()]
    if bounds[-1] != mask.size:
        bounds.append(mask.size)
    return np.diff(bounds).tolist() or [mask.size]
