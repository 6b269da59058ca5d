"""Each rule on cases worked out by hand, and what it says when the data do not support it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto

from curate import tail_fit
from curate.threshold_evidence import Evidence
from curate.thresholds import (
    conformal,
    conformal_risk,
    cost_minimal,
    evt,
    fixed_fpr,
    fixed_miss_rate,
    k_sigma,
    quantile,
    review_band,
    youden,
)


def normals(scores: object, groups: object = None, level: str = "image") -> Evidence:
    values = np.asarray(scores, dtype=float)
    return Evidence.of(values, np.zeros(len(values), dtype=bool), groups, level=level)  # type: ignore[arg-type]


def anomalies(scores: object, groups: object = None) -> Evidence:
    values = np.asarray(scores, dtype=float)
    return Evidence.of(values, np.ones(len(values), dtype=bool), groups)  # type: ignore[arg-type]


def mixed(normal: list[float], anomalous: list[float]) -> Evidence:
    labels = np.array([False] * len(normal) + [True] * len(anomalous))
    return Evidence.of(np.array([*normal, *anomalous], dtype=float), labels)


def test_conformal_says_how_many_normal_images_a_rate_needs() -> None:
    cut = conformal.choose(normals(np.arange(212)), alpha=0.001)
    assert cut.threshold == np.inf
    assert not cut.supported
    assert cut.reason == "alpha = 0.001 needs at least 999 normal images in calibration; there are 212."
    assert conformal.choose(normals(np.arange(999)), alpha=0.001).threshold == np.nextafter(
        np.float32(998), np.float32(np.inf)
    )
    assert not conformal.choose(normals(np.arange(998)), alpha=0.001).supported


def test_conformal_counts_groups_where_they_hold_several_images() -> None:
    cut = conformal.choose(normals(np.arange(212), np.arange(212) % 40), alpha=0.01)
    assert cut.reason == (
        "alpha = 0.01 needs at least 99 groups of normal images in calibration; there are 40 (212 images)."
    )


def test_conformal_by_group_lets_each_group_vote_once() -> None:
    # 9 groups, budget 0.2 * 10 - 1 = 1 vote: all 10 images of the odd group may alarm, but no other
    scores = [*range(8), *([50] * 10)]
    groups = [*range(8), *([8] * 10)]
    assert 7 < conformal.choose(normals(scores, groups), alpha=0.2).threshold < 7.001
    assert conformal.choose(normals(scores), alpha=0.2).threshold > 50


def test_conformal_risk_by_hand() -> None:
    assert conformal_risk.choose(anomalies(range(19)), beta=0.05).threshold == 0
    assert conformal_risk.choose(anomalies(range(19)), beta=0.1).threshold == 1
    cut = conformal_risk.choose(anomalies(range(18)), beta=0.05)
    assert (cut.threshold, cut.supported) == (-np.inf, False)
    assert cut.reason == "beta = 0.05 needs at least 19 anomalous images in calibration; there are 18."


def test_fixed_fpr_tells_the_highest_rate_that_is_not_excluded() -> None:
    cut = fixed_fpr.choose(normals(np.arange(300)), alpha=0.01)
    assert 296 < cut.threshold < 296.001
    assert cut.facts["rate"] == 0.01
    assert 0.02 < float(cut.facts["rate_high"] or 0) < 0.03
    none = fixed_fpr.choose(normals(np.arange(20)), alpha=0.01)
    assert none.facts["rate_high"] == pytest.approx(1 - 0.05 ** (1 / 20))  # 0.139: the rule of three
    assert none.reason == (
        "alpha = 0.01 needs at least 100 normal images in calibration to be measured, and 299 to be certain "
        "of it; there are 20."
    )


def test_fixed_rates_are_certified_only_with_enough_images() -> None:
    assert not fixed_fpr.choose(normals(np.arange(298)), alpha=0.01, certify=True).supported
    assert 298 < fixed_fpr.choose(normals(np.arange(299)), alpha=0.01, certify=True).threshold < 298.001
    assert fixed_miss_rate.choose(anomalies(np.arange(299)), beta=0.01, certify=True).threshold == 0
    few = fixed_miss_rate.choose(anomalies(np.arange(50)), beta=0.01, certify=True)
    assert (few.threshold, few.supported) == (-np.inf, False)
    assert "needs at least 299 anomalous images" in few.reason


def test_pixels_are_not_certified() -> None:
    with pytest.raises(ValueError, match="not independent"):
        fixed_fpr.choose(normals(np.arange(9), level="pixel"), certify=True)


def test_pixels_in_bins_are_cut_at_a_bin() -> None:
    weights = np.array([970.0, 20, 10, 0])
    evidence = Evidence.of(np.arange(4.0), np.zeros(4, dtype=bool), weights=weights, level="pixel")
    assert fixed_fpr.choose(evidence, alpha=0.01).threshold == 2
    assert fixed_fpr.choose(evidence, alpha=0.009).threshold == 3


def test_fixed_miss_rate_keeps_ties_together() -> None:
    assert fixed_miss_rate.choose(anomalies([1, 2, 2, 3]), beta=0.25).threshold == 2
    assert fixed_miss_rate.choose(anomalies([1, 1, 2, 3]), beta=0.25).threshold == 1


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_quantile_is_that_of_numpy(scores: list[int], q: float) -> None:
    found = quantile.weighted_quantile(np.array(scores, float), np.ones(len(scores)), q)
    assert found == pytest.approx(np.quantile(scores, q), abs=1e-6)


def test_quantile_says_when_it_lies_beyond_the_data() -> None:
    assert (
        "needs at least 1,000 normal images in calibration"
        in quantile.choose(normals(range(50)), q=0.999).reason
    )


def test_k_sigma_by_hand_and_robust() -> None:
    assert k_sigma.choose(normals([1, 3]), k=3).threshold == 5
    assert k_sigma.choose(normals([1, 2, 3, 4, 1000]), k=1, robust=True).threshold == pytest.approx(4.4826)
    cut = k_sigma.choose(normals([2, 2, 2]))
    assert 2 < cut.threshold < 2.000001
    assert "spread" in cut.warnings[-1]
    assert "not bell-shaped" in k_sigma.choose(normals(np.exp(np.arange(30) / 5))).warnings[0]


def test_youden_ignores_how_many_are_anomalous() -> None:
    few, many = mixed([1, 2, 3, 6], [4, 7]), mixed([1, 2, 3, 6], [4, 7] * 9)
    assert youden.choose(few).threshold == youden.choose(many).threshold == 3.5


COSTS = st.tuples(
    st.sampled_from([1.0, 10.0, 500.0]), st.sampled_from([0.5, 1.0]), st.sampled_from([0.1, 0.4, 9.0])
)
SIDES = st.lists(st.integers(0, 9), min_size=1, max_size=9)


def cost(
    normal: list[int], anomalous: list[int], low: float, high: float, costs: tuple[float, ...], rate: float
) -> float:
    """Of a part, spelled out."""

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    miss, false_alarm, review = costs
    defect = mean([miss if s < low else review if s < high else 0 for s in anomalous])
    good = mean([false_alarm if s >= high else review if s >= low else 0 for s in normal])
    return rate * defect + (1 - rate) * good


@given(SIDES, SIDES, COSTS, st.sampled_from([0.001, 0.1, 0.5]))
def test_costs_are_the_least_of_all_thresholds_and_bands(
    normal: list[int], anomalous: list[int], costs: tuple[float, float, float], rate: float
) -> None:
    evidence, places = (
        mixed(list(map(float, normal)), list(map(float, anomalous))),
        [i - 0.5 for i in range(12)],
    )
    stated = {"cost_miss": costs[0], "cost_false_alarm": costs[1], "defect_rate": rate}
    one = cost_minimal.choose(evidence, **stated)
    least = min(cost(normal, anomalous, t, t, costs, rate) for t in places)
    assert one.facts["cost_per_part"] == pytest.approx(least)
    assert cost(normal, anomalous, one.threshold, one.threshold, costs, rate) == pytest.approx(least)
    two = review_band.choose(evidence, **stated, cost_review=costs[2])
    least = min(
        cost(normal, anomalous, low, high, costs, rate) for low in places for high in places if low <= high
    )
    assert two.facts["cost_per_part"] == pytest.approx(least)
    assert two.review_from is not None
    assert two.review_from <= two.threshold
    assert cost(normal, anomalous, two.review_from, two.threshold, costs, rate) == pytest.approx(least)


def test_costs_that_are_not_stated_are_asked_for() -> None:
    cut = cost_minimal.choose(mixed([1, 2], [3, 4]), cost_miss=9)
    assert not cut.supported
    assert cut.reason == (
        "State cost_false_alarm, defect_rate. Taken here: cost_false_alarm 1, defect_rate 0.5, as in these "
        "images."
    )
    stated = cost_minimal.choose(mixed([1, 2], [3, 4]), cost_miss=9, defect_rate=0.01)
    assert stated.reason == "State cost_false_alarm. Taken here: cost_false_alarm 1."
    with pytest.raises(ValueError, match="missing: cost_false_alarm, cost_review, defect_rate"):
        review_band.choose(mixed([1, 2], [3, 4]), cost_miss=9)
    with pytest.raises(ValueError, match="cost_miss of at least 0; found -1"):
        cost_minimal.choose(mixed([1], [2]), cost_miss=-1)


def test_a_review_that_costs_too_much_is_said() -> None:
    stated = {"cost_miss": 1.0, "cost_false_alarm": 1.0, "defect_rate": 0.5}
    assert (
        "costs too much" in review_band.choose(mixed([1, 3], [2, 4]), cost_review=0.5, **stated).warnings[-1]
    )
    assert review_band.choose(mixed([1, 3], [2, 4]), cost_review=0.1, **stated).warnings == ()


def test_review_band_by_rates_is_conformal_on_both_sides() -> None:
    evidence = mixed(list(map(float, range(19))), [float(i) for i in range(10, 29)])
    cut = review_band.choose(evidence, alpha=0.1, beta=0.1)
    assert cut.review_from == 11
    assert 17 < cut.threshold < 17.001
    few = review_band.choose(mixed([1, 2], [3, 4]), alpha=0.1, beta=0.1)
    assert (few.review_from, few.threshold, few.supported) == (-np.inf, np.inf, False)
    assert "9 normal images" in few.reason
    assert "9 anomalous images" in few.reason


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.4])
def test_the_tail_fit_has_the_likelihood_of_scipy(shape: float) -> None:
    values = genpareto.rvs(shape, scale=3, size=120, random_state=1)
    found, scale = (float(value) for value in tail_fit.fit(values))
    known, _, known_scale = genpareto.fit(values, floc=0)
    best = genpareto.logpdf(values, known, 0, known_scale).sum()
    assert genpareto.logpdf(values, found, 0, scale).sum() == pytest.approx(best, abs=1e-4)
    assert found == pytest.approx(known, abs=1e-2)
    assert tail_fit.quantile(0.01, np.array(found), np.array(scale)) == pytest.approx(
        genpareto.isf(0.01, found, 0, scale)
    )


def test_evt_says_how_far_it_extrapolates_and_refuses_few_images() -> None:
    scores = np.random.default_rng(0).exponential(size=400)
    cut = evt.choose(normals(scores))
    assert cut.supported
    assert float(cut.facts["qq_correlation"] or 0) > 0.97
    assert "extrapolated" in cut.warnings[0]
    assert cut.threshold > scores.max()
    few = evt.choose(normals(scores[:60]))
    assert few.threshold == np.inf
    assert "needs at least 100 normal images" in few.reason
    assert "there are 60" in few.reason


def test_evt_refuses_a_tail_that_does_not_fit() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.random(360), 5 + 0.01 * rng.random(20), 9 + 0.01 * rng.random(20)])
    cut = evt.choose(normals(scores))
    assert not cut.supported
    assert "does not follow the fitted law" in cut.reason
    with pytest.raises(ValueError, match="alpha below the tail"):
        evt.choose(normals(scores), alpha=0.2)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0, float("nan")])
def test_rates_are_fractions(alpha: float) -> None:
    for rule in (conformal, fixed_fpr, evt):
        with pytest.raises(ValueError, match="Expected alpha in"):
            rule.choose(normals(range(300)), alpha=alpha)


def test_rates_of_groups_are_those_of_their_worst_item() -> None:
    scores, groups = np.arange(120.0), np.arange(120) // 2
    missed = fixed_miss_rate.choose(anomalies(scores, groups), beta=0.05, certify=True)
    assert (missed.threshold, missed.facts["n_groups"]) == (0, 60)  # 60 groups allow none to lose any
    stopped = fixed_fpr.choose(normals(scores, groups), alpha=0.05, certify=True)
    assert 119 < stopped.threshold < 119.001
    assert conformal_risk.choose(anomalies(scores, groups), beta=0.05, per="group").threshold == 4


def test_a_normal_item_of_regions_is_called_an_image() -> None:
    evidence = normals(np.arange(100), level="region")
    for rule in (conformal, fixed_fpr):
        assert "100 normal images" in rule.choose(evidence, alpha=0.05).claim
        assert "normal images in calibration" in rule.choose(evidence, alpha=0.0001).reason
    with pytest.raises(ValueError, match="needs normal images"):
        conformal.choose(evidence.where(evidence.anomalous))
