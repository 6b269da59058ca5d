"""Max-normal: no alarm on the normal images it has seen, and not a bit higher than needed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.threshold_evidence import Evidence
from curate.thresholds import max_normal

FINITE = st.floats(-1e6, 1e6, width=32)


def choose(scores: np.ndarray, labels: np.ndarray) -> float:
    return max_normal.choose(Evidence.of(scores, labels)).threshold


@given(st.lists(FINITE, min_size=1), st.lists(FINITE), st.sampled_from([np.float32, np.float64]))
def test_no_normal_image_alarms_and_nothing_higher_is_missed(
    normal: list[float], anomalous: list[float], kind: type
) -> None:
    scores = np.array(normal + anomalous, dtype=kind)
    labels = np.array([False] * len(normal) + [True] * len(anomalous))
    threshold = choose(scores, labels)
    assert not (scores[~labels] >= threshold).any()
    assert ((scores >= threshold) == (scores > max(normal))).all()


def test_anomalous_images_are_not_needed() -> None:
    assert choose(np.array([0.1]), np.array([False])) == np.nextafter(0.1, 2.0)


def test_scores_that_are_float32_stay_below_in_float32_too() -> None:
    score = np.float32(0.1)
    threshold = choose(np.array([score]), np.array([False]))
    assert threshold == np.nextafter(score, np.float32(1))
    assert not score >= np.float32(threshold)


def test_shifted_scores_shift_the_threshold() -> None:
    scores, labels = np.array([1.0, 2.0, 5.0]), np.array([False, False, True])
    assert choose(scores + 16, labels) == pytest.approx(choose(scores, labels) + 16)


def test_without_normal_images_it_says_so() -> None:
    with pytest.raises(ValueError, match=r"max_normal.*none among 2"):
        choose(np.zeros(2), np.array([True, True]))


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        choose(np.array([np.nan]), np.array([False]))


def test_the_largest_number_leaves_no_room() -> None:
    with pytest.raises(ValueError, match="no threshold lies above"), np.errstate(over="ignore"):
        choose(np.array([np.finfo(np.float64).max]), np.array([False]))
