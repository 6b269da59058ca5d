"""Parts instead of views: the highest score, and any view's label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.metrics import auroc
from curate.object_level import to_objects

VIEWS = st.lists(st.tuples(st.sampled_from("abcde"), st.floats(-9, 9), st.booleans()), max_size=20)


@settings(deadline=None)
@given(VIEWS)
def test_a_part_is_its_highest_view_and_any_label(views: list[tuple[str, float, bool]]) -> None:
    scores, labels = np.array([s for _, s, _ in views]), np.array([label for *_, label in views], dtype=bool)
    found = to_objects(scores, labels, [part for part, *_ in views])
    assert list(found.part_ids) == sorted({part for part, *_ in views})
    for part, score, label in zip(found.part_ids, found.scores, found.anomalous, strict=True):
        assert score == max(s for p, s, _ in views if p == part)
        assert label == any(defective for p, _, defective in views if p == part)


def test_a_defect_that_one_view_shows_is_found_by_that_view() -> None:
    labels = np.array([True, False, False, False])
    scores, parts = np.array([9.0, 1.0, 2.0, 3.0]), ["p1", "p1", "p2", "p2"]
    found, anomalous, names = to_objects(scores, labels, parts)
    assert found.tolist() == [9, 3] and anomalous.tolist() == [True, False] and names == ("p1", "p2")
    assert auroc.compute(found, anomalous) == 1


def test_infinite_scores_are_scores() -> None:
    found = to_objects(np.array([-np.inf, np.inf, 0]), np.zeros(3, dtype=bool), ["a", "b", "b"])
    assert found.scores.tolist() == [-np.inf, np.inf]


def test_wrong_views_are_refused() -> None:
    scores, labels = np.zeros(3), np.zeros(3, dtype=bool)
    with pytest.raises(ValueError, match=r"found none at position 1 \(2 in all\)"):
        to_objects(scores, labels, ["a", None, ""])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="found 2 for 3 scores"):
        to_objects(scores, labels, ["a", "b"])
    with pytest.raises(ValueError, match="position 0: nan"):
        to_objects(scores * np.nan, labels, ["a", "b", "c"])
