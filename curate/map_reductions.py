"""From an anomaly map to one image score, in several ways, recorded side by side to be compared.

Which reduction is best depends on the defects: the mean of many pixels is calm, but a small defect drowns in
it; the maximum sees the smallest one, and every speck of noise. So all are kept, and the data decide.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import cv2
import numpy as np
import pandas as pd

from curate.anomaly_maps import is_finite
from curate.images import Array
from curate.intervals import LEVEL, N_REPLICATES, Estimate, Groups, bootstrap, bootstrapped
from curate.metrics import auroc
from curate.ranking import Counts

FRACTIONS = (0.001, 0.01)  # of the map's pixels
N_PIXELS = 16  # about what a defect of 4 x 4 pixels covers
QUANTILE = 0.999
SAMPLED = 64  # of the highest values that are wanted, so many are to be in a sample
BOX_SIDE = 9  # pixels of the image, about three times the width of a hairline scratch
DETECTOR = "detector"  # for a score that is no function of the map
COMMON = (
    "max", "mean", *(f"top_mean_{fraction:g}" for fraction in FRACTIONS), f"top_mean_{N_PIXELS}px",
    f"quantile_{QUANTILE:g}", f"max_mean_{BOX_SIDE}px",
)  # fmt: skip


def reduce_map(anomaly_map: Array) -> dict[str, float]:
    """All reductions of a map, by name.

    Args:
        anomaly_map: (H, W) float32 at the size of the image, finite.

    Returns:
        "max"; "mean"; "top_mean_0.001" and "top_mean_0.01", the mean of that share of the pixels, the highest
        ones (rounded up to whole pixels); "top_mean_16px", of the highest 16 pixels, or all of a smaller map;
        "quantile_0.999", the smallest value that at least that share of the pixels does not exceed;
        "max_mean_9px", the maximum after averaging over squares of 9 x 9 pixels, edge values repeated.

    Raises:
        ValueError: another shape, empty, or not finite; says how many values are not.

    >>> reduce_map(np.eye(4, dtype=np.float32))["top_mean_16px"]
    0.25
    """
    if anomaly_map.ndim != 2 or not anomaly_map.size:
        raise ValueError(f"Expected an (H, W) anomaly map with at least a pixel, found {anomaly_map.shape}.")
    if n_bad := n_not_finite(anomaly_map):
        raise ValueError(f"Expected a finite anomaly map; found {n_bad} of {anomaly_map.size} values not.")
    flat = np.ascontiguousarray(anomaly_map).ravel()
    n = flat.size
    numbers = {f"top_mean_{fraction:g}": _ceil(fraction * n) for fraction in FRACTIONS}
    numbers[f"top_mean_{N_PIXELS}px"] = min(N_PIXELS, n)
    above = n - _ceil(QUANTILE * n)  # pixels that the quantile may leave above it
    deepest = max(*numbers.values(), above + 1)
    top = _highest(flat, deepest).astype(np.float64)
    sums = np.cumsum(top)
    averaged = cv2.blur(anomaly_map, (BOX_SIDE, BOX_SIDE), borderType=cv2.BORDER_REPLICATE)
    found = {
        "max": top[0],
        "mean": flat.mean(dtype=np.float64),
        **{name: sums[number - 1] / number for name, number in numbers.items()},
        f"quantile_{QUANTILE:g}": top[above],
        f"max_mean_{BOX_SIDE}px": averaged.max(),
    }
    return {name: float(found[name]) for name in COMMON}


def _highest(values: Array, number: int) -> Array:
    """The highest values, (number,), in falling order.

    Only those above a guess are sorted out, which a sample of the values gives.
    """
    if len(values) > 16 * number:
        sample = values[:: max(1, number // SAMPLED)]
        rank = 2 * number * len(sample) // len(values)  # twice as many as wanted are expected above it
        above = values[values >= np.partition(sample, len(sample) - 1 - rank)[len(sample) - 1 - rank]]
        if len(above) >= number:
            values = above
    return np.sort(np.partition(values, len(values) - number)[len(values) - number :])[::-1]


def _ceil(number: float) -> int:
    """Rounded up, but not for what only rounding put above a whole number."""
    return math.ceil(number - 1e-9)


def in_order(reductions: Mapping[str, float]) -> dict[str, float]:
    """The same values, those that every map has first; so that equal ones make equal files."""
    more = sorted(name for name in reductions if name not in COMMON)
    return {name: reductions[name] for name in (*COMMON, *more) if name in reductions}


def n_not_finite(anomaly_map: Array) -> int:
    """How many values are NaN or infinite."""
    if is_finite(anomaly_map):
        return 0
    return int(anomaly_map.size - np.count_nonzero(np.isfinite(anomaly_map)))


def own_reduction(settings: Mapping[str, object], scores_map: bool) -> str:
    """Which reduction a detector's image score is.

    Args:
        settings: of the detector: score ("max", "mean" or "top_mean") and top_fraction.
        scores_map: whether the score is reduced from the map; see detectors.base.Detector.

    Returns:
        A name such as reduce_map gives, "top_mean_0.05" for a share that it does not have, or "detector".
    """
    if not scores_map:
        return DETECTOR
    how = str(settings["score"])
    return f"top_mean_{settings['top_fraction']:g}" if how == "top_mean" else how


def reduction_scores(predictions: pd.DataFrame) -> dict[str, Array]:
    """The image scores that each reduction would give.

    Args:
        predictions: after data_schemas/prediction.json, of one detector.

    Returns:
        Reduction -> (N,) float64 in the order of the rows; those that every row has, and "detector" where
        that is what the detector's own score is. Without maps only that one.
    """
    rows = [row or {} for row in predictions["reductions"]]
    names = [name for name in (rows[0] if rows else {}) if all(row.get(name) is not None for row in rows)]
    found = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}
    if (predictions["reduction"] == DETECTOR).any():
        found[DETECTOR] = predictions["anomaly_score"].to_numpy(dtype=np.float64)
    return found


def compare_reductions(
    predictions: pd.DataFrame,
    anomalous: Array,
    groups: Sequence[object],
    *,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Image AUROC of each reduction, on the same replicates of a bootstrap over groups.

    Choosing the best of them by test images flatters it; choose on calibration images, report on test images.

    Args:
        predictions: after data_schemas/prediction.json, of one detector.
        anomalous: (N,) bool, in the order of the rows.
        groups: (N,) whom each image belongs to, such as its part; see intervals.group_weights.

    Returns:
        Reduction -> estimate; without a value where one of the two labels is absent.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    truth = np.asarray(anomalous, dtype=bool)
    if not len(predictions) == len(truth) == len(groups):
        raise ValueError(
            f"Expected a label and a group per prediction; found {len(predictions)} predictions, "
            f"{len(truth)} labels and {len(groups)} groups."
        )
    scores = reduction_scores(predictions)
    if truth.all() or not truth.any():
        absent = "normal" if len(truth) and truth.all() else "anomalous"
        nothing = Estimate(None, level=level, note=f"AUROC needs both labels; no image is {absent}.")
        return {name: nothing for name in scores}

    def auroc_of(values: Array, weights: Array | None = None) -> Array:
        return auroc.of(Counts.of_scores(values, truth, weights))

    found, sizes = {}, Groups.of(groups, truth.tolist()).sizes
    for name, values in scores.items():
        replicates = bootstrap(partial(auroc_of, values), groups, truth.tolist(), n_replicates, seed)
        value = float(auroc_of(values))
        found[name] = bootstrapped(value, replicates, sum(sizes), level, fewest=min(sizes))
    return found
