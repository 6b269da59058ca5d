"""Counts of scores: ties, weights, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.operating_points import at_threshold, best_f1, within_fpr, within_miss_rate
from curate.ranking import Counts, Ranking, ratio

SCORES = np.array([1.0, 3.0, 3.0, -np.inf, 2.0, np.inf])
LABELS = np.array([False, True, False, True, False, True])


def test_equal_scores_become_one_entry() -> None:
    counts = Counts.of_scores(SCORES, LABELS)
    assert counts.values.tolist() == [np.inf, 3, 2, 1, -np.inf]
    assert counts.negative.tolist() == [0, 1, 1, 1, 0]
    assert counts.positive.tolist() == [1, 1, 0, 0, 1]
    assert counts.false_positives.tolist() == [0, 1, 2, 3, 3]
    assert counts.true_positives.tolist() == [1, 2, 2, 2, 3]
    assert (counts.n_negative, counts.n_positive) == (3, 3)


def test_zero_and_minus_zero_are_equal() -> None:
    assert Counts.of_scores(np.array([0.0, -0.0]), LABELS[:2]).values.tolist() == [0]


def test_weights_have_leading_axes() -> None:
    weights = np.arange(12.0).reshape(2, 1, 6)
    counts = Counts.of_scores(SCORES, LABELS, weights)
    assert counts.positive.shape == (2, 1, 5)
    assert counts.positive[1, 0].tolist() == [11, 7, 0, 0, 9]
    assert counts.n_negative[:, 0].tolist() == [0 + 2 + 4, 6 + 8 + 10]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), max_size=20))
def test_a_weight_is_a_repetition(items: list[tuple[int, bool, int]]) -> None:
    scores, labels, times = (
        (np.array(part) for part in zip(*items, strict=True)) if items else [np.zeros(0)] * 3
    )
    labels, times = labels.astype(bool), times.astype(int)
    weighted = Counts.of_scores(scores, labels, times)
    repeated = Counts.of_scores(np.repeat(scores, times), np.repeat(labels, times))
    present = weighted.positive + weighted.negative > 0
    assert weighted.values[present].tolist() == repeated.values.tolist()
    assert weighted.positive[present].tolist() == repeated.positive.tolist()
    assert weighted.false_positives[present].tolist() == repeated.false_positives.tolist()


def test_a_ranking_counts_in_either_order() -> None:
    ranking = Ranking(SCORES, LABELS)
    weights = np.arange(6)
    np.testing.assert_array_equal(
        ranking.counts(weights).positive, ranking.counts_in_order(weights[ranking.order]).positive
    )


def test_all_of_many_fractional_weights_is_a_share_of_one() -> None:
    weights = np.full(1000, 0.1)
    counts = Counts.of_scores(np.arange(1000.0), np.arange(1000) % 3 == 0, weights)
    assert within_miss_rate(counts, 0.0).tpr == 1
    assert within_fpr(counts, 1.0).tpr == 1


def test_no_score_has_no_figure() -> None:
    counts = Counts.of_scores(np.zeros(0), np.zeros(0, dtype=bool), np.zeros((3, 0)))
    for point in (best_f1(counts), within_fpr(counts, 0.5), within_miss_rate(counts, 0.5)):
        assert np.isnan(point.tpr).all() and point.tpr.shape == (3,)


def test_a_score_of_no_weight_is_no_operating_point() -> None:
    scores, labels = np.array([3.0, 2.0, 1.5, 1.0]), np.array([False, False, False, True])
    point = within_fpr(Counts.of_scores(scores, labels, np.array([0, 1, 1, 1])), 0.5)
    assert (point.threshold, point.false_positives, point.precision()) == (2, 1, 0)
    none = within_fpr(Counts.of_scores(scores, labels, np.array([0, 1, 1, 1])), 0.4)
    assert none.threshold == np.inf and none.fpr == 0 and np.isnan(none.precision())


def test_a_given_threshold_counts_what_reaches_it() -> None:
    counts = Counts.of_scores(SCORES, LABELS)
    for threshold in (-np.inf, 1.5, 2.0, 3.0, 3.5, np.inf):
        point = at_threshold(counts, threshold)
        assert point.true_positives == (LABELS & (SCORES >= threshold)).sum()
        assert point.false_positives == (~LABELS & (SCORES >= threshold)).sum()


def test_a_ratio_of_nothing_is_nan_without_a_warning() -> None:
    np.testing.assert_array_equal(ratio(np.array([1, 0, 3]), np.array([2, 0, 0])), [0.5, np.nan, np.nan])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="the first at position 1: nan"):
        Counts.of_scores(np.array([0.0, np.nan]), LABELS[:2])
    with pytest.raises(ValueError, match="found 2 for 6 scores"):
        Counts.of_scores(SCORES, LABELS, np.ones(2))
    with pytest.raises(ValueError, match="one number for 6 scores"):
        Counts.of_scores(SCORES, LABELS, np.float64(1))
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="weights of 0 or more"):
            Counts.of_scores(SCORES, LABELS, np.array([1, 1, 1, 1, 1, wrong]))
