"""All rules side by side, what a cut gives on the test, and its interval."""

import numpy as np
import pytest

from curate.intervals import proportion
from curate.threshold_advice import advise, choose, parameters, report, threshold_interval
from curate.threshold_evidence import Cut, Evidence
from curate.thresholds import THRESHOLDS


def some(n_normal: int = 212, n_anomalous: int = 40, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(size=n_normal), rng.normal(3, size=n_anomalous)])
    return Evidence.of(scores, np.arange(len(scores)) >= n_normal)


def recommended(rows: list) -> list[str]:
    return [row.rule for row in rows if row.recommended]


def test_report_counts_alarms_escapes_and_reviews() -> None:
    scores = np.array([0.0, 1, 2, 3, 1, 2, 3, 4])
    test = Evidence.of(scores, np.arange(8) >= 4)
    point = report(Cut(3.0, review_from=2.0), test, defect_rate=0.002)
    assert (point.false_alarms.value, point.misses.value) == (0.25, 0.25)
    assert point.false_alarms_per_1000.value == 250
    assert point.false_alarms_per_1000.high == pytest.approx(1000 * 0.8058796)  # Clopper-Pearson, 1 of 4
    assert point.escapes_per_million.value == pytest.approx(500)
    assert point.reviewed.value == pytest.approx(0.25)
    side = proportion(1, 4, 0.975)  # of normal and of anomalous items, each at half the risk
    assert (point.reviewed.low, point.reviewed.high) == pytest.approx((side.low, side.high))
    assert report(Cut(3.0), test).misses.value == 0.5
    assert report(Cut(3.0), test).reviewed.value == 0
    assert "State the defect rate" in report(Cut(3.0), test).escapes_per_million.note


def test_report_draws_groups_where_they_hold_several_items() -> None:
    scores = np.repeat([0.0, 0, 0, 9], 25)
    flags = np.zeros(100, dtype=bool)
    alone = report(Cut(5.0), Evidence.of(scores, flags)).false_alarms
    grouped = report(Cut(5.0), Evidence.of(scores, flags, np.repeat(np.arange(4), 25))).false_alarms
    assert alone.value == grouped.value == 0.25
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)  # type: ignore[operator]
    quiet = report(Cut(99.0), Evidence.of(scores, flags, np.repeat(np.arange(4), 25))).false_alarms
    assert (quiet.value, quiet.low) == (0, 0)
    assert quiet.high == pytest.approx(0.6023646)  # 0 of 4 groups
    loud = report(Cut(-1.0), Evidence.of(scores, flags, np.repeat(np.arange(4), 25))).false_alarms
    assert (loud.value, loud.high) == (1, 1)
    assert loud.low == pytest.approx(1 - 0.6023646)


def test_report_without_anomalous_items_knows_nothing_of_misses() -> None:
    point = report(Cut(0.5), some(20, 0))
    assert (point.misses.value, point.misses.low, point.misses.high) == (None, 0, 1)


def test_an_interval_is_seeded_holds_the_threshold_and_shrinks() -> None:
    few, many = (threshold_interval("k_sigma", some(n), {"k": 2}) for n in (50, 800))
    for found in (few, many):
        assert found.low < found.value < found.high  # type: ignore[operator]
    assert many.high - many.low < (few.high - few.low) / 2  # type: ignore[operator]
    assert threshold_interval("k_sigma", some(50), {"k": 2}) == few
    assert threshold_interval("k_sigma", some(50), {"k": 2}, seed=1) != few


def test_items_of_a_group_are_drawn_together() -> None:
    evidence = some(200, 0)
    scores = np.repeat(evidence.scores[:20], 10)
    alone = threshold_interval("k_sigma", Evidence.of(scores, np.zeros(200, dtype=bool)))
    grouped = threshold_interval(
        "k_sigma", Evidence.of(scores, np.zeros(200, dtype=bool), np.arange(200) // 10)
    )
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)  # type: ignore[operator]


def test_a_threshold_that_is_not_finite_has_no_interval() -> None:
    found = threshold_interval("conformal", some(20), {"alpha": 0.001})
    assert (found.value, found.low, found.high) == (None, None, None)


def test_advice_names_every_rule_and_recommends_one() -> None:
    rows = advise(some(), some(seed=1), n_replicates=20)
    assert [row.rule for row in rows] == [name for name in THRESHOLDS if name != "manual"]
    assert recommended(rows) == ["conformal"]
    assert all(row.when for row in rows)
    ran = {row.rule for row in rows if row.cut is not None}
    assert ran == set(THRESHOLDS) - {"max_area", "manual"}
    assert "works on regions; found images" in next(row.reason for row in rows if row.rule == "max_area")


def test_advice_without_defects_says_why_rules_cannot_run() -> None:
    rows = advise(some(212, 0), None, n_replicates=5)
    f1 = next(row for row in rows if row.rule == "f1_max")
    assert f1.cut is None
    assert "needs anomalous images; found none among 212" in f1.reason


@pytest.mark.parametrize(
    ("n_normal", "params", "rule"),
    [
        (212, {"alpha": 0.01}, "conformal"),
        (212, {"alpha": 0.001}, "evt"),
        (20, {"alpha": 0.01}, "max_normal"),
        (212, {"beta": 0.05}, "conformal_risk"),
        (212, {"alpha": 0.01, "beta": 0.05}, "review_band"),
        (212, {"cost_miss": 100.0, "cost_false_alarm": 1.0, "defect_rate": 0.001}, "cost_minimal"),
    ],
)
def test_the_recommendation_follows_what_is_known(n_normal: int, params: dict[str, float], rule: str) -> None:
    assert recommended(advise(some(n_normal), None, params=params, n_replicates=5)) == [rule]


def test_unknown_parameters_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no parameter beta\. It takes: alpha, per"):
        choose("conformal", some(), {"beta": 0.1})
    with pytest.raises(ValueError, match="No rule has a parameter gamma"):
        advise(some(), None, params={"gamma": 1})
    pixels = Evidence.of(np.zeros(3), np.zeros(3, dtype=bool), level="pixel")
    with pytest.raises(ValueError, match="works on images or regions; found pixels"):
        choose("conformal", pixels)
    assert parameters("conformal") == {"alpha": 0.01, "per": "item"}


@pytest.mark.parametrize("level", ["image", "pixel"])
def test_the_reason_names_what_is_counted(level: str) -> None:
    evidence = Evidence.of(np.arange(40.0), np.arange(40) >= 20, level=level)
    rows = advise(evidence, None, ["max_normal", "f1_max"], n_replicates=2)
    told = {row.rule: row.reason for row in rows}
    assert told["max_normal"].startswith(
        f"There are too few normal {level}s to bound the rate of false alarms"
    )
    (f1_max,) = [row.cut for row in rows if row.rule == "f1_max"]
    assert f1_max is not None and f"0.5 of the {level}s are anomalous" in f1_max.warnings[0]
