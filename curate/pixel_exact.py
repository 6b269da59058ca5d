"""Exact pixel metrics of a small set: every pixel is kept and sorted, in its own number type."""

from collections.abc import Iterable

import numpy as np

from curate.images import Array
from curate.pixel_histograms import Metric
from curate.pixel_items import PixelItem, check_pair, region_shares, saturating
from curate.pixel_measures import Slab

Weighed = tuple[Array, Array]  # values and their weights


def exact(items: Iterable[PixelItem], metric: Metric) -> float:
    """A metric without any binning; about 50 bytes for each pixel.

    Raises:
        ValueError: a pair does not fit, a value is NaN, or a side of the metric is absent.
    """
    sides: dict[str, list[Weighed]] = {metric.negative: [], metric.positive: []}
    totals = dict.fromkeys(sides, 0.0)
    for item in items:
        check_pair(item.anomaly_map, item.gt_mask)
        if np.isnan(item.anomaly_map).any():
            raise ValueError(f"Expected anomaly maps without NaN; found NaN in {item.name}.")
        for mass, parts in sides.items():
            values, weights, total = _weighed(item, mass)
            parts.append((values, weights))
            totals[mass] += total
    for (mass, total), needed in zip(totals.items(), metric.needs, strict=True):
        if not total:
            raise ValueError(f"{metric.name} needs {needed}s; found no {needed} ({mass}).")
    (low, low_weights), (high, high_weights) = (_joined(parts) for parts in sides.values())
    values = np.concatenate([low, high])
    order = np.argsort(values)[::-1]
    ranked = values[order]
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    n = np.add.reduceat(np.append(low_weights, np.zeros(len(high)))[order], first)
    p = np.add.reduceat(np.append(np.zeros(len(low)), high_weights)[order], first)
    zero, (n_total, p_total) = np.asarray(0.0), (np.asarray(total) for total in totals.values())
    slab = Slab(n, p, np.zeros(len(first), dtype=np.bool_), zero, zero, n_total, p_total)
    return float(metric.measure(slab)[0])


def _weighed(item: PixelItem, mass: str) -> tuple[Array, Array, float]:
    """Values that count, their weights, and what the weights are a fraction of."""
    values, mask = item.anomaly_map, item.gt_mask
    is_normal, none = not mask.any(), values.reshape(-1)[:0]
    if mass == "background":
        chosen = values[~mask]
        return chosen, np.ones(len(chosen)), len(chosen)
    if mass == "normal_rate":
        chosen = values.reshape(-1) if is_normal else none
        return chosen, np.full(len(chosen), 1 / max(len(chosen), 1)), float(is_normal)
    if mass == "spro":
        chosen, weights = saturating(values, item.channels)
        return chosen, weights, len(item.channels)
    chosen = values[mask]
    if mass == "defect":
        return chosen, np.ones(len(chosen)), len(chosen)
    if mass == "recall":
        return chosen, np.full(len(chosen), 1 / max(len(chosen), 1)), float(not is_normal)
    shares, n_regions = region_shares(mask)
    return chosen, shares, n_regions


def _joined(parts: list[Weighed]) -> Weighed:
    return np.concatenate([values for values, _ in parts]), np.concatenate([weights for _, weights in parts])
