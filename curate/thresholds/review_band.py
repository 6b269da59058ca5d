"""Two thresholds: below the lower one parts pass, from the upper one they stop, between a person looks."""

from dataclasses import replace

from curate.conformal_cuts import conformal_cut
from curate.cut_points import between, need_anomalies, need_normals, once_each
from curate.expected_cost import Costs, cheapest_cut
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region")
NEEDS = ("normal", "anomalous")
WHEN = "People can look at the doubtful parts: what passes and what is stopped alone are both bounded."


def choose(
    evidence: Evidence,
    *,
    alpha: float = 0.01,
    beta: float = 0.05,
    per: str = "item",
    cost_miss: float | None = None,
    cost_false_alarm: float | None = None,
    cost_review: float | None = None,
    defect_rate: float | None = None,
) -> Cut:
    """Lower threshold (`review_from`) and upper one (`threshold`), by two rates or by costs.

    By rates: P(false alarm) at the upper one is at most alpha, as with the rule conformal, and the expected
    share of defects below the lower one is at most beta, as with conformal_risk. Where one threshold keeps
    both, they are put half way and nobody has to look.

    By costs, as soon as one is stated, all four are needed. The band is the one with the lowest expected cost
    of a part. It is Chow's rule with counted instead of modelled probabilities; a review pays only where
    cost_review / cost_miss + cost_review / cost_false_alarm < 1.

    Args:
        per: as with conformal: "item" or "group".

    Raises:
        ValueError: a rate outside (0, 1), a cost below 0, some but not all of the costs and the defect rate,
            or one of the two labels is absent.

    Source: Chow 1970, doi:10.1109/TIT.1970.1054406; and those of conformal and conformal_risk.

    >>> import numpy as np
    >>> scores, anomalous = np.arange(1.0, 39), np.arange(38) >= 19
    >>> cut = choose(Evidence.of(scores, anomalous), alpha=0.1, beta=0.1)
    >>> cut.review_from == cut.threshold, 18 < cut.threshold < 21
    (True, True)
    """
    costs = {"cost_miss": cost_miss, "cost_false_alarm": cost_false_alarm, "cost_review": cost_review}
    if any(value is not None for value in costs.values()):
        return _by_costs(evidence, costs | {"defect_rate": defect_rate})
    anomalies = once_each(need_anomalies(evidence, "review_band"), "review_band")
    normals = once_each(need_normals(evidence, "review_band"), "review_band")
    upper, too_few_normals = conformal_cut(normals, alpha, "alpha", per)
    lower, too_few_anomalies = conformal_cut(anomalies, beta, "beta", per)
    reason = " ".join(filter(None, [too_few_normals, too_few_anomalies]))
    if lower > upper:
        lower = upper = between(evidence, upper, lower)
    facts: dict[str, Fact] = {
        "n_normal": len(normals.scores),
        "n_anomalous": len(anomalies.scores),
        "normal_to_review": float(((normals.scores >= lower) & (normals.scores < upper)).mean()),
        "anomalous_to_review": float(((anomalies.scores >= lower) & (anomalies.scores < upper)).mean()),
    }
    if reason:
        return Cut(upper, lower, False, "", reason, facts=facts)
    claim = (
        f"P(false alarm on a normal part) <= {alpha:g}, and the expected share of defects that pass unseen "
        f"is <= {beta:g}, if new parts are like those of calibration and the person decides rightly."
    )
    kinds = "Kinds of defect that calibration lacks are not covered."
    return Cut(upper, lower, claim=claim, warnings=(kinds,), facts=facts)


def _by_costs(evidence: Evidence, given: dict[str, float | None]) -> Cut:
    absent = [name for name, value in given.items() if value is None]
    if absent:
        raise ValueError(
            f'The rule "review_band" by costs needs {", ".join(given)}; missing: {", ".join(absent)}.'
        )
    miss, false_alarm, review, rate = (float(value or 0) for value in given.values())
    cut = cheapest_cut(evidence, Costs(miss, false_alarm, review, rate), "review_band")
    pays = miss > 0 and false_alarm > 0 and review / miss + review / false_alarm < 1
    claim = f"It costs {cut.facts['cost_per_part']:.3g} per part on these items, the least."
    why = "A review costs too much to pay: cost_review / cost_miss + cost_review / cost_false_alarm >= 1."
    return replace(cut, claim=claim, warnings=cut.warnings if pays else (*cut.warnings, why))
