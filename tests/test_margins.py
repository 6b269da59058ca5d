"""The unit in which distances to a threshold compare between categories."""

import numpy as np
import pytest

from curate.margins import spread, spreads


def rows(category: str, scores: list[float], label: str = "normal", split: str = "calibration") -> list[dict]:
    return [
        {"category": category, "label": label, "assigned_split": split, "score": score} for score in scores
    ]


def test_the_spread_of_a_normal_distribution_is_its_deviation() -> None:
    scores = np.random.default_rng(1).normal(7.0, 3.0, 20_000)
    assert spread(scores) == pytest.approx(3.0, rel=0.02)


def test_one_wild_score_does_not_move_the_spread() -> None:
    scores = np.arange(41.0)
    assert spread(np.append(scores, 1e9)) == pytest.approx(spread(scores), rel=0.05)


def test_half_the_scores_being_equal_leaves_the_plain_deviation() -> None:
    assert spread(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 6.0])) == pytest.approx(np.std([0] * 5 + [6.0]))
    assert spread(np.full(9, 2.5)) == spread(np.array([])) == 0.0


def test_a_scale_of_one_category_does_not_matter_to_another() -> None:
    found = spreads([*rows("a", [1, 2, 3, 4, 5]), *rows("b", [100, 200, 300, 400, 500])])
    assert found["b"] == pytest.approx(100 * found["a"])


def test_training_images_and_anomalous_ones_do_not_count_while_there_are_others() -> None:
    plain = rows("a", [1.0, 2.0, 3.0, 4.0, 5.0])
    fitted = rows("a", [0.0] * 50, split="train")
    defects = rows("a", [90.0, 700.0], label="anomalous")
    assert spreads([*plain, *fitted, *defects]) == spreads(plain)


def test_few_calibration_images_are_helped_by_other_normal_ones_and_then_by_all() -> None:
    few = rows("a", [1.0, 2.0])
    tested = rows("a", [4.0, 8.0, 16.0], split="test")
    fitted = rows("a", [32.0, 64.0, 128.0], split="train")
    assert spreads([*few, *tested, *fitted])["a"] == spread(np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert spreads([*few, *fitted])["a"] == spread(np.array([1.0, 2.0, 32.0, 64.0, 128.0]))
    assert spreads(rows("a", [3.0, 3.0])) == {"a": 1.0}


def test_images_without_a_split_count_as_normal_ones() -> None:
    plain = rows("a", [1.0, 2.0, 4.0, 8.0, 16.0])
    without = [{name: value for name, value in row.items() if name != "assigned_split"} for row in plain]
    assert spreads(without) == spreads(plain)
