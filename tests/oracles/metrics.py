"""Slow, obvious metrics."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Share of pairs of an anomalous and a normal item that are in the right order; ties count half."""
    anomalous = [s for s, label in zip(scores, labels, strict=True) if label]
    normal = [s for s, label in zip(scores, labels, strict=True) if not label]
    right = sum((a > n) + (a == n) / 2 for a in anomalous for n in normal)
    return right / (len(anomalous) * len(normal))


def regions(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """8-connected components by flood fill."""
    left = set(zip(*np.nonzero(mask), strict=True))
    found = []
    while left:
        border = [left.pop()]
        region = set(border)
        while border:
            row, column = border.pop()
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            region |= near
            border += near
        found.append(region)
    return found


def aupro(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], fpr_limit: float = 0.3) -> float:
    """One threshold after another: mean overlap of all regions against the false-positive rate."""
    thresholds = sorted({float(value) for one in maps for value in one.ravel()}, reverse=True)
    parts = [(one, region) for one, mask in zip(maps, masks, strict=True) for region in regions(mask)]
    n_background = sum(int((~mask).sum()) for mask in masks)
    points = [(0.0, 0.0)]
    for threshold in thresholds:
        wrong = sum(int(((m >= threshold) & ~k).sum()) for m, k in zip(maps, masks, strict=True))
        overlap = [sum(m[pixel] >= threshold for pixel in region) / len(region) for m, region in parts]
        points.append((wrong / n_background, float(np.mean(overlap))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= fpr_limit or x0 == x1:
            continue
        end = min(x1, fpr_limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / fpr_limit
