"""Slow, obvious pixel metrics: one threshold after another, as the papers say it."""

from collections.abc import Sequence
from itertools import pairwise
from math import log

import numpy as np

Maps = Sequence[np.ndarray]
Points = list[tuple[float, float]]


def thresholds(maps: Maps) -> list[float]:
    """All values, highest first."""
    return sorted({float(value) for one in maps for value in one.ravel()}, reverse=True)


def average_precision(maps: Maps, masks: Maps) -> float:
    """Sum of (R_n - R_(n-1)) P_n."""
    n_defect = sum(int(mask.sum()) for mask in masks)
    total, before = 0.0, 0.0
    for threshold in thresholds(maps):
        hits = sum(int(((m >= threshold) & k).sum()) for m, k in zip(maps, masks, strict=True))
        alarms = sum(int((m >= threshold).sum()) for m in maps)
        total += (hits / n_defect - before) * hits / alarms
        before = hits / n_defect
    return total


def f1_max(maps: Maps, masks: Maps) -> float:
    """Best of all thresholds."""
    n_defect, best = sum(int(mask.sum()) for mask in masks), 0.0
    for threshold in thresholds(maps):
        hits = sum(int(((m >= threshold) & k).sum()) for m, k in zip(maps, masks, strict=True))
        alarms = sum(int((m >= threshold).sum()) for m in maps)
        best = max(best, 2 * hits / (alarms + n_defect))
    return best


def auc_spro(
    maps: Maps, channels: Sequence[Sequence[tuple[np.ndarray, float]]], fpr_limit: float = 0.05
) -> float:
    """Mean over channels of min(|P and A| / s, 1); P is what lies strictly above a threshold."""
    points = [(0.0, 0.0)]
    outside = [
        ~np.logical_or.reduce([mask for mask, _ in each]) if each else np.ones(one.shape, bool)
        for one, each in zip(maps, channels, strict=True)
    ]
    n_outside = sum(int(each.sum()) for each in outside)
    for threshold in [*thresholds(maps), -np.inf]:
        wrong = sum(int(((m > threshold) & o).sum()) for m, o in zip(maps, outside, strict=True))
        overlaps = [
            min(int(((m > threshold) & mask).sum()) / saturation, 1.0)
            for m, each in zip(maps, channels, strict=True)
            for mask, saturation in each
        ]
        points.append((wrong / n_outside, float(np.mean(overlaps))))
    return area(points, fpr_limit)


def area(points: Points, limit: float) -> float:
    """By trapezoids up to a limit, divided by it."""
    total = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit or x0 == x1:
            continue
        end = min(x1, limit)
        total += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return total / limit


def aupimo(maps: Maps, masks: Maps, low: float, high: float) -> float:
    """Mean over anomalous images of the recall over the log of the rate, in many small steps."""
    normal = [one for one, mask in zip(maps, masks, strict=True) if not mask.any()]
    values = thresholds(maps)
    rates = [0.0, *(float(np.mean([(one >= t).mean() for one in normal])) for t in values)]
    areas = []
    for one, mask in zip(maps, masks, strict=True):
        if not mask.any():
            continue
        recalls = [0.0, *(float((one[mask] >= t).mean()) for t in values)]
        grid = np.exp(np.linspace(log(low), log(high), 20_001))
        # at a jump, the highest recall of the rate; between rates a straight line
        last = {rate: recall for rate, recall in zip(rates, recalls, strict=True)}
        at = np.interp(grid, list(last), list(last.values()))
        areas.append(float(np.trapezoid(at, np.log(grid)) / log(high / low)))
    return float(np.mean(areas))
