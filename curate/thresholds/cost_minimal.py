"""The threshold with the lowest expected cost, for stated costs and the line's own defect rate."""

from dataclasses import replace

from curate.cut_points import PLURALS
from curate.expected_cost import Costs, cheapest_cut
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region")
NEEDS = ("normal", "anomalous")
WHEN = "You know what a miss and a false alarm cost, and how many parts of the line are anomalous."


def choose(
    evidence: Evidence,
    *,
    cost_miss: float | None = None,
    cost_false_alarm: float | None = None,
    cost_review: float | None = None,
    defect_rate: float | None = None,
) -> Cut:
    """Threshold that costs least per part, half way down to the next lower score.

    What is not stated is taken as 1 (costs) or as in the data (defect rate); the claim is then not supported.
    Multiplying all costs by a number changes nothing.

    Args:
        cost_miss: of an anomalous part that passes.
        cost_false_alarm: of a normal part that is stopped.
        cost_review: of a part that a person looks at; then the answer is a review band where one is cheaper.
        defect_rate: share of the line's parts that are anomalous, in (0, 1).

    Raises:
        ValueError: a cost below 0, a rate outside (0, 1), or one of the two labels is absent.

    Source: Elkan 2001, The Foundations of Cost-Sensitive Learning (IJCAI).

    >>> import numpy as np
    >>> evidence = Evidence.of(np.array([1.0, 2, 3, 4]), np.array([False, True, False, True]))
    >>> choose(evidence, cost_miss=99, cost_false_alarm=1, defect_rate=0.5).threshold
    1.5
    >>> choose(evidence, cost_miss=99, cost_false_alarm=1, defect_rate=0.001).threshold
    3.5
    """
    given = {"cost_miss": cost_miss, "cost_false_alarm": cost_false_alarm, "defect_rate": defect_rate}
    absent = [name for name, value in given.items() if value is None]
    total = float(evidence.weights.sum())
    share = float(evidence.weights[evidence.anomalous].sum()) / total if total else 0.0
    rate = share if defect_rate is None else defect_rate
    costs = Costs(
        1.0 if cost_miss is None else cost_miss,
        1.0 if cost_false_alarm is None else cost_false_alarm,
        cost_review,
        rate if defect_rate is not None or 0 < rate < 1 else 0.5,  # with one label absent it is refused below
    )
    cut = cheapest_cut(evidence, costs, "cost_minimal")
    if absent:
        what = PLURALS[evidence.level]
        taken = [f"{name} 1" for name in absent if name != "defect_rate"]
        taken += [f"defect_rate {share:.3g}, as in these {what}"] if defect_rate is None else []
        reason = f"State {', '.join(absent)}. Taken here: {', '.join(taken)}."
        return replace(cut, supported=False, reason=reason)
    claim = (
        f"It costs {cut.facts['cost_per_part']:.3g} per part on these {PLURALS[evidence.level]}, the least."
    )
    return replace(cut, claim=claim)
