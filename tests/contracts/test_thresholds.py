"""Promises every threshold rule keeps."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import curate.thresholds
from curate.threshold_evidence import LEVELS, Cut, Evidence
from curate.thresholds import THRESHOLDS

RULES = pytest.mark.parametrize("rule", [entry.load() for entry in THRESHOLDS.values()], ids=list(THRESHOLDS))


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.thresholds.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(THRESHOLDS)
    assert all(entry.target == f"curate.thresholds.{name}" for name, entry in THRESHOLDS.items())


@RULES
def test_a_rule_says_where_it_fits_and_what_it_needs(rule: ModuleType) -> None:
    assert rule.LEVELS
    assert set(rule.LEVELS) <= set(LEVELS)
    assert rule.NEEDS in [("normal",), ("anomalous",), ("normal", "anomalous")]


def some(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.random(n) < 0.4


@RULES
def test_a_cut_depends_on_nothing_but_the_evidence(rule: ModuleType) -> None:
    scores, anomalous = some()
    order = np.random.default_rng(1).permutation(len(scores))
    cut = rule.choose(Evidence.of(scores, anomalous))
    assert isinstance(cut, Cut)
    assert type(cut.threshold) is float
    assert not np.isnan(cut.threshold)
    assert cut.supported != bool(cut.reason)
    again = rule.choose(Evidence.of(scores[order], anomalous[order]))
    assert again.threshold == pytest.approx(cut.threshold, rel=1e-9)
    assert (again.review_from is None) == (cut.review_from is None)


@RULES
def test_shifted_and_scaled_scores_move_the_threshold_alike(rule: ModuleType) -> None:
    scores, anomalous = some()
    cut = rule.choose(Evidence.of(scores, anomalous))
    moved = rule.choose(Evidence.of(scores * 4 + 10, anomalous))
    assert moved.threshold == pytest.approx(cut.threshold * 4 + 10, rel=1e-5)
    assert moved.supported == cut.supported


@pytest.mark.parametrize(
    "rule",
    [entry.load() for entry in THRESHOLDS.values() if "pixel" in entry.load().LEVELS],
    ids=lambda rule: rule.__name__.rsplit(".", 1)[-1],
)
def test_an_item_of_weight_two_counts_like_two(rule: ModuleType) -> None:
    scores, anomalous = some()
    twice = np.arange(len(scores)) % 3 == 0
    level = "pixel"
    weighted = rule.choose(Evidence.of(scores, anomalous, weights=1.0 + twice, level=level))
    repeated = rule.choose(
        Evidence.of(np.append(scores, scores[twice]), np.append(anomalous, anomalous[twice]), level=level)
    )
    assert repeated.threshold == pytest.approx(weighted.threshold, rel=1e-9)


@RULES
def test_items_of_weight_zero_change_nothing(rule: ModuleType) -> None:
    scores, anomalous = some()
    more, labels = np.append(scores, [99.0, -99.0] * 2), np.append(anomalous, [True, True, False, False])
    weights = np.append(np.ones(len(scores)), np.zeros(4))
    alone = rule.choose(Evidence.of(scores, anomalous))
    assert rule.choose(Evidence.of(more, labels, weights=weights)).threshold == alone.threshold


@RULES
def test_nothing_to_choose_from_is_refused(rule: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"needs .*found none"):
        rule.choose(Evidence.of(np.array([]), np.array([], dtype=bool)))


@RULES
def test_what_a_rule_needs_is_told_by_its_name(rule: ModuleType) -> None:
    name = rule.__name__.rsplit(".", 1)[-1]
    for label in rule.NEEDS:
        other = np.full(30, label == "normal")
        with pytest.raises(ValueError, match=f'"{name}" needs {label} .*found none among 30'):
            rule.choose(Evidence.of(np.arange(30.0), other))
