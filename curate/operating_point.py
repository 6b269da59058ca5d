"""What a threshold gives on items it was not chosen on: false alarms, misses, and work for a person."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from curate.images import Array
from curate.intervals import LEVEL, Estimate, grouped_proportion, proportion
from curate.threshold_evidence import Cut, Evidence


@dataclass(frozen=True)
class OperatingPoint:
    """Figures of one cut on test items. An alarm is a score >= threshold.

    With a review band, a part between review_from and the threshold goes to a person, who is taken to decide
    rightly: it is neither a false alarm nor a miss.

    Attributes:
        false_alarms: share of normal items with an alarm.
        misses: share of anomalous items that pass unseen: below review_from, or without one below the
            threshold.
        reviewed: share of parts that a person looks at; 0 without a review band. At the line's defect rate
            where it is stated, otherwise as the test items are mixed.
        false_alarms_per_1000: false alarms among 1,000 normal items.
        escapes_per_million: missed anomalous parts among a million parts of the line: misses times its defect
            rate.
        n_normal, n_anomalous: how many items there were.
        defect_rate: share of the line's parts that are anomalous; None when nobody stated it.
    """

    false_alarms: Estimate
    misses: Estimate
    reviewed: Estimate
    false_alarms_per_1000: Estimate
    escapes_per_million: Estimate
    n_normal: float
    n_anomalous: float
    defect_rate: float | None = None


def report(
    cut: Cut, test: Evidence, *, defect_rate: float | None = None, level: float = LEVEL, seed: int = 0
) -> OperatingPoint:
    """Count what a cut does on the test items.

    Intervals are exact (Clopper-Pearson) where every item is a group of its own. Where groups hold several
    items, whole groups are drawn (bootstrap); when none or all of the items are hit, a bootstrap knows no
    spread, and the exact interval of as many trials as there are groups is given.

    Args:
        test: items the threshold was not chosen on, of the same level as those it was chosen on.
        defect_rate: share of the line's parts that are anomalous, taken as known.

    Raises:
        ValueError: the defect rate does not lie in [0, 1].
    """
    if defect_rate is not None and not 0 <= defect_rate <= 1:
        raise ValueError(f"Expected a defect rate in [0, 1]; found {defect_rate}.")
    lower = cut.threshold if cut.review_from is None else cut.review_from
    counted = test.where(test.weights > 0)
    normals, anomalies = counted.normals, counted.anomalies
    false_alarms = share(normals, normals.scores >= cut.threshold, level, seed, "normal")
    misses = share(anomalies, anomalies.scores < lower, level, seed, "anomalous")
    return OperatingPoint(
        false_alarms,
        misses,
        _reviewed(counted, lower, cut.threshold, defect_rate, level, seed),
        scaled(false_alarms, 1000),
        _escapes(misses, defect_rate),
        float(normals.weights.sum()),
        float(anomalies.weights.sum()),
        defect_rate,
    )


def share(items: Evidence, hit: Array, level: float = LEVEL, seed: int = 0, label: str = "") -> Estimate:
    """Share of items that are hit, by weight, with its interval; see report and grouped_proportion.

    Args:
        hit: (N,) bool.
        label: for the note when there is no item.
    """
    n, groups = len(items.scores), len(set(items.groups.tolist()))
    if not n:
        return replace(proportion(0, 0, level), note=f"There is no {label} {items.level}.".replace("  ", " "))
    if items.level == "pixel" and groups == n:
        note = "Pixels of one image are not independent, and which image they belong to is not known."
        value = float(items.weights[hit].sum() / items.weights.sum())
        return Estimate(value, None, None, level, "", None, note)
    return grouped_proportion(hit, items.groups.tolist(), level, seed=seed, weights=items.weights)


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """An estimate in another unit."""
    ends: Mapping[str, float | None] = {
        name: None if value is None else value * factor
        for name, value in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }
    return replace(estimate, **ends)  # type: ignore[arg-type]


def _escapes(misses: Estimate, defect_rate: float | None) -> Estimate:
    if defect_rate is None:
        note = "State the defect rate of the line: escapes are misses times that rate."
        return Estimate(None, None, None, misses.level, "", misses.n, note)
    return scaled(misses, defect_rate * 1e6)


def _reviewed(
    items: Evidence, lower: float, upper: float, defect_rate: float | None, level: float, seed: int
) -> Estimate:
    """Share of parts in the band; at a defect rate, both labels' shares, each at half the risk, mixed."""
    if lower >= upper:
        return Estimate(0.0, None, None, level, "", None, "There is no review band.")
    inside = (items.scores >= lower) & (items.scores < upper)
    if defect_rate is None:
        note = "As the test items are mixed; state the defect rate of the line for its share."
        return replace(share(items, inside, level, seed), note=note)
    careful = (1 + level) / 2
    sides = [
        (rate, share(items.where(items.anomalous == label), inside[items.anomalous == label], careful, seed))
        for rate, label in ((1 - defect_rate, False), (defect_rate, True))
        if rate > 0
    ]
    ends = [
        [rate * end for rate, side in sides if (end := getattr(side, name)) is not None]
        for name in ("value", "low", "high")
    ]
    value, low, high = (sum(end) if len(end) == len(sides) else None for end in ends)
    methods = " and ".join(sorted({side.method for _, side in sides if side.method}))
    return Estimate(value, low, high, level, methods, sides[0][1].n, "At the line's defect rate.")
