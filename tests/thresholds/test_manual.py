"""A stated threshold: what it gives is told by hand-worked cases, and what cannot be meant is refused."""

import numpy as np
import pytest

from curate.threshold_advice import advise, threshold_interval
from curate.threshold_evidence import Evidence
from curate.threshold_params import Settings, choice
from curate.threshold_values import of_category
from curate.thresholds import manual


def evidence() -> Evidence:
    return Evidence.of(np.array([1.0, 2, 3, 4, 2, 5]), np.array([False] * 4 + [True] * 2))


def test_a_stated_value_is_taken_as_it_is_and_counts_what_it_gives() -> None:
    cut = manual.choose(evidence(), value=3)
    assert (cut.threshold, cut.review_from, cut.supported) == (3.0, None, True)
    assert (cut.facts["n_false_alarms"], cut.facts["n_missed"]) == (2, 1)
    assert cut.claim == (
        "On calibration 2 of 4 normal images raise an alarm and 1 of 2 anomalous images are missed."
    )
    assert "no estimate" in cut.warnings[0]


def test_with_a_band_missed_are_those_below_it() -> None:
    cut = manual.choose(evidence(), value=4.5, review_from=2)
    assert (cut.review_from, cut.facts["n_false_alarms"], cut.facts["n_missed"]) == (2.0, 0, 0)


def test_without_a_value_the_reason_says_how_to_state_one() -> None:
    cut = manual.choose(evidence())
    assert (cut.threshold, cut.supported) == (float("inf"), False)
    assert "--set value=NUMBER" in cut.reason


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"value": 1, "review_from": 2}, "at or below the threshold; found review_from 2 and value 1"),
        ({"review_from": 2}, "found review_from 2 and value none"),
        ({"value": float("inf")}, "a number for value of the rule"),
        ({"value": {"acf": "high"}}, 'a number for value of the rule "manual"; found "high"'),
        ({"value": {"acf": 1}, "review_from": {"acf": 2}}, "found review_from 2 and value 1"),
        ({"value": {}}, "a number for value"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_image_is_read(
    stated: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        choice("padim", "manual", Settings(stated))


def test_values_are_stated_for_single_categories() -> None:
    params = choice("padim", "manual", Settings({"value": {"acf": 3.5, "sus": 1}}))["params"]
    assert of_category(params, "acf") == {"value": 3.5, "review_from": None}
    assert of_category(params, "trace") is None
    assert of_category({"value": 2.0}, "trace") == {"value": 2.0}


def test_other_rules_take_no_value_for_each_category() -> None:
    with pytest.raises(ValueError, match="a number for k"):
        choice("padim", "k_sigma", Settings({"k": {"acf": 3}}))


def test_a_stated_value_has_no_interval_and_no_place_in_advice() -> None:
    found = threshold_interval("manual", evidence(), {"value": 3.0})
    assert (found.value, found.low, found.high) == (3.0, None, None)
    assert "stated" in found.note
    assert "manual" not in [row.rule for row in advise(evidence(), None, n_replicates=5)]
