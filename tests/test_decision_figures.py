"""What a threshold does: values by hand, and intervals that hold."""

import numpy as np
import pytest

from curate.decision_figures import at_threshold
from curate.intervals import Estimate, proportion

LABELS = np.arange(40) < 10
SCORES = np.where(LABELS, 5.0, 1.0)
SCORES[[0, 1]] = 0.0  # two misses
SCORES[[20, 21, 22]] = 9.0  # three false alarms


def held(estimate: Estimate, truth: float) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= truth <= estimate.high


def test_by_hand() -> None:
    found = at_threshold(SCORES, LABELS, range(40), 5.0, defect_rate=0.01)
    assert found["recall"] == proportion(8, 10)
    assert found["false_alarm_rate"] == proportion(3, 30)
    assert found["precision"].value == pytest.approx(8 / 11)
    assert found["precision_at_defect_rate"].value == pytest.approx(0.008 / (0.008 + 0.099))
    assert found["f1"].value == pytest.approx(16 / (16 + 3 + 2))


def test_ends_follow_from_the_ends_of_both_rates() -> None:
    found = at_threshold(SCORES, LABELS, range(40), 5.0, defect_rate=0.01)
    recall, alarms = proportion(8, 10, 0.975), proportion(3, 30, 0.975)
    assert recall.low is not None and alarms.high is not None
    expected = 0.01 * recall.low / (0.01 * recall.low + 0.99 * alarms.high)
    assert found["precision_at_defect_rate"].low == pytest.approx(expected)
    assert found["precision_at_defect_rate"].level == 0.95


def test_no_false_alarm_does_not_make_precision_certain() -> None:
    found = at_threshold(LABELS * 1.0, LABELS, range(40), 0.5, defect_rate=0.001)
    precision = found["precision_at_defect_rate"]
    assert precision.value == 1 and precision.low is not None and precision.low < 0.01


def test_several_images_of_a_part_are_drawn_together() -> None:
    groups = [f"{label} {n // 5}" for n, label in enumerate(LABELS)]
    found = at_threshold(SCORES, LABELS, groups, 5.0)
    assert found["recall"].method == "group bootstrap" and found["recall"].n == 2
    assert "independent" in found["recall"].note
    assert found["precision"].n == 2


def test_intervals_hold_at_least_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    recall, alarm, rate, n = 0.8, 0.1, 0.02, 200
    truth = {"precision_at_defect_rate": rate * recall / (rate * recall + (1 - rate) * alarm)}
    truth["f1"] = 2 * 10 * recall / (10 + 10 * recall + 30 * alarm)
    counts = dict.fromkeys(truth, 0)
    for _ in range(n):
        hit = rng.random(40) < np.where(LABELS, recall, alarm)
        found = at_threshold(hit * 1.0, LABELS, range(40), 0.5, rate)
        for name in truth:
            counts[name] += held(found[name], truth[name])
    assert min(counts.values()) / n >= 0.95


def test_what_is_missing_is_told() -> None:
    found = at_threshold(SCORES, LABELS, range(40), 99.0)
    assert found["precision"].value is None and found["precision"].note == "There is no alarm."
    assert found["recall"].value == 0 and found["f1"].value == 0
    assert found["precision_at_defect_rate"].note == "The line's defect rate was not stated."
    found = at_threshold(SCORES, LABELS & False, range(40), 5.0)
    assert found["recall"].value is None and found["false_alarm_rate"].value == 11 / 40
    assert found["f1"].note == "There is no anomalous image."
    found = at_threshold(SCORES, LABELS | True, range(40), 5.0)
    assert found["precision"].note == "There is no normal image."


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="found nan, and 40 groups"):
        at_threshold(SCORES, LABELS, range(40), np.nan)
    with pytest.raises(ValueError, match="39 groups for 40 scores"):
        at_threshold(SCORES, LABELS, range(39), 5.0)
    with pytest.raises(ValueError, match="defect_rate"):
        at_threshold(SCORES, LABELS, range(40), 5.0, defect_rate=2)


def test_notes_of_both_rates_come_in_one_order() -> None:
    for n_anomalous in range(2, 14):  # a set of texts has an order of its own in every process
        labels = np.arange(n_anomalous + 20) < n_anomalous
        scores = np.arange(len(labels)) % 2 * 1.0
        groups = ["a" if label else "b" for label in labels]
        note = at_threshold(scores, labels, groups, 0.5)["f1"].note
        assert note.startswith(f"{n_anomalous} items in 1 groups") and " 20 items in 1 groups" in note
