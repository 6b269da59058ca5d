"""Which normal images are shown beside one: nearest, of other parts, not of the test split, never itself."""

from collections.abc import Sequence

import numpy as np
import pytest

from curate import nearest_normal
from curate.nearest_normal import Facts, Neighbour, nearest
from curate.pair_template import template_of
from curate.score_standing import against_threshold, among_normals


def found(facts: dict[str, Facts], values: Sequence[float], k: int = 2) -> list[tuple[str, float]]:
    """Neighbours of the first of images a, b, c, ... that lie at `values` on a line; "a" is of part P0."""
    names = [chr(ord("a") + index) for index in range(len(values))]
    vectors = np.array(values, dtype=np.float32)[:, None]

    def facts_of(asked: Sequence[str]) -> dict[str, Facts]:
        return {name: facts[name] for name in asked if name in facts}

    return [(each.sample_id, each.distance) for each in nearest(0, names, vectors, facts_of, "P0", k)]


def test_the_nearest_normal_images_come_first_with_their_distance() -> None:
    facts = {name: Facts(name != "b", "train", f"P{name}") for name in "abcd"}
    assert found(facts, [0, 1, -2, 3]) == [("c", 2.0), ("d", 3.0)]


def test_learned_from_comes_before_the_test_split_and_the_same_part_last() -> None:
    facts = {
        "b": Facts(True, "train", "P0"),
        "c": Facts(True, "test", "P1"),
        "d": Facts(True, "calibration", "P2"),
        "e": Facts(True, None, "P3"),
    }
    assert [name for name, _ in found(facts, [0, 1, 2, 3, 4], k=9)] == ["d", "e", "c", "b"]
    assert [name for name, _ in found(facts, [0, 1, 2, 3, 4], k=1)] == ["d"]


def test_copies_of_the_picture_and_images_that_are_gone_are_passed_over() -> None:
    facts = {"b": Facts(True, "train", "P1"), "d": Facts(True, "train", "P2")}
    assert found(facts, [5, 5, 6, 7]) == [("d", 2.0)]


def test_labels_are_asked_for_in_the_order_of_distance_and_only_as_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest_normal, "WINDOW", 2)
    asked: list[list[str]] = []
    names = [f"{index:02d}" for index in range(20)]

    def facts_of(ids: Sequence[str]) -> dict[str, Facts]:
        asked.append(list(ids))
        return {name: Facts(int(name) >= 3, "train", name) for name in ids}

    vectors = np.arange(20, dtype=np.float32)[:, None]
    assert nearest(0, names, vectors, facts_of, "00", 2) == [Neighbour("03", 3.0), Neighbour("04", 4.0)]
    assert asked == [["01", "02"], ["03", "04", "05", "06"]]


def test_far_away_images_are_asked_for_only_while_too_few_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_normal, "WINDOW", 1)
    monkeypatch.setattr(nearest_normal, "ENOUGH", 3)
    facts = {name: Facts(True, "test", f"P{name}") for name in "bcd"} | {"h": Facts(True, "train", "Ph")}
    values = [float(index) for index in range(8)]
    assert [name for name, _ in found(facts, values, k=3)] == ["b", "c", "d"]
    assert [name for name, _ in found(facts, values, k=4)] == ["h", "b", "c", "d"]


def test_no_normal_image_gives_none() -> None:
    assert found({"b": Facts(False, "train", "P1")}, [0, 1]) == []
    assert found({}, [0]) == []


@pytest.mark.parametrize(
    ("path", "others", "expected"),
    [
        ("g/0_test.jpg", ["g/1_temp.jpg", "g/0_temp.jpg"], "g/0_temp.jpg"),
        ("g/0.png", ["g/0_golden.png"], "g/0_golden.png"),
        ("g/0-TEST.JPG", ["g/0-Template.JPG"], "g/0-Template.JPG"),
        ("g/0_test.jpg", ["h/0_temp.jpg"], None),
        ("g/0_temp.jpg", ["g/0_test.jpg"], None),
        ("g/a.b_test.jpg", ["g/aXb_temp.jpg"], None),
        ("g/view1.png", ["g/view2.png"], None),
    ],
)
def test_a_template_is_told_by_its_name(path: str, others: list[str], expected: str | None) -> None:
    assert template_of(path, others) == expected


def test_a_score_is_told_against_the_threshold_in_force() -> None:
    assert against_threshold(0.5, 0.5) == "at or above the threshold 0.5: anomalous"
    assert against_threshold(0.49, 0.5) == "below the threshold 0.5: normal"
    assert against_threshold(0.9, None) == "no threshold is in force for it"
    assert against_threshold(0.9, None, 0.3) == "from 0.3 on: to review"
    assert against_threshold(0.2, 0.5, 0.3) == "below the threshold 0.5: normal"
    assert against_threshold(0.6, 0.5, 0.3) == "at or above the threshold 0.5: anomalous"


def test_a_score_is_told_among_normal_images() -> None:
    assert among_normals(0, 0, 0) == "no normal calibration images with a score to compare with"
    assert among_normals(3, 2, 9) == "higher than 3 of 9 normal calibration images, equal to 2"
    assert among_normals(0, 0, 4) == "higher than none of 4 normal calibration images"
    assert among_normals(1, 0, 1) == "higher than the only one of the normal calibration images"
    assert among_normals(0, 1, 1) == "equal to the only one of the normal calibration images"
