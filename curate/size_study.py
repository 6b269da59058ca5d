"""How large the defect regions of a dataset are, and how the chance to find them depends on it."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from curate.errors import DataFault, listed
from curate.images import Array
from curate.intervals import LEVEL, grouped_proportion
from curate.metrics.region_recall import MIN_OVERLAP, is_found
from curate.psychometric import N_REPLICATES, PROBABILITY, SmallestFound, smallest_found
from curate.size_bins import OCTAVES, bins_by

UNITS = ("px", "um")
MEASURES = ("area_px", "diameter_px", "area_fraction", "area_um2", "diameter_um")
SHARES = {"min": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
PER_OCTAVE = 4  # bins of the histogram, which only shows the distribution
FOUND = ("found_any", "found_overlap")


def size_study(
    regions: pd.DataFrame,
    *,
    bins: str | Sequence[float] = OCTAVES,
    unit: str = "px",
    min_overlap: float = MIN_OVERLAP,
    probability: float = PROBABILITY,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Sizes of regions, their recall by size, and the smallest size found with some probability.

    Args:
        regions: rows after data_schemas/region.json; with found_any and found_overlap (the share of the
            region that was found, or whether that is enough) where a detector is studied, and part_id where
            regions of several images belong to one part.
        bins: see curate.size_bins.bins_by.
        unit: of the diameters in bins and curve: "px" or "um".
        min_overlap: share of a region from which on it counts as found by overlap.
        probability: that the smallest size is found with.

    Returns:
        n_regions, n_images, n_groups, unit, min_overlap, sizes (measure -> n, min, p5, median, p95, max),
        histogram (edges of quarter octaves of the diameter, counts), rule (name, about, edges), n_outside
        (regions in none of the bins), bins (bin, low, high, n, n_images, and found_any and found_overlap as
        estimates, None where not known) and smallest (found_any and found_overlap: status, the estimate's
        keys, probability, trend_p, curve; None where not known). All plain values for JSON.

    Raises:
        ValueError: unknown unit, wrong bins, or a share outside of [0, 1].
        DataFault: the unit is "um", and regions have no scale.
    """
    if unit not in UNITS:
        raise ValueError(f'Expected the unit "px" or "um"; found "{unit}".')
    diameters = _diameters(regions, unit)
    groups = _groups(regions)
    chosen = bins_by(bins, diameters)
    place = chosen.of(diameters)
    hits = _hits(regions, min_overlap)

    def recall(hit: Array, inside: Array) -> dict[str, Any]:
        return asdict(grouped_proportion(hit[inside], groups[inside].tolist(), level, n_replicates, seed))

    rows = []
    for number, (low, high) in enumerate(pairwise(chosen.edges)):
        inside = place == number
        row = {"bin": f"{low:.3g}-{high:.3g} {unit}", "low": low, "high": high, "n": int(inside.sum())}
        row["n_images"] = int(regions["sample_id"][inside].nunique())
        rows.append({**row, **{k: None if hit is None else recall(hit, inside) for k, hit in hits.items()}})
    smallest = {
        name: None
        if hit is None
        else as_told(
            smallest_found(
                diameters, hit, groups.tolist(), probability=probability, n_replicates=n_replicates,
                seed=seed, level=level, unit=unit,
            )
        )
        for name, hit in hits.items()
    }  # fmt: skip
    return {
        "n_regions": len(regions),
        "n_images": int(regions["sample_id"].nunique()) if len(regions) else 0,
        "n_groups": len(set(groups.tolist())),
        "unit": unit,
        "min_overlap": min_overlap,
        "sizes": {name: _spread(_numbers(regions, name)) for name in MEASURES},
        "histogram": _histogram(diameters),
        "rule": {"name": chosen.rule, "about": chosen.about, "edges": list(chosen.edges)},
        "n_outside": int((place < 0).sum()),
        "bins": rows,
        "smallest": smallest,
    }


def as_told(answer: SmallestFound) -> dict[str, Any]:
    """The smallest size found as plain values for JSON."""
    curve = answer.curve
    return {
        **asdict(answer.size),
        "status": answer.status,
        "probability": answer.probability,
        "trend_p": answer.trend_p,
        "curve": None
        if curve is None
        else {name: float(getattr(curve, name)) for name in ("offset", "slope", "guess", "lapse")},
    }


def _numbers(regions: pd.DataFrame, name: str) -> Array:
    """(R,) float64; NaN where not known."""
    return np.array([np.nan if value is None else float(value) for value in regions[name]], dtype=np.float64)


def _diameters(regions: pd.DataFrame, unit: str) -> Array:
    values = _numbers(regions, f"diameter_{unit}")
    if (lacking := np.isnan(values)).any():
        names = list(dict.fromkeys(regions["sample_id"][lacking]))
        raise DataFault(
            f"DataFault: {len(names)} images with defects have no um_per_px, so their sizes in um are not "
            f"known:\n{listed(names)}\nState um_per_px when ingesting, or give sizes in px."
        )
    return values


def _groups(regions: pd.DataFrame) -> Array:
    """(R,) part of each region; its image where parts are not told."""
    parts = regions["part_id"] if "part_id" in regions else regions["sample_id"]
    chosen = [str(part or own) for part, own in zip(parts, regions["sample_id"], strict=True)]
    return np.array(chosen, dtype=object)


def _hits(regions: pd.DataFrame, min_overlap: float) -> dict[str, Array | None]:
    """By meaning of found, which regions are; None where nobody looked."""
    if any(name not in regions or regions[name].isna().any() for name in FOUND) or not len(regions):
        return dict.fromkeys(FOUND)
    overlap = regions["found_overlap"].to_numpy(dtype=np.float64)
    return {
        "found_any": regions["found_any"].to_numpy(dtype=np.bool_),
        "found_overlap": is_found(overlap, min_overlap),
    }


def _spread(values: Array) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    quantiles = np.quantile(known, list(SHARES.values())).tolist() if len(known) else [None] * len(SHARES)
    return {"n": len(known), **dict(zip(SHARES, quantiles, strict=True))}


def _histogram(diameters: Array) -> dict[str, list[float]]:
    if not len(diameters):
        return {"edges": [], "counts": []}
    steps = np.floor(np.log2(diameters) * PER_OCTAVE).astype(np.int64)
    counts = np.bincount(steps - steps.min())
    edges = 2.0 ** (np.arange(steps.min(), steps.max() + 2) / PER_OCTAVE)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
