"""AUROC: by hand, against all pairs, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.metrics.auroc import compute
from tests.oracles import metrics as oracle

PAIRS = st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


def arrays(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in pairs], dtype=np.float64), np.array([label for _, label in pairs])


@given(PAIRS)
def test_it_counts_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = arrays(pairs)
    assert compute(scores, labels) == pytest.approx(oracle.auroc(scores.tolist(), labels.tolist()), abs=1e-15)


@given(PAIRS)
def test_monotone_rescaling_changes_nothing(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = arrays(pairs)
    assert compute(np.exp(scores), labels) == compute(scores, labels)


@given(PAIRS)
def test_opposite_scores_give_the_complement(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = arrays(pairs)
    assert compute(-scores, labels) == pytest.approx(1 - compute(scores, labels), abs=1e-15)


def test_by_hand() -> None:
    scores = np.array([1.0, 2.0, 3.0, 3.0, 4.0])
    labels = np.array([False, True, False, True, True])
    # pairs: 2>1, 2<3, 3>1, 3=3, 4>1, 4>3: 4 right, 1 tie, of 6
    assert compute(scores, labels) == 4.5 / 6


def test_all_equal_scores_tell_nothing() -> None:
    assert compute(np.zeros(5), np.array([True, False, False, True, False])) == 0.5


def test_infinite_scores_have_a_rank() -> None:
    assert compute(np.array([-np.inf, 0.0, np.inf]), np.array([False, False, True])) == 1.0


def test_it_takes_maps_of_any_shape() -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[3:10, 40:52] = True
    assert compute(mask.astype(np.float32), mask) == 1.0


@pytest.mark.parametrize(("label", "absent"), [(True, "normal"), (False, "anomalous")])
def test_one_label_only_is_refused_by_name(label: bool, absent: str) -> None:
    with pytest.raises(ValueError, match=f"AUROC needs .* no {absent} one among 3"):
        compute(np.arange(3.0), np.full(3, label))


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="without NaN; found 1"):
        compute(np.array([np.nan, 1.0]), np.array([True, False]))
