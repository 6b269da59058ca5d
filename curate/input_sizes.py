"""What is left of defect regions at the size at which a detector sees the image.

A region that a nearest-neighbour resize of the mask loses is not missed by an evaluation at that size: it is
not counted. AUPRO, an average over the regions that are left, then rises. So masks are never resized here for
a metric; this only tells which regions such an evaluation would lose, and which are too small to be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.files import read_json
from curate.images import Array

if TYPE_CHECKING:
    from detectors.geometry import Geometry

Span = tuple[int, int]
SIDE_MAX = 8192  # masks are resized to it


@dataclass(frozen=True)
class View:
    """A picture that the model sees of an image, or of images cut into tiles.

    Attributes:
        geometry: how a picture becomes the model's input.
        cell_px: area of a cell of the finest feature grid, in pixels of the input; None where not known.
    """

    geometry: "Geometry"
    cell_px: float | None = None


@dataclass(frozen=True)
class Inputs:
    """All that a detector sees of an image.

    Attributes:
        views: each of the whole image, or with a grid one for each tile (one alone is that of all tiles).
        grid: rows and columns of tiles, and their overlap; None without tiles.
    """

    views: tuple[View, ...]
    grid: tuple[int, int, float] | None = None

    def pictures(self, image_hw: tuple[int, int]) -> list[tuple[Span, Span, View]]:
        """Rows, columns and view of each picture of an image."""
        if self.grid is None:
            return [((0, image_hw[0]), (0, image_hw[1]), view) for view in self.views]
        from detectors.tiled import spans

        n_rows, n_columns, overlap = self.grid
        places = [
            (r, c)
            for r in spans(image_hw[0], n_rows, overlap)
            for c in spans(image_hw[1], n_columns, overlap)
        ]
        views = self.views if len(self.views) > 1 else self.views * len(places)
        return [(rows, columns, view) for (rows, columns), view in zip(places, views, strict=True)]


def of_state(folder: Path) -> Inputs:
    """How a fitted detector sees an image, from the files it saved; loads no network.

    Raises:
        Missing: the folder holds no saved detector.
    """
    meta, config = read_json(folder / "meta.json"), read_json(folder / "config.json")
    inner = meta.get("inner") or [meta]
    grid = (meta.get("facts") or {}).get("grid") if str(config["detector"]).startswith("tiled:") else None
    return Inputs(
        tuple(_view(own) for own in inner), None if grid is None else (*grid, float(config["overlap"]))
    )


def of_side(side: int, aspect: str, sizes_hw: Sequence[tuple[int, int]]) -> Inputs:
    """How detectors with about side * side pixels of input would see images of some sizes.

    Args:
        aspect: "keep": the aspect ratio, as detectors do by default; "stretch": a square input.
        sizes_hw: height and width of the images.

    Raises:
        ValueError: a side below 32 or above SIDE_MAX, or an unknown aspect.
    """
    from detectors.geometry import SIDE_MIN, Geometry, choose_hw

    if aspect not in ("keep", "stretch") or not SIDE_MIN <= side <= SIDE_MAX:
        raise ValueError(
            f'Expected a side from {SIDE_MIN} to {SIDE_MAX}, "keep" or "stretch"; found {side}, "{aspect}".'
        )
    image_hw = choose_hw(sizes_hw, side) if aspect == "keep" else (side, side)
    return Inputs((View(Geometry(image_hw, None, aspect)),))  # type: ignore[arg-type]


def _view(meta: dict[str, Any]) -> View:
    from detectors.geometry import Geometry

    geometry = Geometry(**meta["geometry"])
    height, width = geometry.input_hw
    facts = meta.get("facts") or {}
    cells = facts.get("grid_hw")
    if cells is None and meta.get("backbone") and meta.get("layers"):
        from detectors.blocks.merging import known_shapes

        cells = known_shapes(meta["backbone"], tuple(meta["layers"]), geometry.input_hw)[0][1:]
    return View(geometry, None if cells is None else height * width / (cells[0] * cells[1]))


def sizes_at_input(labels: Array, n_regions: int, inputs: Inputs) -> dict[str, list[Any]]:
    """What is left of each region; of several pictures, the one that shows most of it counts.

    Args:
        labels: (H, W) integers, 0 outside and 1 to n_regions inside.

    Returns:
        input_px (area in pixels of the input), nearest_px (pixels that a nearest-neighbour resize leaves) and
        input_cells (area in feature cells; None where not known), each with one entry per region.
    """
    area, nearest, cells = np.zeros(n_regions), np.zeros(n_regions, np.int64), np.zeros(n_regions)
    known = True
    for rows, columns, view in inputs.pictures((labels.shape[0], labels.shape[1])):
        part = labels[slice(*rows), slice(*columns)]
        left, scale, places = _resized(part, view.geometry)
        own = np.bincount(part[places].ravel(), minlength=n_regions + 1)[1:] * scale
        area = np.maximum(area, own)
        nearest = np.maximum(nearest, np.bincount(left.ravel(), minlength=n_regions + 1)[1:])
        known = known and view.cell_px is not None
        cells = np.maximum(cells, own / (view.cell_px or 1.0))
    return {
        "input_px": area.tolist(),
        "nearest_px": nearest.tolist(),
        "input_cells": cells.tolist() if known else [None] * n_regions,
    }


def _resized(labels: Array, geometry: "Geometry") -> tuple[Array, float, tuple[slice, slice]]:
    """Labels at the input, its pixels per pixel of the picture, and the part of the picture that it shows.

    Each pixel of the input takes the label of the pixel that its centre lies in.
    """
    height, width = labels.shape
    box = geometry.box((height, width))
    top, left = ((a - b) // 2 for a, b in zip(geometry.image_hw, geometry.input_hw, strict=True))
    rows = _within(top - box.top, geometry.input_hw[0], box.height)
    columns = _within(left - box.left, geometry.input_hw[1], box.width)
    chosen = labels[_sources(rows, height, box.height)][:, _sources(columns, width, box.width)]
    shown = (
        slice(round(rows.start * height / box.height), round(rows.stop * height / box.height)),
        slice(round(columns.start * width / box.width), round(columns.stop * width / box.width)),
    )
    return chosen, box.height * box.width / (height * width), shown


def _within(first: int, n: int, length: int) -> range:
    """Pixels of the resized picture that the crop shows."""
    return range(max(0, first), min(length, first + n))


def _sources(resized: range, length: int, resized_length: int) -> Array:
    """For pixels of a resized picture, the pixel of the picture that each one's centre lies in."""
    return (2 * np.arange(resized.start, resized.stop) + 1) * length // (2 * resized_length)
