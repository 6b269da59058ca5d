"""The regions of ground-truth masks as rows: where they lie, their size, and whether they were found."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from curate.ground_truth import class_map, draw
from curate.images import Array
from curate.masks import label_regions, read_mask

Row = Mapping[str, Any]


def diameter(area: float | Array) -> Any:
    """Equivalent diameter: that of the circle with the same area, sqrt(4 area / pi).

    Args:
        area: in px (or um2); the result is in px (or um).

    >>> diameter(np.array([np.pi, 4 * np.pi])).tolist()
    [2.0, 4.0]
    """
    return np.sqrt(4 * np.asarray(area, dtype=np.float64) / np.pi)[()]


def regions_of(row: Row, gt_mask: Array) -> list[dict[str, Any]]:
    """The regions of one image, in label order (see curate.masks.label_regions).

    Args:
        row: of the sample table.
        gt_mask: (H, W) bool at the image's own size.

    Returns:
        Rows after data_schemas/region.json, its required columns; empty for a mask without a defect pixel.

    Raises:
        ValueError: the mask is not bool, or not of the image's size.
        Unreadable: a mask file that has to tell the regions' defect types cannot be read.
    """
    image_hw = int(row["height"]), int(row["width"])
    if gt_mask.dtype != np.bool_ or gt_mask.shape != image_hw:
        raise ValueError(
            f"Expected a bool mask of shape {image_hw} for {row['relative_path']}; "
            f"found {gt_mask.shape} {gt_mask.dtype}."
        )
    labels, n_regions = label_regions(gt_mask)
    areas = np.bincount(labels.ravel(), minlength=n_regions + 1)[1:]
    types = _defect_types(row, labels, n_regions)
    um = row["um_per_px"]
    out = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels)):
        area, across = int(areas[index]), float(diameter(areas[index]))
        box = [columns.start, rows.start, columns.stop, rows.stop]
        out.append(
            {
                "sample_id": row["sample_id"],
                "region": index + 1,
                "defect_type": types[index],
                "box_xyxy": [int(edge) for edge in box],
                "area_px": area,
                "diameter_px": across,
                "area_fraction": area / gt_mask.size,
                "area_um2": None if um is None else area * float(um) ** 2,
                "diameter_um": None if um is None else across * float(um),
                "touches_border": bool(
                    box[0] == 0 or box[1] == 0 or box[2] == image_hw[1] or box[3] == image_hw[0]
                ),
            }
        )
    return out


def found(anomaly_map: Array, labels: Array, n_regions: int, threshold: float) -> tuple[Array, Array]:
    """How much of each region lies at or above a threshold.

    Args:
        anomaly_map: (H, W), higher is more suspicious.
        labels: (H, W) integers, 0 outside and 1 to n_regions inside; see curate.masks.label_regions.
        threshold: in units of the map; `>=` counts.

    Returns:
        any: (R,) bool, whether a pixel of the region does.
        overlap: (R,) float64 in [0, 1], the share of its pixels that do.

    Raises:
        ValueError: the shapes differ, a value is NaN, or a label has no pixel.

    >>> found(np.array([[1.0, 5.0, 0.0, 2.0]]), np.array([[1, 1, 0, 2]]), 2, threshold=5)
    (array([ True, False]), array([0.5, 0. ]))
    """
    if anomaly_map.shape != labels.shape:
        raise ValueError(f"Expected a map of shape {labels.shape}; found {anomaly_map.shape}.")
    areas = np.bincount(labels.ravel(), minlength=n_regions + 1)
    if len(areas) != n_regions + 1 or not areas[1:].all():
        raise ValueError(f"Expected labels 1 to {n_regions}, each with a pixel; found others.")
    inside = labels > 0
    values = anomaly_map[inside]
    if np.isnan(values).any():
        raise ValueError("Expected an anomaly map without NaN.")
    hits = np.bincount(labels[inside][values >= threshold], minlength=n_regions + 1)[1:]
    return hits > 0, hits / areas[1:]


def _defect_types(row: Row, labels: Array, n_regions: int) -> list[str | None]:
    """Of each region: the image's only type, else the only one that the source draws there, else None."""
    if len(row["defect_types"]) == 1:
        return [str(row["defect_types"][0])] * n_regions
    drawn: list[set[str]] = [set() for _ in range(n_regions)]
    for name, pixels in layers(row, (labels.shape[0], labels.shape[1])):
        for label in np.unique(labels[pixels]):
            if label:
                drawn[label - 1].add(name)
    boxed = _boxed(row, labels)
    told = [exact or around for exact, around in zip(drawn, boxed, strict=True)]
    return [next(iter(names)) if len(names) == 1 else None for names in told]


def layers(row: Row, image_hw: tuple[int, int]) -> Iterator[tuple[str, Array]]:
    """Defect types with their (H, W) bool pixels: of mask channels, of outlines, of class values."""
    for channel in row["mask_channels"] or ():
        if channel["defect_type"]:
            yield channel["defect_type"], read_mask(Path(channel["path"]), row["mask_rule"] or "> 0")
    for shape in row["shapes"] or ():
        pixels = np.zeros(image_hw, dtype=np.bool_)
        draw(shape, pixels)
        yield shape["defect_type"], pixels
    named = [entry for entry in row["mask_classes"] or () if entry["defect_type"]]
    if row["mask_kind"] == "classes" and named:
        classes = class_map(row)
        for entry in named:
            yield entry["defect_type"], classes == entry["value"]


def _boxed(row: Row, labels: Array) -> list[set[str]]:
    """Of each region, the types of the boxes that it lies wholly inside of: boxes leave room around."""
    names: list[set[str]] = []
    for rows, columns in ndimage.find_objects(labels):
        names.append(set())
        for box in row["boxes"] or ():
            x0, y0, x1, y1 = box["box_xyxy"]
            across = np.floor(x0) <= columns.start and columns.stop <= np.ceil(x1)
            if across and np.floor(y0) <= rows.start and rows.stop <= np.ceil(y1):
                names[-1].add(box["defect_type"])
    return names
