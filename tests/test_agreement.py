"""How far two people agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, jaccard_score

from curate import agreement

ANSWERS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40)


def of_counts(both_normal: int, first_only: int, second_only: int, both: int) -> agreement.Agreement:
    """Agreement of two people of whom so many images were called anomalous by one, the other, or both."""
    said = (
        ("normal", "normal"),
        ("anomalous", "normal"),
        ("normal", "anomalous"),
        ("anomalous", "anomalous"),
    )
    pairs = [
        pair
        for pair, n in zip(said, (both_normal, first_only, second_only, both), strict=True)
        for _ in range(n)
    ]
    return agreement.of_pair([one for one, _ in pairs], [other for _, other in pairs])


def test_a_case_computed_by_hand() -> None:
    # 20 + 15 of 50 alike = .70; by chance .5 * .6 + .5 * .4 = .50; (.70 - .50) / .50 = .40
    found = of_counts(20, 5, 10, 15)
    assert (found.n, found.n_same) == (50, 35)
    assert found.observed.value == pytest.approx(0.70)
    assert found.kappa.value == pytest.approx(0.40)
    # exact 95 % interval of 35 in 50: .5539 to .8214
    assert found.kappa.low == pytest.approx(2 * 0.5539 - 1, abs=2e-4)
    assert found.kappa.high == pytest.approx(2 * 0.8214 - 1, abs=2e-4)
    assert found.counts[0] == ("normal", "normal", 20)
    assert sum(n for _, _, n in found.counts) == 50


@given(ANSWERS)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = agreement.of_pair(first, second)
    if found.kappa.value is None:
        assert len({*first, *second}) == 1
    else:
        assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
        assert found.kappa.low is not None and found.kappa.high is not None
        assert -1 <= found.kappa.low <= found.kappa.value + 1e-12 <= found.kappa.high + 2e-12 <= 1 + 2e-12


@given(ANSWERS)
def test_who_is_named_first_and_the_order_of_images_never_matter(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = agreement.of_pair(first, second)
    assert agreement.of_pair(second, first).kappa == found.kappa
    assert agreement.of_pair(first[::-1], second[::-1]) == found


def test_never_differing_in_few_images_is_no_proof_of_always_agreeing() -> None:
    few, many = of_counts(5, 0, 0, 5).kappa, of_counts(50, 0, 0, 50).kappa
    assert (few.value, few.high) == (many.value, many.high) == (1.0, 1.0)
    assert few.low is not None and few.low < 0.4
    assert many.low is not None and 0.9 < many.low < 0.95


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.49, 0.0125, 0.0125, 0.485])  # kappa 0.95
    held = 0
    for counts in rng.multinomial(30, truth, 400):
        found = of_counts(*counts).kappa
        held += found.value is not None and found.low <= 0.95 <= found.high  # type: ignore[operator]
    assert held >= 0.95 * 400


def test_where_both_always_say_the_same_word_kappa_is_not_defined_and_says_why() -> None:
    found = of_counts(3, 0, 0, 0)
    assert (found.kappa.value, found.kappa.low, found.observed.value) == (None, None, 1.0)
    assert 'Both said "normal" every time' in found.kappa.note


def test_one_who_always_says_the_same_agrees_no_more_than_by_chance() -> None:
    assert of_counts(6, 0, 4, 0).kappa.value == 0.0


def test_without_common_images_there_is_nothing_to_tell() -> None:
    found = agreement.of_pair([], [])
    assert (found.n, found.kappa.value, found.observed.value) == (0, None, None)
    assert found.kappa.note == "There is no image that both decided."


def test_unequal_numbers_of_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 and 2"):
        agreement.of_pair(["a"], ["a", "b"])


@given(st.integers(0, 2**32 - 1))
def test_overlap_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 5, 7)) > rng.random()
    if (first | second).any():
        expected = jaccard_score(first.ravel(), second.ravel())
        assert agreement.overlap(first, second) == pytest.approx(expected)


def test_two_empty_masks_are_the_same_and_sizes_must_fit() -> None:
    empty = np.zeros((4, 6), bool)
    assert agreement.overlap(empty, empty) == 1.0
    with pytest.raises(ValueError, match="one size"):
        agreement.overlap(empty, empty.T)
