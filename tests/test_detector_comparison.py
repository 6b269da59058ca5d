"""Detectors against each other: differences, p-values that keep their promise, and Holm's correction."""

import numpy as np
import pytest

from curate.detector_comparison import compare, holm, two_sided
from curate.metrics import auroc

METRICS = ["image_auroc", "image_average_precision", "tpr_at_fpr"]
N = 120
LABELS = np.arange(N) % 3 == 0
GROUPS = [f"part {n // 2}" for n in range(N)]


def detector(apart: float, seed: int, common: float = 0.0) -> np.ndarray:
    """Scores; `common` is the share that every detector sees."""
    shared, own = (np.random.default_rng(s).normal(size=N) for s in (99, seed))
    return np.sqrt(common) * shared + np.sqrt(1 - common) * own + apart * LABELS


def test_a_better_detector_is_told_from_a_worse_one() -> None:
    good, bad = detector(2.5, 1), detector(0.5, 2)
    found = compare({"good": good, "bad": bad}, LABELS, GROUPS, n_replicates=300)
    assert [d.metric for d in found] == METRICS
    first = found[0]
    assert (first.first, first.second, first.n) == ("good", "bad", 60)
    assert first.value == pytest.approx(auroc.compute(good, LABELS) - auroc.compute(bad, LABELS))
    assert first.low is not None and first.low > 0
    assert first.p_value == first.p_holm == pytest.approx(2 / 301)
    swapped = compare({"bad": bad, "good": good}, LABELS, GROUPS, n_replicates=300)[0]
    assert swapped.value == -first.value and swapped.p_value == first.p_value
    assert swapped.high == -first.low


def test_a_detector_does_not_differ_from_its_rescaled_self() -> None:
    scores = detector(1, 1)
    for found in compare({"a": scores, "b": np.exp(scores)}, LABELS, GROUPS, n_replicates=50):
        assert (found.value, found.p_value, found.p_holm) == (0, 1, 1)
        assert found.low is None and "equal" in found.note


def test_pairing_makes_use_of_what_both_see() -> None:
    widths = []
    for common in (0.0, 0.9):
        scores = {"a": detector(1.5, 1, common), "b": detector(1.2, 2, common)}
        found = compare(scores, LABELS, GROUPS, n_replicates=300)[0]
        assert found.low is not None and found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_every_pair_is_compared_and_corrected_within_a_figure() -> None:
    scores = {"a": detector(2, 1), "b": detector(1, 2), "c": detector(0.9, 3)}
    found = compare(scores, LABELS, GROUPS, n_replicates=200)
    assert [(d.metric, d.first, d.second) for d in found[:3]] == [
        ("image_auroc", "a", "b"),
        ("image_auroc", "a", "c"),
        ("image_auroc", "b", "c"),
    ]
    assert len(found) == 9
    for start in (0, 3, 6):
        of_figure = found[start : start + 3]
        assert [d.p_holm for d in of_figure] == holm([d.p_value for d in of_figure])


def test_equal_detectors_are_called_different_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(7)
    n_draws, rejected = 200, 0
    for draw in range(n_draws):
        shared = rng.normal(size=N) + 1.5 * LABELS
        scores = {name: shared + rng.normal(size=N) / 2 for name in "ab"}
        found = compare(scores, LABELS, range(N), n_replicates=99, seed=draw)[0]
        assert found.p_value is not None
        rejected += found.p_value <= 0.1
    assert 0.04 <= rejected / n_draws <= 0.16


def test_the_same_seed_gives_the_same_answer_in_any_order_of_rows() -> None:
    scores = {"a": detector(2, 1), "b": detector(1, 2)}
    order = np.random.default_rng(3).permutation(N)
    one = compare(scores, LABELS, GROUPS, n_replicates=60, seed=2)
    shuffled = {name: values[order] for name, values in scores.items()}
    assert repr(one) == repr(
        compare(shuffled, LABELS[order], [GROUPS[n] for n in order], n_replicates=60, seed=2)
    )


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.03]) == [0.03, 0.04, 0.04]
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_a_p_value_by_hand() -> None:
    assert two_sided(np.array([1.0] * 97 + [-1.0, 0.0])) == 2 * (2 + 1) / 100
    assert two_sided(np.array([np.nan, np.nan, 1.0])) is None
    assert two_sided(np.zeros(9)) == 1


def test_fewer_than_two_detectors_make_no_pair() -> None:
    assert compare({"a": detector(1, 1)}, LABELS, GROUPS) == []
    assert compare({}, LABELS, GROUPS) == []


def test_an_absent_label_is_told() -> None:
    scores = {"a": detector(1, 1), "b": detector(1, 2)}
    for found in compare(scores, LABELS & False, GROUPS, n_replicates=20):
        assert (found.value, found.low, found.p_value, found.p_holm) == (None, None, None, None)
        assert "A label is absent" in found.note


def test_wrong_scores_are_refused_with_the_detectors_name() -> None:
    broken = detector(1, 1)
    broken[7] = np.nan
    with pytest.raises(ValueError, match=r'detector "b": .*position 7'):
        compare({"a": detector(1, 2), "b": broken}, LABELS, GROUPS)
    with pytest.raises(ValueError, match="one shape"):
        compare({"a": detector(1, 2), "b": broken[:5]}, LABELS, GROUPS)


def test_one_group_of_a_label_tells_nothing_of_others() -> None:
    groups = ["one part" if label else f"part {n}" for n, label in enumerate(LABELS)]
    for found in compare(
        {"good": detector(2.5, 1), "bad": detector(0.5, 2)}, LABELS, groups, n_replicates=50
    ):
        assert found.value is not None and found.low is None and found.high is None
        assert found.p_value is None and found.p_holm is None
        assert "one group" in found.note
