"""F1 of decisions."""

import numpy as np
import pytest

from curate.metrics.f1 import compute


def test_by_hand() -> None:
    predicted = np.array([True, True, True, False, False])
    truth = np.array([True, True, False, True, False])
    assert compute(predicted, truth) == 2 * 2 / (2 * 2 + 1 + 1)


def test_all_right_is_one_and_nothing_found_is_zero() -> None:
    truth = np.array([[True, False], [False, True]])
    assert compute(truth, truth) == 1.0
    assert compute(np.zeros_like(truth), truth) == 0.0


def test_nothing_to_find_is_refused() -> None:
    with pytest.raises(ValueError, match="found none among 4"):
        compute(np.ones(4, dtype=bool), np.zeros(4, dtype=bool))


def test_scores_instead_of_decisions_are_refused() -> None:
    with pytest.raises(ValueError, match="Compare the scores with a threshold first"):
        compute(np.array([0.2, 0.9]), np.array([False, True]))
    with pytest.raises(ValueError, match="one shape"):
        compute(np.array([True]), np.array([False, True]))
