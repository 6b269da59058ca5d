"""What a threshold does, against obvious recomputation; and how means and options are kept."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.evaluation import Options, finite, mean_of
from curate.evaluation_decision import (
    N_STEPS,
    Threshold,
    at_threshold,
    by_defect_type,
    cost_curve,
    histogram,
    steps,
    worst,
)

OPTIONS = Options(n_replicates=20)
SCORES = np.array([1.0, 2.0, 3.0, 4.0, 2.5, 3.0, 5.0, 0.5])
ANOMALOUS = np.array([False, False, False, False, True, True, True, True])
OWN = [str(index) for index in range(8)]


def rows(*kinds: list[str]) -> list[dict[str, Any]]:
    """Rows of eight images, the last four anomalous, of the given kinds."""
    given = [*([[]] * 4), *kinds]
    return [
        {"sample_id": f"{index:02d}", "relative_path": f"{index}.png", "defect_types": kind}
        for index, kind in enumerate(given)
    ]


FOUR = rows(["dent"], ["dent", "scratch"], ["scratch"], [])
scored = st.lists(
    st.tuples(st.integers(-5, 5).map(float), st.booleans()), min_size=1, max_size=60
)  # few values, so that there are ties
cuts = st.floats(-6, 6).map(lambda value: round(value, 1))


def split(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in pairs]), np.array([label for _, label in pairs])


def test_counts_at_a_threshold_by_hand() -> None:
    found = at_threshold(SCORES, ANOMALOUS, OWN, Threshold(3.0), OPTIONS)
    assert found is not None
    assert (found["n_false_alarms"], found["n_missed"]) == (2, 2)  # a score of 3 is an alarm
    assert found["false_alarm_rate"]["value"] == 0.5
    assert found["f1"]["value"] == pytest.approx(0.5)
    band = at_threshold(SCORES, ANOMALOUS, OWN, Threshold(4.0, review_from=2.5), OPTIONS)
    assert band is not None
    assert (band["n_false_alarms"], band["n_missed"]) == (1, 1)
    assert (band["n_reviewed_normal"], band["n_reviewed_anomalous"]) == (1, 2)
    assert at_threshold(SCORES, ANOMALOUS, OWN, Threshold(None), OPTIONS) is None


def test_escapes_follow_the_defect_rate_of_the_line() -> None:
    options = Options(n_replicates=20, defect_rate=0.001)
    found = at_threshold(SCORES, ANOMALOUS, OWN, Threshold(3.0), options)
    assert found is not None
    assert found["escapes_per_million"]["value"] == pytest.approx(500)
    assert found["false_alarms_per_1000"]["value"] == pytest.approx(500)


@given(scored, cuts)
def test_steps_equal_recomputation(pairs: list[tuple[float, bool]], cut: float) -> None:
    scores, anomalous = split(pairs)
    found = steps(scores, anomalous, Threshold(cut, review_from=cut - 1))
    values = found["threshold"]
    assert values == sorted(values)
    assert values[found["in_force"]] == cut and values[found["review_from"]] == cut - 1
    for value, normal, bad in zip(values, found["normal"], found["anomalous"], strict=True):
        assert normal == sum(s >= value and not a for s, a in pairs)
        assert bad == sum(s >= value and a for s, a in pairs)
    assert scores.min() >= values[0] and scores.max() < values[-1]


def test_many_scores_become_few_steps() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    found = steps(scores, scores > 1, Threshold(0.25))
    assert len(found["threshold"]) == N_STEPS + 2


@given(scored, cuts)
def test_every_image_is_in_one_bin(pairs: list[tuple[float, bool]], cut: float) -> None:
    scores, anomalous = split(pairs)
    found = histogram(scores, anomalous, Threshold(cut))
    assert sum(found["normal"]) == int((~anomalous).sum())
    assert sum(found["anomalous"]) == int(anomalous.sum())
    assert found["edges"][0] <= cut <= found["edges"][-1]


@given(scored, cuts)
def test_costs_equal_recomputation(pairs: list[tuple[float, bool]], cut: float) -> None:
    scores, anomalous = split(pairs)
    n_normal, n_anomalous = int((~anomalous).sum()), int(anomalous.sum())
    options = Options(defect_rate=0.1, cost_miss=50, cost_false_alarm=2, cost_review=1)
    found = cost_curve(steps(scores, anomalous, Threshold(cut)), options, n_normal, n_anomalous)
    if not n_normal or not n_anomalous:
        assert found is None
        return
    assert found is not None

    def cost(lower: float, upper: float) -> float:
        miss, alarm = (scores[anomalous] < lower).mean(), (scores[~anomalous] >= upper).mean()
        seen = [((side >= lower) & (side < upper)).mean() for side in (scores[~anomalous], scores[anomalous])]
        return float(0.1 * miss * 50 + 0.9 * alarm * 2 + 0.9 * seen[0] + 0.1 * seen[1])

    expected = [cost(value, value) for value in found["threshold"]]
    assert found["cost"] == pytest.approx(expected)
    assert found["cost"][found["lowest"]] == pytest.approx(min(expected))
    assert found["in_force"] == pytest.approx(cost(cut, cut))
    values = found["threshold"]
    best = min(cost(low, high) for low in values for high in values if low <= high)
    band = found["best_band"]
    assert band["cost"] == pytest.approx(best) == pytest.approx(cost(band["review_from"], band["threshold"]))


def test_costs_need_to_be_stated() -> None:
    moves = steps(SCORES, ANOMALOUS, Threshold(3.0))
    assert cost_curve(moves, OPTIONS, 4, 4) is None
    found = cost_curve(moves, Options(cost_miss=1, cost_false_alarm=1), 4, 4)
    assert found is not None and (found["stated"], found["defect_rate"]) == (False, 0.5)


def test_an_image_of_two_kinds_counts_with_each() -> None:
    found = by_defect_type(FOUR, SCORES, ANOMALOUS, OWN, Threshold(3.0), OPTIONS)
    told = {row["defect_type"]: (row["n"], row["n_found"], row["n_missed"]) for row in found}
    assert told == {"": (1, 0, 1), "dent": (2, 1, 1), "scratch": (2, 2, 0)}
    assert found[1]["recall"]["value"] == 0.5


def test_the_worst_come_first() -> None:
    found = worst(FOUR, SCORES, ANOMALOUS, Threshold(3.0))
    assert [row["sample_id"] for row in found["missed"]] == ["07", "04"]
    assert [row["sample_id"] for row in found["false_alarms"]] == ["03", "02"]
    assert found["nearest"] == []
    none = worst(FOUR, SCORES, ANOMALOUS, Threshold(0.1))
    assert none["missed"] == [] and [row["sample_id"] for row in none["nearest"]] == ["07", "04", "05"]
    assert worst(FOUR, SCORES, ANOMALOUS, Threshold(None))["false_alarms"] == []


def test_a_mean_is_between_and_its_interval_narrower() -> None:
    one = {"value": 0.9, "low": 0.7, "high": 0.95, "level": 0.95}
    other = {"value": 0.7, "low": 0.6, "high": 0.85, "level": 0.95}
    found = mean_of([one, other])
    assert found["value"] == pytest.approx(0.8)
    assert found["value"] - found["low"] == pytest.approx(np.hypot(0.2, 0.1) / 2)
    assert found["high"] - found["value"] == pytest.approx(np.hypot(0.05, 0.15) / 2)
    part = mean_of([one, {**other, "value": None}])
    assert part["value"] == 0.9 and "1 of 2" in part["note"]
    assert mean_of([{**one, "value": None}])["value"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"defect_rate": 1.5}, "defect_rate in"),
        ({"fpr": 0}, "fpr in"),
        ({"cost_miss": -1, "cost_false_alarm": 1}, "cost_miss of 0 or more"),
        ({"cost_miss": 1}, "together"),
        ({"cost_review": 1}, "says nothing without"),
        ({"n_replicates": 1}, "at least 2"),
    ],
)
def test_options_refuse_what_means_nothing(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**wrong)


def test_what_is_not_finite_becomes_null() -> None:
    assert finite({"a": (1, np.inf), "b": [{"c": float("nan")}]}) == {"a": [1, None], "b": [{"c": None}]}


def test_an_open_band_passes_nothing_unseen() -> None:
    cut = Threshold(4.0, band="open")
    found = at_threshold(SCORES, ANOMALOUS, OWN, cut, OPTIONS)
    assert found is not None
    assert (found["n_false_alarms"], found["n_missed"]) == (1, 0)
    assert (found["n_reviewed_normal"], found["n_reviewed_anomalous"]) == (3, 3)
    moves = steps(SCORES, ANOMALOUS, cut)
    assert moves["review_from"] == 0 and moves["normal"][0] + moves["anomalous"][0] == 8
    everything = at_threshold(SCORES, ANOMALOUS, OWN, Threshold(None, band="open"), OPTIONS)
    assert everything is not None
    assert (everything["n_reviewed_normal"], everything["n_reviewed_anomalous"]) == (4, 4)
    assert everything["review_rate"]["value"] == 1
    kinds = by_defect_type(FOUR, SCORES, ANOMALOUS, OWN, Threshold(None, band="open"), OPTIONS)
    assert all((row["n_found"], row["n_missed"]) == (0, 0) for row in kinds)
