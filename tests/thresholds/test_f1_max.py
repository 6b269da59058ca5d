"""F1-max: against brute force, and the laws it keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.threshold_evidence import Evidence
from curate.thresholds import f1_max
from tests.oracles import thresholds as oracle

SCORES = st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=2, max_size=30).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


def arrays(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in pairs], dtype=np.float64), np.array([label for _, label in pairs])


def choose(scores: np.ndarray, labels: np.ndarray) -> float:
    return f1_max.choose(Evidence.of(scores, labels)).threshold


@given(SCORES)
def test_choice_has_the_best_f1_with_the_fewest_alarms(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = arrays(pairs)
    threshold = choose(scores, labels)
    best, n_alarms = oracle.best_f1(scores.tolist(), labels.tolist())
    assert oracle.f1(scores.tolist(), labels.tolist(), threshold) == best
    assert (scores >= threshold).sum() == n_alarms


@given(SCORES, st.integers(-50, 50), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_shifted_and_scaled_scores_shift_and_scale_the_threshold(
    pairs: list[tuple[int, bool]], shift: int, scale: float
) -> None:
    scores, labels = arrays(pairs)
    assert choose(scores * scale + shift, labels) == choose(scores, labels) * scale + shift


@given(SCORES, st.randoms(use_true_random=False))
def test_order_never_matters(pairs: list[tuple[int, bool]], order: st.DrawFn) -> None:
    shuffled = list(pairs)
    order.shuffle(shuffled)
    assert choose(*arrays(shuffled)) == choose(*arrays(pairs))


def test_threshold_lies_half_way_below_the_best_score() -> None:
    assert choose(np.array([1.0, 2.0, 6.0, 9.0]), np.array([False, False, True, True])) == 4.0


def test_equal_scores_stay_together() -> None:
    scores, labels = np.array([1.0, 5.0, 5.0, 5.0]), np.array([False, True, True, False])
    assert choose(scores, labels) == 3.0


def test_all_scores_equal_calls_everything_anomalous() -> None:
    assert choose(np.array([2.0, 2.0]), np.array([True, False])) == 2.0


def test_float32_scores_give_the_same_alarms_in_float32_and_float64() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    scores, labels = np.array([low, high], dtype=np.float32), np.array([False, True])
    threshold = choose(scores, labels)
    assert (
        (scores >= threshold).tolist() == (scores.astype(np.float64) >= threshold).tolist() == [False, True]
    )


def test_scores_near_the_largest_number_do_not_overflow() -> None:
    assert np.isfinite(choose(np.array([1.5e308, 1.7e308]), np.array([False, True])))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"finite scores; found 1 .* position 1"):
        choose(np.array([0.0, wrong]), np.array([False, True]))


@pytest.mark.parametrize(("label", "absent"), [(True, "normal"), (False, "anomalous")])
def test_one_label_only_is_refused_by_name(label: bool, absent: str) -> None:
    with pytest.raises(ValueError, match=f"f1_max.*needs {absent} .*none among 2"):
        choose(np.array([0.0, 1.0]), np.array([label, label]))


def test_labels_must_be_bool_and_of_the_same_length() -> None:
    with pytest.raises(ValueError, match=r"one shape; found \(2,\) and \(1,\)"):
        choose(np.zeros(2), np.array([True]))
    with pytest.raises(ValueError, match="type bool"):
        choose(np.zeros(2), np.array([0, 1]))
