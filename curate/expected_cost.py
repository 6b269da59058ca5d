"""The cheapest cuts: expected cost of a part on a line with its own defect rate, not the one of the data."""

import math
from dataclasses import dataclass

import numpy as np

from curate.cut_points import Ladder, need_anomalies, need_normals, not_negative
from curate.images import Array
from curate.rate_cuts import highest_rate, one_per_group
from curate.threshold_evidence import Cut, Evidence, Fact

CONFIDENCE = 0.975  # of each of two bounds, so 0.95 of both


@dataclass(frozen=True)
class Costs:
    """What goes wrong costs, in any one unit.

    Attributes:
        miss: an anomalous part that passes.
        false_alarm: a normal part that is stopped.
        review: a part that a person looks at; the person decides rightly. None when nobody does.
        defect_rate: share of the line's parts that are anomalous.
    """

    miss: float
    false_alarm: float
    review: float | None
    defect_rate: float

    def __post_init__(self) -> None:
        """Raise ValueError for costs below 0, all costs 0, or a rate outside (0, 1)."""
        not_negative(cost_miss=self.miss, cost_false_alarm=self.false_alarm, cost_review=self.review)
        if not self.miss + self.false_alarm > 0:
            raise ValueError("Expected cost_miss or cost_false_alarm above 0; found 0 for both.")
        if not 0 < self.defect_rate < 1:
            raise ValueError(f"Expected defect_rate in (0, 1); found {self.defect_rate}.")


def cheapest_cut(evidence: Evidence, costs: Costs, rule: str) -> Cut:
    """The threshold, or the two of a review band, with the lowest expected cost of a part.

    With M the share of anomalous items that pass, F the share of normal ones with an alarm, R the share for
    a person to look at (of either label), and p the defect rate, a part costs
    p M miss + (1 - p) F false_alarm + (p R_anomalous + (1 - p) R_normal) review.
    Among equal cuts, the one with the fewest alarms is taken. O(N log N), also with a band.

    Raises:
        ValueError: one of the two labels is absent.

    Source: Elkan 2001, The Foundations of Cost-Sensitive Learning (IJCAI);
        Chow 1970, doi:10.1109/TIT.1970.1054406.
    """
    n_anomalous = float(need_anomalies(evidence, rule).weights.sum())
    n_normal = float(need_normals(evidence, rule).weights.sum())
    ladder = Ladder.of(evidence)
    normal = (1 - costs.defect_rate) * ladder.false_alarms / n_normal
    anomalous = costs.defect_rate * ladder.hits / n_anomalous
    upper, lower = _steps(normal, anomalous, costs)
    cost = costs.miss * (costs.defect_rate - anomalous[lower]) + costs.false_alarm * normal[upper]
    reviewed = normal[lower] - normal[upper] + anomalous[lower] - anomalous[upper]
    facts: dict[str, Fact] = {
        "cost_per_part": float(cost + (costs.review or 0) * reviewed),
        "defect_rate": costs.defect_rate,
        "false_alarm_rate": float(ladder.false_alarms[upper]) / n_normal,
        "miss_rate": 1 - float(ladder.hits[lower]) / n_anomalous,
        "alarm_from_probability": _probability(costs),
    }
    threshold = ladder.cut(evidence, upper)
    review_from = ladder.cut(evidence, lower) if costs.review is not None else None
    passes_below = threshold if review_from is None else review_from
    if evidence.level != "pixel":
        facts["cost_per_part_high"] = _highest_cost(evidence, costs, threshold, passes_below, float(reviewed))
    warnings = _warnings(upper, lower, len(ladder.values))
    return Cut(threshold, review_from, warnings=warnings, facts=facts)


def _steps(normal: Array, anomalous: Array, costs: Costs) -> tuple[int, int]:
    """Steps of the ladder where alarms end and where review ends; equal without a band."""
    alarms = costs.false_alarm * normal
    passing = -costs.miss * anomalous
    if costs.review is None:
        best = _first_least(alarms + passing)
        return best, best
    seen = costs.review * (normal + anomalous)
    from_above = np.minimum.accumulate(alarms - seen)  # for each lower end, the best upper end above it
    lower = _first_least(from_above + passing + seen)
    return _first_least((alarms - seen)[: lower + 1]), lower


def _first_least(values: Array) -> int:
    """Index of the least value; of those that differ by rounding alone, the first."""
    scale = 1e-12 * max(1e-300, float(np.abs(values).max()))
    return int(np.flatnonzero(values <= values.min() + scale)[0])


def _probability(costs: Costs) -> float:
    """The probability of a defect from which stopping a part costs less than passing it (Elkan)."""
    return costs.false_alarm / (costs.false_alarm + costs.miss)


def _highest_cost(
    evidence: Evidence, costs: Costs, threshold: float, passes_below: float, reviewed: float
) -> float:
    """Cost of a part when both error rates are as high as the data cannot exclude."""
    normals = one_per_group(evidence.normals, highest=True).scores
    anomalies = one_per_group(evidence.anomalies, highest=False).scores
    false_alarms = highest_rate(int((normals >= threshold).sum()), len(normals), CONFIDENCE)
    misses = highest_rate(int((anomalies < passes_below).sum()), len(anomalies), CONFIDENCE)
    errors = (
        costs.defect_rate * misses * costs.miss + (1 - costs.defect_rate) * false_alarms * costs.false_alarm
    )
    return math.fsum([errors, (costs.review or 0) * reviewed])


def _warnings(upper: int, lower: int, n_values: int) -> tuple[str, ...]:
    if lower == 0:
        return ("Letting every part pass costs least with these figures.",)
    if upper == n_values:
        return ("Stopping every part costs least with these figures.",)
    return ()
