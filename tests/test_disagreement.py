"""How differently detectors judge an image."""

import numpy as np
import pytest

from curate.disagreement import disagreement, rarity


def test_rarity_of_ten_scores_by_hand() -> None:
    scores = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 90.0])
    expected = -np.log10(np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2]))
    assert rarity(scores) == pytest.approx(expected)
    assert not np.signbit(rarity(scores)).any()


def test_equal_scores_say_nothing() -> None:
    assert rarity(np.full(7, 3.0)).tolist() == [0.0] * 7
    assert rarity(np.array([])).tolist() == []


def test_a_monotone_rescaling_of_a_detector_changes_nothing() -> None:
    scores = np.random.default_rng(2).normal(size=(200, 3))
    rescaled = np.column_stack([np.exp(scores[:, 0]), 5 + 0.1 * scores[:, 1], scores[:, 2] ** 3])
    names = ["a", "b"] * 100
    assert disagreement(rescaled, names) == pytest.approx(disagreement(scores, names))


def test_an_image_alarming_to_one_and_usual_to_the_other_comes_first() -> None:
    rng = np.random.default_rng(3)
    both = rng.normal(size=(100, 2))
    both[4] = (9.0, float(np.median(both[:, 1])))  # the first detector alone
    both[7] = (8.0, 9.0)  # both of them
    both[9] = (-9.0, -9.0)  # neither
    found = disagreement(both, ["a"] * 100)
    assert int(found.argmax()) == 4
    assert found[4] == pytest.approx(np.log10(50), abs=0.02)
    assert found[7] < 0.5
    assert found[9] == 0.0


def test_faultless_images_in_unrelated_orders_disagree_less_than_one_alarm() -> None:
    rng = np.random.default_rng(4)
    both = rng.normal(size=(1000, 2))
    usual = (both < 1.0).all(axis=1)
    both[0] = (9.0, 0.0)
    usual[0] = False
    found = disagreement(both, ["a"] * 1000)
    assert found[usual].max() < found[0] / 2


def test_categories_are_ranked_apart() -> None:
    one = np.random.default_rng(5).normal(size=(50, 2))
    far = np.random.default_rng(6).normal(1000.0, 1.0, size=(50, 2))
    together = disagreement(np.vstack([one, far]), ["a"] * 50 + ["b"] * 50)
    assert together == pytest.approx(
        np.concatenate([disagreement(one, ["a"] * 50), disagreement(far, ["b"] * 50)])
    )


def test_an_image_that_one_detector_alone_scored_has_no_disagreement() -> None:
    scores = np.array(
        [[1.0, np.nan, 3.0], [2.0, 5.0, np.nan], [np.nan, np.nan, 9.0], [np.nan, np.nan, np.nan]]
    )
    found = disagreement(scores, ["a"] * 4)
    assert np.isnan(found).tolist() == [False, False, True, True]
