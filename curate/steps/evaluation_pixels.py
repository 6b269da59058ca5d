"""What a detector's maps are worth in one category: pixel figures, and which defect regions are found."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.anomaly_maps import read_raw
from curate.evaluation import Options, finite, told
from curate.evaluation_images import GROUP, curve
from curate.evaluation_slices import image_slices, region_slices, told_slices
from curate.images import Array, read_stored
from curate.intervals import grouped_proportion
from curate.masks import label_regions, limits, within
from curate.metrics.region_recall import MIN_OVERLAP, is_found
from curate.pixel_evaluation import Channel, PixelItem, evaluate_pixels
from curate.pixel_items import Key
from curate.progress import Advance
from curate.region_table import found, regions_of
from curate.size_study import size_study
from curate.slices import DEFECT_TYPE, NOT_STATED
from curate.steps.pixels import truth_of
from curate.tables import from_rows, to_rows
from curate.truth import in_force

FPR_LIMITS = (0.3, 0.05)
TRUTHS = ("normal", "exact", "weak", "boxes", "none")
Row = Mapping[str, Any]


def evaluate(
    rows: pd.DataFrame,
    folder: Path,
    masks: Path,
    map_threshold: float | None,
    options: Options,
    advance: Advance | None = None,
    regions: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Pixel figures, also by slice, curves, regions found; images without pixel truth are named and left out.

    Args:
        rows: test images of one category: the sample table with raw_map.
        folder: of the detector.
        masks: canonical masks of the dataset.
        map_threshold: map values from here on count as found; None leaves regions out.
        advance: called with numbers that add up to that of the rows.
        regions: region_table of the rows, where it was made already.

    Returns:
        truth (kind of truth -> images), without_truth and without_map (names), not_finite (names), pixel
        (figures; empty where no defect pixel is known), pixel_slices (see curate.evaluation_slices), curves,
        regions (recall by two meanings of found, and the study of sizes; None without regions or threshold).
    """
    records = sorted(to_rows(rows), key=lambda row: (str(row[GROUP]), row["sample_id"]))
    kinds = {row["sample_id"]: kind_of_truth(row, masks) for row in records}
    usable = [row for row in records if row["raw_map"] is not None and kinds[row["sample_id"]] != "none"]
    defects = [row for row in usable if kinds[row["sample_id"]] != "normal"]
    counts = Counter(kinds.values())
    out: dict[str, Any] = {
        "truth": {kind: counts[kind] for kind in TRUTHS},
        "without_truth": [row["relative_path"] for row in records if kinds[row["sample_id"]] == "none"],
        "without_map": [row["relative_path"] for row in records if row["raw_map"] is None],
        "not_finite": [],
        "error_bound": None,
        "pixel": {},
        "pixel_slices": [],
        "curves": {},
        "regions": None,
    }
    if advance is not None:
        advance(len(records) - (len(usable) if defects else 0))
    if not defects:
        return out
    by_image = image_slices(rows[rows["sample_id"].isin([row["sample_id"] for row in usable])], options.by)
    by_region = region_slices(region_table(rows, masks) if regions is None else regions)
    evaluation = evaluate_pixels(
        lambda: _items(usable, folder, masks, by_image, by_region),
        fpr_limits=FPR_LIMITS,
        threshold=map_threshold,
        n_replicates=options.pixel_replicates,
        seed=options.seed,
        level=options.level,
        progress=advance,
    )
    odd = set(evaluation.not_finite)
    whole = [row for row in usable if row["relative_path"] not in odd]
    ids = {row["sample_id"] for row in whole}
    defects = [row for row in defects if row["sample_id"] in ids]
    hits = None if map_threshold is None else _hits(defects, folder, masks, map_threshold)
    sliced = told_slices(
        evaluation.slices,
        {name: keys for name, keys in by_image.items() if name in ids},
        {name: keys for name, keys in by_region.items() if name in ids},
        hits,
        options,
    )
    return out | {
        "not_finite": list(evaluation.not_finite),
        "error_bound": evaluation.error_bound,
        "pixel": {name: told(estimate) for name, estimate in evaluation.estimates.items()},
        "curves": {f"pixel_{name}": curve(of) for name, of in evaluation.curves.items()},
        "pixel_slices": sliced,
        "regions": None if hits is None else _regions(hits, options),
    }


def region_table(rows: pd.DataFrame, masks: Path) -> pd.DataFrame | None:
    """The regions of images whose defect pixels are known (data_schemas/region.json); None without one."""
    regions = [
        region
        for row in to_rows(rows[rows["label"] == "anomalous"])
        if (truth := truth_of(row, masks)) is not None
        for region in regions_of(row, truth)
    ]
    return from_rows(regions, list(regions[0])) if regions else None


def kind_of_truth(row: Row, masks: Path) -> str:
    """How well the defect pixels of an image are known.

    Returns:
        "normal": there are none; "exact" or "weak": a mask, drawn tight or with room to spare; "boxes";
        "none": the image is anomalous, but nothing says where, or its mask is empty or of another size.
    """
    if row["label"] == "normal":
        return "normal"
    if truth_of(dict(row), masks) is None:
        return "none"
    if in_force(row, masks) is None:
        return "boxes"
    return "weak" if row["mask_quality"] == "weak" else "exact"


def _items(
    rows: Sequence[Row],
    folder: Path,
    masks: Path,
    by_image: Mapping[str, Sequence[Key]],
    by_region: Mapping[str, Sequence[Sequence[Key]]],
) -> Iterator[PixelItem]:
    for row in rows:
        truth = truth_of(dict(row), masks)
        if truth is not None:
            name, path = row["sample_id"], folder / row["raw_map"]
            parts = by_image[name], by_region.get(name, ())
            yield PixelItem(
                row["relative_path"], read_raw(path), truth, str(row[GROUP]), channels(row), *parts
            )


def channels(row: Row) -> tuple[Channel, ...]:
    """The mask channels of an image that say from which area on a prediction counts as complete.

    An area that is a share of the defect, or larger than it, becomes pixels of this defect, at least one.
    A channel without a defect type is of the image's only one.
    """
    only = row["defect_types"][0] if len(row.get("defect_types") or ()) == 1 else None
    out = []
    for channel in row["mask_channels"] or ():
        if channel["saturation_threshold"] is None:
            continue
        mask = _channel_mask(row, channel)
        area = int(mask.sum())
        if not area:
            continue
        share = channel["saturation_threshold"]
        wanted = int(share * area) if channel["relative_saturation"] else int(min(share, area))
        kind = channel["defect_type"] or only
        out.append(Channel(mask, max(1, wanted), ((DEFECT_TYPE, kind or NOT_STATED),)))
    return tuple(out)


def _channel_mask(row: Row, channel: Row) -> Array:
    values = read_stored(Path(channel["path"]))
    brightest = values.max(axis=2) if values.ndim == 3 else values
    if channel["value"] is not None:
        return np.asarray(brightest == channel["value"])
    return within(brightest, *limits(row["mask_rule"] or "> 0"))


def _hits(rows: Sequence[Row], folder: Path, masks: Path, threshold: float) -> pd.DataFrame | None:
    """The regions of images, and how much of each lies at or above a map threshold; None without one."""
    regions: list[dict[str, Any]] = []
    for row in rows:
        truth = truth_of(dict(row), masks)
        if truth is None:
            continue
        labels, n_regions = label_regions(truth)
        touched, shares = found(read_raw(folder / row["raw_map"]), labels, n_regions, threshold)
        for region, hit, share in zip(regions_of(row, truth), touched, shares, strict=True):
            known = {GROUP: row[GROUP], "found_any": bool(hit), "found_overlap": float(share)}
            regions.append({**region, **known})
    return from_rows(regions, list(regions[0])) if regions else None


def _regions(table: pd.DataFrame, options: Options) -> dict[str, Any]:
    """Regions found at a map threshold, by two meanings of found, and by size."""
    groups = table[GROUP].astype(str).tolist()
    hits = {
        "found_any": table["found_any"].to_numpy(dtype=bool),
        "found_overlap": is_found(table["found_overlap"].to_numpy(dtype=np.float64), MIN_OVERLAP),
    }
    draws: dict[str, Any] = {
        "n_replicates": options.n_replicates,
        "seed": options.seed,
        "level": options.level,
    }
    recalls = {name: told(grouped_proportion(hit, groups, **draws)) for name, hit in hits.items()}
    scaled = bool(table["diameter_um"].notna().all())
    sizes = size_study(table, unit="um" if scaled else "px", min_overlap=MIN_OVERLAP, **draws)
    return {"n": len(table), "min_overlap": MIN_OVERLAP, **recalls, "sizes": finite(sizes)}
