"""Wrong verdicts "normal" on images that thresholds of proposals come from: they are told, and stay."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import curate.steps.propose as step
from curate.doubtful_normals import find
from curate.steps.joined import with_scores
from curate.steps.record import Context
from curate.tables import to_rows
from tests.helpers.drawn import decide
from tests.helpers.evaluated import dataset, scored

NORMALS = [1.0, 1.3, 0.8, 1.1, 0.9, 1.2, 1.0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return scored(dataset(tmp_path_factory.mktemp("doubts"), ("weave",)), "keen")


@pytest.fixture
def said(made: Context) -> Iterator[tuple[Context, list[str]]]:
    """The dataset without verdicts and proposals, and what is said."""
    made.paths.verdicts.unlink(missing_ok=True)
    for path in (*made.paths.detector("keen").glob("proposals.*"), made.paths.steps / "propose-keen.json"):
        path.unlink(missing_ok=True)
    texts: list[str] = []
    yield replace(made, say=texts.append), texts


def calibration(context: Context, label: str) -> list[dict[str, Any]]:
    """Calibration images of a label, highest score first."""
    rows = to_rows(with_scores(context, "keen"))
    own = [row for row in rows if (row["assigned_split"], row["label"]) == ("calibration", label)]
    return sorted(own, key=lambda row: -float(row["anomaly_score"]))


def test_a_wrong_verdict_that_doubles_the_threshold_is_named_with_both_thresholds(
    said: tuple[Context, list[str]],
) -> None:
    context, texts = said
    right = step.run(context, "keen")
    assert (right["doubtful_normals"], texts) == ({}, [])
    wrong, normals = calibration(context, "anomalous")[0], calibration(context, "normal")
    decide(context, wrong["relative_path"], "normal", by="ben")
    made = step.run(context, "keen")
    with_it, without = made["thresholds"]["weave"]["threshold"], right["thresholds"]["weave"]["threshold"]
    assert with_it > 2 * without  # it counts as before: nothing is left out
    about = made["doubtful_normals"]["weave"]
    assert [(row["relative_path"], row["by"]) for row in about["images"]] == [(wrong["relative_path"], "ben")]
    assert (about["n_normal"], about["n_by_verdict"]) == (len(normals) + 1, 1)
    assert about["threshold_without"] == pytest.approx(without, rel=1e-12)
    assert about["image_threshold_without"] == pytest.approx(normals[0]["anomaly_score"], rel=1e-6)
    (text,) = texts
    for part in (
        f"1 of the {len(normals) + 1} normal calibration images of weave is normal by a verdict only",
        f"{wrong['relative_path']}: score {wrong['anomaly_score']:.4g}, by ben",
        f"threshold is {with_it:.4g} with, {without:.4g} without",
        f"from the score {wrong['anomaly_score']:.4g} on with, {normals[0]['anomaly_score']:.4g} without",
        "more than 5 robust standard deviations",
        f"the {len(normals)} that the source calls normal",
        "take a wrong verdict back",
    ):
        assert part in text
    again = step.run(context, "keen")
    assert again == {**made, "fresh": False} and texts == [text, text]


def test_right_verdicts_are_not_doubted(said: tuple[Context, list[str]]) -> None:
    context, texts = said
    for second, row in enumerate(calibration(context, "normal")):  # the source says the same
        decide(context, row["relative_path"], "normal", second)
    assert (step.run(context, "keen")["doubtful_normals"], texts) == ({}, [])


def test_with_a_stated_threshold_only_the_choice_of_images_is_doubtful(
    said: tuple[Context, list[str]],
) -> None:
    context, texts = said
    decide(context, calibration(context, "anomalous")[0]["relative_path"], "normal")
    about = step.run(context, "keen", step.Asked(threshold=3.0))["doubtful_normals"]["weave"]
    assert about["threshold_without"] is None and about["image_threshold_without"] is not None
    assert "map's threshold" not in texts[0] and "Images are proposed for from the score" in texts[0]


def test_far_above_means_the_highest_of_the_source_and_five_robust_deviations() -> None:
    scale = 1.4826 * float(np.median(np.abs(np.array(NORMALS) - 1.0)))
    just, beyond = 1.0 + 4.99 * scale, 1.0 + 5.01 * scale
    assert find([just, beyond, 9.0, float("nan")], NORMALS).places == (2, 1)
    assert find([9.0], [*NORMALS, 9.5]).places == ()  # the source calls one normal that scores higher
    assert "0.1483 each" in find([9.0], NORMALS).rule


def test_without_enough_images_that_the_source_calls_normal_all_normal_ones_are_the_measure() -> None:
    assert find([*NORMALS, 9.0], []).places == (len(NORMALS),)
    assert "all 8 of them" in find([*NORMALS, 9.0], []).rule
    assert find([*NORMALS, 9.0], [9.5]).places == ()
    assert find([9.0], [1.0, 1.1]).places == () == find([9.0], [1.0] * 9).places == find([], []).places


def test_where_most_scores_are_equal_the_mean_deviation_is_the_measure() -> None:
    assert find([9.0], [*[1.0] * 6, 1.2]).places == (0,)
