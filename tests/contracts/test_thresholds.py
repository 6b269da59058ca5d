"""Promises every threshold rule keeps."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import curate.thresholds
from curate.thresholds import THRESHOLDS

RULES = pytest.mark.parametrize("rule", [entry.load() for entry in THRESHOLDS.values()], ids=list(THRESHOLDS))


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.thresholds.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(THRESHOLDS)
    assert all(entry.target == f"curate.thresholds.{name}" for name, entry in THRESHOLDS.items())


@RULES
def test_a_threshold_is_a_finite_float_that_depends_on_nothing_but_the_scores(rule: ModuleType) -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=60), rng.random(60) < 0.4
    order = rng.permutation(60)
    threshold = rule.choose(scores, labels)
    assert type(threshold) is float
    assert np.isfinite(threshold)
    assert rule.choose(scores[order], labels[order]) == threshold


@RULES
def test_separated_scores_are_separated(rule: ModuleType) -> None:
    scores, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    assert ((scores >= rule.choose(scores, labels)) == labels).all()


@RULES
def test_nothing_to_choose_from_is_refused(rule: ModuleType) -> None:
    with pytest.raises(ValueError, match="found no"):
        rule.choose(np.array([]), np.array([], dtype=bool))
