"""Where on a part defects occur: masks of many images counted in the cells of one common grid.

An image is stretched onto the grid by its relative coordinates, so images of different sizes count alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curate.images import Array

LONGER_SIDE = 64
FEWEST = 8  # cells along the shorter side, however elongated the images are
LEAST_SHARE = 1e-9  # below it a cell is touched by rounding only


@dataclass(frozen=True)
class Mark:
    """What is marked in one image, as cells of the grid.

    Attributes:
        sample_id: of the image.
        defect_types: what it may be; empty where that is not known.
        cells: (K,) flat indices of the cells that are touched, row by row, ascending.
        shares: (K,) share of each of them that is covered, in (0, 1].
    """

    sample_id: str
    defect_types: tuple[str, ...]
    cells: Array
    shares: Array


@dataclass(frozen=True)
class Density:
    """How often each cell is touched.

    Attributes:
        n_in_cell: (R, C) int64: number of images that mark something in the cell.
        area: (R, C) float64: covered share of the cell, summed over the images; its mean over all cells is
            the summed share of the images that is marked.
        n_images: images with a mark.
    """

    n_in_cell: Array
    area: Array
    n_images: int


def grid_of(sizes_hw: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Rows and columns of the grid for images of these sizes: the median of their proportions.

    >>> grid_of([(48, 64), (480, 640), (100, 100)]), grid_of([(300, 100)]), grid_of([])
    ((48, 64), (64, 21), (64, 64))
    """
    proportions = [height / width for height, width in sizes_hw] or [1.0]
    aspect = float(np.median(proportions))
    rows, columns = LONGER_SIDE * min(1.0, aspect), LONGER_SIDE * min(1.0, 1 / aspect)
    return max(FEWEST, round(rows)), max(FEWEST, round(columns))


def covered(mask: Array, grid_hw: tuple[int, int]) -> Array:
    """Share of each cell that a mask covers, exactly, whatever the sizes: (R, C) float64 in [0, 1].

    Args:
        mask: (H, W) bool.
        grid_hw: rows and columns of the grid.

    >>> covered(np.array([[True, False, False]]), (1, 2))
    array([[0.66666667, 0.        ]])
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(grid_hw)
    down, across = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    of_rows = _overlaps(grid_hw[0], mask.shape[0])[:, down]
    of_columns = _overlaps(grid_hw[1], mask.shape[1])[:, across]
    return np.asarray(of_rows @ mask[down, across].astype(np.float64) @ of_columns.T)


def mark(sample_id: str, defect_types: Iterable[str], mask: Array, grid_hw: tuple[int, int]) -> Mark:
    """A mask of one image as the cells that it touches."""
    shares = covered(mask, grid_hw).ravel()
    cells = np.flatnonzero(shares > LEAST_SHARE)
    return Mark(sample_id, tuple(defect_types), cells.astype(np.int32), np.minimum(shares[cells], 1.0))


def mark_boxes(
    sample_id: str,
    defect_types: Iterable[str],
    boxes: Iterable[Sequence[float]],
    image_hw: tuple[int, int],
    grid_hw: tuple[int, int],
) -> Mark:
    """Boxes of one image as the cells that they touch; where boxes overlap, a cell is covered once at most.

    Args:
        boxes: each (x0, y0, x1, y1) in pixels, half-open; what lies outside of the image is cut off.
    """
    shares = np.zeros(grid_hw)
    for x0, y0, x1, y1 in boxes:
        down = _within(y0 / image_hw[0], y1 / image_hw[0], grid_hw[0])
        shares += np.outer(down, _within(x0 / image_hw[1], x1 / image_hw[1], grid_hw[1]))
    flat = np.minimum(shares.ravel(), 1.0)
    cells = np.flatnonzero(flat > LEAST_SHARE)
    return Mark(sample_id, tuple(defect_types), cells.astype(np.int32), flat[cells])


def _within(start: float, end: float, n_cells: int) -> Array:
    """(cells,) share of each cell along one side that lies between two relative places."""
    edges = np.clip((np.arange(n_cells + 1) / n_cells), start, max(start, end))
    return np.asarray(np.diff(edges) * n_cells)


def counted(marks: Sequence[Mark], grid_hw: tuple[int, int], defect_type: str | None = None) -> Density:
    """Count marks; an image counts once in a cell, however many of its marks touch it.

    Args:
        marks: several may be of one image.
        grid_hw: rows and columns of the grid that the marks were made for.
        defect_type: only marks of this type; None: all.
    """
    n_cells = grid_hw[0] * grid_hw[1]
    n_in_cell, area = np.zeros(n_cells, dtype=np.int64), np.zeros(n_cells)
    by_sample: dict[str, list[Mark]] = {}
    for each in marks:
        if each.cells.size and (defect_type is None or defect_type in each.defect_types):
            by_sample.setdefault(each.sample_id, []).append(each)
    for own in by_sample.values():
        together = np.zeros(n_cells)
        for each in own:
            together[each.cells] += each.shares
        n_in_cell += together > 0
        area += np.minimum(together, 1.0)
    return Density(n_in_cell.reshape(grid_hw), area.reshape(grid_hw), len(by_sample))


def types_of(marks: Iterable[Mark]) -> dict[str, int]:
    """Number of images by defect type, the most frequent first; marks of no known type are left out."""
    images: dict[str, set[str]] = {}
    for each in marks:
        for name in each.defect_types if each.cells.size else ():
            images.setdefault(name, set()).add(each.sample_id)
    return {name: len(ids) for name, ids in sorted(images.items(), key=lambda item: (-len(item[1]), item[0]))}


def images_at(marks: Iterable[Mark], cells: Iterable[int], defect_type: str | None = None) -> list[str]:
    """Sample ids of the images that mark something in any of these cells, in the order of the marks."""
    wanted = np.asarray(sorted(cells), dtype=np.int32)
    found = [
        each.sample_id
        for each in marks
        if (defect_type is None or defect_type in each.defect_types) and np.isin(each.cells, wanted).any()
    ]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _overlaps(n_cells: int, n_pixels: int) -> Array:
    """(cells, pixels) share of each cell that each pixel takes, along one side."""
    cell, pixel = np.arange(n_cells)[:, None] / n_cells, np.arange(n_pixels) / n_pixels
    ends = np.minimum(cell + 1 / n_cells, pixel + 1 / n_pixels)
    return np.asarray(np.maximum(ends - np.maximum(cell, pixel), 0.0) * n_cells)
