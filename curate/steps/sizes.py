"""Step: how large the defects of a dataset are, which vanish at a detector's input, and which are found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate import tables
from curate.errors import CurateError, Missing
from curate.files import read_json
from curate.input_sizes import Inputs, of_side, of_state
from curate.score_fit import category_folder
from curate.size_study import size_study
from curate.steps import labels
from curate.steps.joined import with_scores, with_split
from curate.steps.record import Context
from curate.steps.regions import region_table
from curate.tables import to_rows

HALF_CELL = 0.5
RISES = (
    "{n} of {of} regions vanish where masks are resized to {detector} with the nearest pixel. An evaluation "
    "at that size does not count them as missed: it leaves them out, and AUPRO rises. curate evaluates at "
    "the images' own size, where they count."
)


def run(
    context: Context,
    detector: str | None = None,
    *,
    category: str | None = None,
    defect_type: str | None = None,
    input_side: int | None = None,
    aspect: str = "keep",
    table: Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Study sizes: of all regions of the dataset, and what a detector finds of those of the test part.

    Args:
        detector: None takes that of the threshold in force, else the only one with scores, else none.
        category: only this one.
        defect_type: only regions of this one.
        input_side: tell what vanishes at about this side squared, instead of at the detector's own input.
        aspect: of input_side: "keep" or "stretch".
        table: Parquet file for the regions.
        options: of curate.size_study.size_study.

    Returns:
        category, detector, truth (images by kind), thresholds (category -> value and where it comes from;
        empty without a detector), sizes (the study of all regions), recall (that of the test part's; None
        without a detector), vanish (None without a detector and input_side), warnings.

    Raises:
        ValueError: unknown category, or wrong options.
        Missing: the detector has no scores of the images as they are now.
        CurateError: no anomalous image has a mask.
    """
    samples = _samples(context, category)
    name = detector or _default(context)
    thresholds: dict[str, dict[str, Any]] = {}
    if name is not None:
        samples = _of(with_scores(context, name), category)
        thresholds = _thresholds(context, name, samples)
    inputs, seen = _inputs(context, name, samples, input_side, aspect)
    cuts = {key: value["value"] for key, value in thresholds.items()}
    regions, truth = region_table(context, to_rows(samples), name, cuts, inputs)
    if defect_type is not None:
        regions = _of_type(regions, defect_type)
    if not len(regions):
        raise CurateError(
            f'CurateError: no anomalous image of "{context.paths.name}" has a mask: there is no region to '
            f"measure ({sum(truth.values())} anomalous images)."
        )
    tested = regions[(regions["assigned_split"] == "test") & regions["found_any"].notna()]
    plain = regions.assign(found_any=None, found_overlap=None)
    vanish = None if seen is None else {"input": seen, **vanishing(regions)}
    if table is not None:
        tables.write(regions, table)
    return {
        "category": category,
        "defect_type": defect_type,
        "detector": name,
        "truth": truth,
        "thresholds": thresholds,
        "sizes": size_study(plain, **options),
        "recall": size_study(tested, **options) if len(tested) else None,
        "vanish": vanish,
        "warnings": _warnings(truth, vanish, seen),
    }


def vanishing(regions: pd.DataFrame) -> dict[str, Any]:
    """How many regions an input loses; each count for itself.

    Returns:
        n_regions, n_nearest (a nearest-neighbour resize of the mask leaves no pixel), n_below_pixel (less
        than one pixel of the input), n_below_half_cell (less than half a feature cell; None where cells
        are not known), largest_lost_px (equivalent diameter of the largest that the resize loses; None
        without one).
    """
    lost = regions["nearest_px"] == 0
    cells = regions["input_cells"]
    known = bool(cells.notna().all())
    return {
        "n_regions": len(regions),
        "n_nearest": int(lost.sum()),
        "n_below_pixel": int((regions["input_px"].astype(float) < 1).sum()),
        "n_below_half_cell": int((cells.astype(float) < HALF_CELL).sum()) if known else None,
        "largest_lost_px": float(regions["diameter_px"][lost].max()) if lost.any() else None,
    }


def _warnings(truth: Mapping[str, int], vanish: Mapping[str, Any] | None, seen: str | None) -> list[str]:
    out = []
    if vanish is not None and vanish["n_nearest"]:
        out.append(RISES.format(n=vanish["n_nearest"], of=vanish["n_regions"], detector=seen))
    if n := truth["weak"] + truth["boxes"]:
        out.append(
            f"{n} anomalous images have boxes or masks drawn with room to spare: their sizes are too large."
        )
    if truth["none"]:
        out.append(f"{truth['none']} anomalous images have no usable mask; their regions are not counted.")
    return out


def _samples(context: Context, category: str | None) -> pd.DataFrame:
    split = context.paths.split.exists()
    return _of(with_split(context) if split else labels.current(context), category)


def _of(samples: pd.DataFrame, category: str | None) -> pd.DataFrame:
    known = sorted(set(samples["category"]))
    if category is not None and category not in known:
        raise ValueError(f'There is no category "{category}". Known: {", ".join(known)}.')
    return samples if category is None else samples[samples["category"] == category]


def _of_type(regions: pd.DataFrame, defect_type: str) -> pd.DataFrame:
    known = sorted({name for name in regions["defect_type"] if name is not None})
    if defect_type not in known:
        raise ValueError(f'There is no region of type "{defect_type}". Known: {", ".join(known) or "none"}.')
    return regions[regions["defect_type"] == defect_type].reset_index(drop=True)


def _default(context: Context) -> str | None:
    """Whose threshold is in force; else the only detector with scores; else none."""
    try:
        return str(read_json(context.paths.threshold)["detector"])
    except (Missing, KeyError, TypeError):
        names = context.paths.detectors()
        return names[0] if len(names) == 1 else None


def _thresholds(context: Context, name: str, samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Category -> from which map value on a pixel counts as found, and where that comes from."""
    from curate.steps.evaluation_thresholds import decisions_of, in_force, map_threshold

    predictions = tables.read(context.paths.detector(name) / "predictions.parquet")
    more = [column for column in ("reduction",) if column in predictions]
    scored = samples.merge(predictions[["sample_id", *more]], on="sample_id")
    decisions, out = decisions_of(context, name), {}
    for category, rows in scored[scored["label"] != "unknown"].groupby("category", sort=True):
        parts = {part: rows[rows["assigned_split"] == part] for part in ("test", "calibration")}
        cut = in_force(decisions, str(category), parts["calibration"])
        value, how = map_threshold(context, name, decisions, str(category), parts, cut)
        rule = f" ({cut.rule}, {cut.source})" if value is not None and value == cut.value else ""
        out[str(category)] = {"value": value, "from": how + rule}
    return out


def _inputs(
    context: Context, name: str | None, samples: pd.DataFrame, side: int | None, aspect: str
) -> tuple[dict[str, Inputs], str | None]:
    """Category -> how images are seen; and that in words, None where nothing tells."""
    categories = sorted(set(samples["category"]))
    if side is not None:
        sizes = {
            key: list(zip(rows["height"].astype(int), rows["width"].astype(int), strict=True))
            for key, rows in samples.groupby("category")
        }
        inputs = {key: of_side(side, aspect, sizes[key]) for key in categories}
    elif name is not None:
        folder = context.paths.detector(name) / "state"
        states = {key: folder / category_folder(key) for key in categories}
        inputs = {key: of_state(state) for key, state in states.items() if (state / "meta.json").exists()}
    else:
        return {}, None
    hws = {view.geometry.input_hw for each in inputs.values() for view in each.views}
    told = ", ".join(f"{width} x {height} px" for height, width in sorted(hws))
    if not told:
        return {}, None
    tiled = " of a tile" if any(each.grid for each in inputs.values()) else ""
    return inputs, f"the input{tiled} ({told}{f', {name}' if name and side is None else ''})"
