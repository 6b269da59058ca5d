"""What image scores are worth in one category: figures, curves, slices, and what a threshold does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from curate.curves import Curve
from curate.evaluation import Options, numbers, told
from curate.evaluation_decision import (
    Threshold,
    at_threshold,
    by_defect_type,
    cost_curve,
    histogram,
    steps,
    worst,
)
from curate.image_evaluation import ImageEvaluation, evaluate_images
from curate.images import Array
from curate.intervals import Estimate
from curate.object_level import to_objects
from curate.size_bins import OCTAVES, bins_by
from curate.slices import DEFECT_TYPE, VIEW, slices, with_largest_region
from curate.tables import to_rows

GROUP = "part_id"
OFFERED = (  # columns that say where an image comes from
    "product", "category", "source", "lot", "panel", "piece", "position", "section", "station", "camera",
    "lighting", "site", "operator", "machine_code",
)  # fmt: skip


def evaluate(
    rows: pd.DataFrame, cut: Threshold, options: Options, regions: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Everything that the scores alone tell; images that nobody labelled are not among the rows.

    Args:
        rows: test images of one category, at least one: the sample table with anomaly_score.
        regions: of these images, where they are known; images are then sliced by their largest one, too.

    Returns:
        counts, image, object, curves (roc, pr), at_threshold, by_defect_type, histogram, steps, cost, slices
        and worst, after data_schemas/evaluation.json.
    """
    scores, anomalous, groups = arrays(rows)
    records = to_rows(rows)
    found = _figures(scores, anomalous, groups, options)
    moves = steps(scores, anomalous, cut)
    n_normal, n_anomalous = int((~anomalous).sum()), int(anomalous.sum())
    return {
        "counts": {"n_normal": n_normal, "n_anomalous": n_anomalous, "n_groups": len(set(groups))},
        "image": {name: told(estimate) for name, estimate in found.estimates.items()},
        "object": _objects(scores, anomalous, groups, options),
        "curves": {name: curve(of) for name, of in found.curves.items()},
        "at_threshold": at_threshold(scores, anomalous, groups, cut, options),
        "by_defect_type": by_defect_type(records, scores, anomalous, groups, cut, options),
        "histogram": histogram(scores, anomalous, cut),
        "steps": moves,
        "cost": cost_curve(moves, options, n_normal, n_anomalous),
        "slices": _slices(rows, cut, options, regions),
        "worst": worst(records, scores, anomalous, cut),
    }


def arrays(rows: pd.DataFrame) -> tuple[Array, Array, list[str]]:
    """Scores (N,) float64, labels (N,) bool, and the part that each image shows."""
    return (
        rows["anomaly_score"].to_numpy(dtype=np.float64),
        (rows["label"] == "anomalous").to_numpy(dtype=bool),
        [str(part) for part in rows[GROUP]],
    )


def curve(of: Curve) -> dict[str, Any]:
    """A curve for JSON."""
    low, high = (None if band is None else numbers(band) for band in (of.low, of.high))
    return {"x": numbers(of.x), "y": numbers(of.y), "low": low, "high": high}


def check_columns(rows: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ValueError where a column to slice by is absent or tells nothing.

    Args:
        rows: test images of all categories.
    """
    for name in columns:
        if name in (DEFECT_TYPE, VIEW):
            continue
        if name not in rows.columns:
            raise ValueError(f'Unknown column "{name}". {_offered(rows)}')
        if not _known(rows[name]).any():
            raise ValueError(f'The column "{name}" is empty for the test images. {_offered(rows)}')


def _known(values: pd.Series) -> Array:
    return np.asarray(values.notna() & (values != ""), dtype=bool)


def _offered(rows: pd.DataFrame) -> str:
    """What can be sliced by here, in a sentence: columns of the trace with several values, not one each."""
    here = [name for name in OFFERED if name in rows.columns]
    several = [name for name in here if 1 < rows[name][_known(rows[name])].nunique() < len(rows)]
    if several:
        return f"Columns with several values here: {', '.join(several)}."
    return f"No column has several values here; looked at {', '.join(here)}."


def _figures(scores: Array, anomalous: Array, groups: Sequence[str], options: Options) -> ImageEvaluation:
    return evaluate_images(
        scores,
        anomalous,
        groups,
        fpr=options.fpr,
        miss_rate=options.miss_rate,
        defect_rate=options.defect_rate,
        n_replicates=options.n_replicates,
        seed=options.seed,
        level=options.level,
    )


def _objects(
    scores: Array, anomalous: Array, groups: Sequence[str], options: Options
) -> dict[str, Any] | None:
    """The figures where a part counts once, by its highest score; None where each is one image."""
    if len(set(groups)) == len(groups):
        return None
    highest, labels, parts = to_objects(scores, anomalous, groups)
    found = _figures(highest, labels, list(parts), options)
    return {name: told(estimate) for name, estimate in found.estimates.items()}


def _by_size(rows: pd.DataFrame, regions: pd.DataFrame | None) -> tuple[pd.DataFrame, dict[str, list[float]]]:
    """The rows with the size of each one's largest region, and the edges to slice by it: powers of 2."""
    if regions is None:
        return rows, {}
    sized = with_largest_region(rows, regions)
    column = "largest_diameter_um" if regions["diameter_um"].notna().all() else "largest_diameter_px"
    known = sized[column].dropna().to_numpy(dtype=np.float64)
    inner = list(bins_by(OCTAVES, known).edges[1:-1])
    return sized, {column: inner} if inner else {}


def _slices(
    rows: pd.DataFrame, cut: Threshold, options: Options, regions: pd.DataFrame | None
) -> list[dict[str, Any]]:
    out = []
    sized, edges = _by_size(rows, regions)
    for part in slices(sized, [DEFECT_TYPE, *options.by], edges):
        scores, anomalous, groups = arrays(rows[part.chosen])
        found = _figures(scores, anomalous, groups, options).estimates
        decided = at_threshold(scores, anomalous, groups, cut, options)
        empty: Mapping[str, Any] = told(Estimate(None, level=options.level, note="There is no threshold."))
        out.append(
            {
                "column": part.column,
                "value": str(part.value),
                "n_normal": int((~anomalous).sum()),
                "n_anomalous": int(anomalous.sum()),
                "image_auroc": told(found["image_auroc"]),
                "image_average_precision": told(found["image_average_precision"]),
                "false_alarm_rate": decided["false_alarm_rate"] if decided else empty,
                "miss_rate": decided["miss_rate"] if decided else empty,
            }
        )
    return out
