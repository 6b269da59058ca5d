"""Values that no rule can mean are refused by name, before any image is looked at, and as wrong usage."""

from typing import Any

import pytest

from curate.threshold_advice import parameters
from curate.threshold_params import Settings, choice
from curate.threshold_values import check_kinds
from curate.thresholds import THRESHOLDS

WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("conformal", "a number for alpha", {"alpha": "0,05"}),
    ("conformal", "a number for alpha", {"alpha": None}),
    ("conformal", "a number for alpha", {"alpha": [0.1]}),
    ("conformal", "a number for alpha", {"alpha": float("nan")}),
    ("conformal", "a number for alpha", {"alpha": True}),
    ("conformal", r"alpha in \(0, 1\); found 2", {"alpha": 2}),
    ("conformal", "a word for per", {"per": 3}),
    ("conformal", "per to be item or group", {"per": "lot"}),
    ("k_sigma", 'true or false for robust of the rule "k_sigma"; found "no"', {"robust": "no"}),
    ("k_sigma", "true or false for robust", {"robust": 0}),
    ("cost_minimal", "a number for cost_miss", {"cost_miss": "abc"}),
    ("cost_minimal", "found inf", {"cost_miss": float("inf")}),
    ("cost_minimal", "above 0; found 0 for both", {"cost_miss": 0, "cost_false_alarm": 0}),
    ("review_band", "missing: cost_false_alarm", {"cost_miss": 3}),
    ("evt", "seed of at least 0; found -1", {"seed": -1}),
    ("evt", "below the tail", {"alpha": 0.5}),
]


@pytest.mark.parametrize(("rule", "told", "params"), WRONG)
def test_a_value_that_cannot_be_meant_is_wrong_usage(rule: str, told: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=told):
        choice("padim", rule, Settings(params))


def test_an_area_is_a_whole_number() -> None:
    with pytest.raises(ValueError, match=r"a whole number for max_area_px of .*; found 2\.5"):
        choice("padim", "max_area", Settings({"max_area_px": 2.5}, "region"))


@pytest.mark.parametrize("rule", THRESHOLDS)
def test_the_defaults_of_every_rule_can_be_asked_for_at_its_levels(rule: str) -> None:
    own = parameters(rule)
    check_kinds(rule, own)
    for level in THRESHOLDS[rule].load().LEVELS:
        assert choice("padim", rule, Settings(own, level))["params"] == own


def test_whole_numbers_are_numbers_and_none_is_one_not_stated() -> None:
    costs = {"cost_miss": 200, "cost_false_alarm": 1, "cost_review": None}
    assert choice("padim", "cost_minimal", Settings(costs))["params"]["cost_miss"] == 200


def test_the_defect_rate_is_one_however_it_is_stated() -> None:
    asked = choice("padim", "cost_minimal", Settings({"defect_rate": 0.01}))
    assert asked["defect_rate"] == asked["params"]["defect_rate"] == 0.01
    assert asked == choice("padim", "cost_minimal", Settings(defect_rate=0.01))
    with pytest.raises(ValueError, match=r"found 0.02 \(--defect-rate\) and 0.01 \(--set\)"):
        choice("padim", "cost_minimal", Settings({"defect_rate": 0.01}, defect_rate=0.02))
