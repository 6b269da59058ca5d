"""What rules promise, counted over simulated calibrations; a rank that is off by one would be noticed."""

import numpy as np
import pytest
from scipy.stats import expon, norm

from curate.images import read_image
from curate.threshold_advice import threshold_interval
from curate.threshold_evidence import Evidence
from curate.thresholds import conformal, conformal_risk, evt, fixed_fpr, fixed_miss_rate
from tests.helpers.places import MAGNETIC_TILE

N_DRAWS = 2000


def normals(scores: np.ndarray, groups: np.ndarray | None = None) -> Evidence:
    return Evidence.of(scores, np.zeros(len(scores), dtype=bool), groups)


def anomalies(scores: np.ndarray, groups: np.ndarray | None = None) -> Evidence:
    return Evidence.of(scores, np.ones(len(scores), dtype=bool), groups)


def most(values: np.ndarray, sigmas: float = 4.0) -> float:
    """How far a mean over draws may lie above its expectation."""
    return sigmas * float(values.std()) / np.sqrt(len(values))


@pytest.mark.parametrize(("n", "alpha"), [(99, 0.05), (212, 0.01), (30, 0.1)])
def test_conformal_false_alarms_stay_within_alpha_and_one_rank_lower_would_not(n: int, alpha: float) -> None:
    drawn = np.random.default_rng(0).random((N_DRAWS, n))
    rates = np.array([1 - conformal.choose(normals(row), alpha=alpha).threshold for row in drawn])
    assert rates.mean() <= alpha + most(rates)
    wrong = 1 - np.sort(drawn, axis=1)[:, n - int(alpha * (n + 1)) - 1]
    assert wrong.mean() > alpha + most(wrong)


def test_conformal_keeps_alpha_with_ties_because_the_threshold_lies_above_the_score() -> None:
    drawn = np.random.default_rng(1).integers(0, 10, (N_DRAWS, 39)) / 8.0
    thresholds = np.array([conformal.choose(normals(row), alpha=0.2).threshold for row in drawn])
    values = np.arange(10) / 8.0
    rates = (values >= thresholds[:, None]).mean(axis=1)
    assert rates.mean() <= 0.2
    on_the_score = (values >= np.nextafter(thresholds, -np.inf)[:, None] - 1e-6).mean(axis=1)
    assert on_the_score.mean() > 0.2 + most(on_the_score)


def correlated(rng: np.random.Generator, n_groups: int, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat(np.arange(n_groups), sizes)
    return np.sqrt(0.9) * rng.normal(size=n_groups)[groups] + np.sqrt(0.1) * rng.normal(
        size=len(groups)
    ), groups


def test_conformal_by_group_keeps_alpha_where_the_plain_rule_breaks_it() -> None:
    rng, sizes, alpha = np.random.default_rng(2), np.tile([2, 18], 10), 0.1
    plain, grouped = [], []
    for _ in range(N_DRAWS):
        scores, groups = correlated(rng, 20, sizes)
        plain.append(norm.sf(conformal.choose(normals(scores), alpha=alpha).threshold))
        grouped.append(norm.sf(conformal.choose(normals(scores, groups), alpha=alpha).threshold))
    assert np.mean(grouped) <= alpha + most(np.array(grouped))
    assert np.mean(plain) > alpha + most(np.array(plain))


def test_conformal_per_group_bounds_groups_with_any_false_alarm() -> None:
    rng, sizes, alpha = np.random.default_rng(3), np.full(20, 8), 0.1
    per_item, per_group = [], []
    for _ in range(N_DRAWS):
        scores, groups = correlated(rng, 20, sizes)
        new, _ = correlated(rng, 1, np.array([8]))
        evidence = normals(scores, groups)
        per_group.append(new.max() >= conformal.choose(evidence, alpha=alpha, per="group").threshold)
        per_item.append(new.max() >= conformal.choose(evidence, alpha=alpha).threshold)
    assert np.mean(per_group) <= alpha + most(np.array(per_group))
    assert np.mean(per_item) > alpha + most(np.array(per_item))


def test_conformal_risk_misses_stay_within_beta_and_one_rank_higher_would_not() -> None:
    drawn = np.random.default_rng(4).random((N_DRAWS, 59))
    rates = np.array([conformal_risk.choose(anomalies(row), beta=0.05).threshold for row in drawn])
    assert rates.mean() <= 0.05 + most(rates)
    wrong = np.sort(drawn, axis=1)[:, 3]
    assert (rates == np.sort(drawn, axis=1)[:, 2]).all()
    assert wrong.mean() > 0.05 + most(wrong)


def test_conformal_risk_by_group_keeps_beta_where_the_plain_rule_breaks_it() -> None:
    rng, sizes, beta = np.random.default_rng(5), np.tile([2, 18], 10), 0.1
    plain, grouped = [], []
    for _ in range(N_DRAWS):
        scores, groups = correlated(rng, 20, sizes)
        plain.append(norm.cdf(conformal_risk.choose(anomalies(scores), beta=beta).threshold))
        grouped.append(norm.cdf(conformal_risk.choose(anomalies(scores, groups), beta=beta).threshold))
    assert np.mean(grouped) <= beta + most(np.array(grouped))
    assert np.mean(plain) > beta + most(np.array(plain))


@pytest.mark.real_images
def test_conformal_keeps_alpha_on_resampled_real_scores() -> None:
    """Score: the spread of grey values of defect-free magnetic tiles; half calibrates, the rest is new."""
    paths = sorted((MAGNETIC_TILE / "MT_Free").rglob("*.jpg"))
    scores = np.array([read_image(path).astype(np.float32).std() for path in paths[:240]])
    assert len(scores) > 150
    rng, alpha, rates, wrong = np.random.default_rng(6), 0.05, [], []
    for _ in range(N_DRAWS):
        order = rng.permutation(len(scores))
        known, new = scores[order[:59]], scores[order[59:]]
        rates.append((new >= conformal.choose(normals(known), alpha=alpha).threshold).mean())
        wrong.append((new > np.sort(known)[-4]).mean())
    assert np.mean(rates) <= alpha + most(np.array(rates))
    assert np.mean(wrong) > alpha + most(np.array(wrong))


def test_the_highest_rate_that_is_not_excluded_covers_the_true_one() -> None:
    drawn = np.random.default_rng(7).random((1000, 150))
    alarms, misses = [], []
    for row in drawn:
        cut = fixed_fpr.choose(normals(row), alpha=0.05)
        alarms.append(1 - cut.threshold <= float(cut.facts["rate_high"] or 0))
        cut = fixed_miss_rate.choose(anomalies(row), beta=0.05)
        misses.append(cut.threshold <= float(cut.facts["rate_high"] or 0))
    for covered in (np.mean(alarms), np.mean(misses)):
        assert 0.95 - 0.02 <= covered <= 0.95 + 0.02  # the bound is exact; 0.007 is one standard deviation


def test_a_certified_rate_is_kept_in_95_of_100_calibrations() -> None:
    drawn = np.random.default_rng(8).random((1000, 150))
    kept = [1 - fixed_fpr.choose(normals(r), alpha=0.05, certify=True).threshold <= 0.05 for r in drawn]
    measured = [1 - fixed_fpr.choose(normals(r), alpha=0.05).threshold <= 0.05 for r in drawn]
    assert np.mean(kept) >= 0.94
    assert np.mean(measured) < 0.7


def test_the_bootstrap_interval_of_a_fixed_rate_covers_the_true_threshold() -> None:
    rng, covered = np.random.default_rng(9), []
    for _ in range(80):
        around = threshold_interval("fixed_fpr", normals(rng.normal(size=200)), {"alpha": 0.1}, 100)
        covered.append(around.low <= norm.isf(0.1) <= around.high)  # type: ignore[operator]
    assert 0.88 <= np.mean(covered) <= 1


@pytest.mark.parametrize(("law", "least"), [("exponential", 0.91), ("normal", 0.88)])
def test_the_interval_of_evt_covers_the_true_score(law: str, least: float) -> None:
    rng = np.random.default_rng(10)
    true = float(expon.isf(0.001) if law == "exponential" else norm.isf(0.001))
    covered = []
    for _ in range(150):
        scores = rng.exponential(size=400) if law == "exponential" else rng.normal(size=400)
        facts = evt.choose(normals(scores), alpha=0.001, n_check=1).facts
        covered.append(float(facts["threshold_low"] or 0) <= true <= float(facts["threshold_high"] or 0))
    assert least <= np.mean(covered) <= 1
