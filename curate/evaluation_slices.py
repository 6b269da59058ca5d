"""Pixel figures by slice: which slices there are, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from curate.evaluation import Options, told
from curate.images import Array
from curate.intervals import Estimate, grouped_proportion
from curate.metrics.region_recall import MIN_OVERLAP, is_found
from curate.pixel_items import Key
from curate.size_bins import OCTAVES, bins_by
from curate.size_study import UNITS
from curate.slices import DEFECT_TYPE, NOT_STATED, slices
from curate.tables import to_rows

SIZE = "region_size"
GROUP = "part_id"
MAX_VALUES = 100  # of a column; with more of them, such as names of files, pixels are not told apart
RECALLS = {"found_any": "region_recall_found_any", "found_overlap": "region_recall_found_overlap"}


def image_slices(rows: pd.DataFrame, columns: Iterable[str]) -> dict[str, list[Key]]:
    """By sample, the slices that an image is in: one of each column that has few enough values.

    Args:
        rows: sample table.
        columns: of `--by`. That of defect types is left out, because regions have them.
    """
    out: dict[str, list[Key]] = {str(name): [] for name in rows["sample_id"]}
    for column in dict.fromkeys(columns):
        parts = slices(rows, [column]) if column != DEFECT_TYPE else []
        for part in parts if len(parts) <= MAX_VALUES else []:
            for name in rows["sample_id"][part.chosen]:
                out[str(name)].append((column, part.value))
    return out


def region_slices(regions: pd.DataFrame | None) -> dict[str, list[list[Key]]]:
    """By sample, the slices of each of its regions in order: its defect type, and its bin of diameters.

    Bins are octaves in px and, where every region has a scale, in um, too.

    Args:
        regions: rows after data_schemas/region.json; the regions of an image in order.
    """
    if regions is None:
        return {}
    keys: list[list[Key]] = [[(DEFECT_TYPE, name or NOT_STATED)] for name in regions["defect_type"]]
    for unit in UNITS:
        if regions[f"diameter_{unit}"].isna().any():
            continue
        diameters = regions[f"diameter_{unit}"].to_numpy(dtype=np.float64)
        bins = bins_by(OCTAVES, diameters)
        names = [f"{low:.3g}-{high:.3g} {unit}" for low, high in pairwise(bins.edges)]
        for own, place in zip(keys, bins.of(diameters), strict=True):
            own.append((SIZE, names[place]))
    out: dict[str, list[list[Key]]] = {}
    for name, own in zip(regions["sample_id"], keys, strict=True):
        out.setdefault(str(name), []).append(own)
    return out


def told_slices(
    found: Mapping[Key, Mapping[str, Estimate]],
    images: Mapping[str, Sequence[Key]],
    regions: Mapping[str, Sequence[Sequence[Key]]],
    hits: pd.DataFrame | None,
    options: Options,
) -> list[dict[str, Any]]:
    """Every slice with its figures, after data_schemas/evaluation.json; slices of regions first.

    Args:
        found: figures of each slice.
        images, regions: see image_slices and region_slices; of the images that count.
        hits: rows of regions with part_id, found_any and found_overlap; None without a threshold.
    """
    of_region = {key for parts in regions.values() for keys in parts for key in keys}
    n_images = _counts(images.values())
    n_images |= _counts({key for keys in parts for key in keys} for parts in regions.values())
    owners = [{*keys, *images[name]} for name, parts in regions.items() for keys in parts if name in images]
    n_regions = _counts(owners)
    recalls = {} if hits is None else _recalls(hits, images, regions, options)
    rows = []
    for key in sorted(found, key=lambda key: _place(key, key in of_region, options.by)):
        figures = {name: told(estimate) for name, estimate in found[key].items()}
        column, value = key
        rows.append(
            {
                "column": column,
                "value": value,
                "of": "regions" if key in of_region else "images",
                "n_images": n_images.get(key, 0),
                "n_regions": n_regions.get(key, 0),
                "figures": figures | recalls.get(key, {}),
            }
        )
    return rows


def _counts(parts: Iterable[Iterable[Key]]) -> dict[Key, int]:
    out: dict[Key, int] = {}
    for keys in parts:
        for key in keys:
            out[key] = out.get(key, 0) + 1
    return out


def _recalls(
    hits: pd.DataFrame,
    images: Mapping[str, Sequence[Key]],
    regions: Mapping[str, Sequence[Sequence[Key]]],
    options: Options,
) -> dict[Key, dict[str, Any]]:
    """By slice, the share of its regions that are found, by both meanings of found."""
    members: dict[Key, list[int]] = {}
    for at, row in enumerate(to_rows(hits[["sample_id", "region"]])):
        own = regions[row["sample_id"]][row["region"] - 1]
        for key in (*own, *images[row["sample_id"]]):
            members.setdefault(key, []).append(at)
    groups = hits[GROUP].astype(str).to_numpy(dtype=object)
    both: dict[str, Array] = {
        "found_any": hits["found_any"].to_numpy(dtype=bool),
        "found_overlap": is_found(hits["found_overlap"].to_numpy(dtype=np.float64), MIN_OVERLAP),
    }
    return {
        key: {
            RECALLS[name]: told(
                grouped_proportion(
                    hit[places], groups[places].tolist(), options.level, options.n_replicates, options.seed
                )
            )
            for name, hit in both.items()
        }
        for key, places in members.items()
    }


def _place(key: Key, of_regions: bool, by: Sequence[str]) -> tuple[Any, ...]:
    """Where a slice stands: defect types, sizes in px, in um, then columns as asked; "not stated" last."""
    column, value = key
    if column == SIZE and of_regions:
        return 1, value.endswith(" um"), float(value.partition("-")[0]), ""
    return (0 if of_regions else 2 + list(by).index(column), value == NOT_STATED, 0.0, value)
