"""Thresholds are decided on calibration only, one level at a time, from parameters that are checked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import tables
from curate.errors import AlreadyExists, CurateError
from curate.files import read_json
from curate.schema import faults, load
from curate.steps import picture, split, threshold, threshold_picture
from curate.steps.joined import with_scores
from curate.steps.record import Context, digest
from curate.steps.threshold_choice import choose
from curate.threshold_decisions import RECIPE
from curate.threshold_params import Settings, choice
from tests.helpers.scored import decision_files, score_with_maps, undecided


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return undecided(tmp_path)


def test_a_decision_keeps_its_contract_and_is_what_threshold_json_holds(context: Context) -> None:
    result = threshold.run(context, "padim", "max_normal", by="anna", why="first")
    made = {key: value for key, value in result.items() if key in load("threshold_decision")["properties"]}
    assert faults([made], "threshold_decision") == []
    assert set(result) - set(made) == {"fresh", "note"}
    assert read_json(context.paths.threshold) == made
    (name,) = decision_files(context)
    assert read_json(context.paths.decisions / name) == made
    assert (made["by"], made["why"], made["origin"], made["replaces"]) == ("anna", "first", "person", None)
    assert made["data"]["predictions"] == digest(context.paths.detector("padim") / "predictions.parquet")


def test_levels_are_decided_apart_and_threshold_json_is_about_images(context: Context) -> None:
    image = threshold.run(context, "padim", "max_normal")
    pixel = threshold.run(context, "padim", "f1_max", Settings(level="pixel"))
    assert pixel["fresh"]
    assert read_json(context.paths.threshold)["id"] == image["id"]
    row = pixel["by_category"]["weave"]
    assert row["interval"]["low"] <= row["threshold"] <= row["interval"]["high"]
    images = image["by_category"]["weave"]["calibration"]
    n_images, n_pixels = (part["n_normal"] + part["n_anomalous"] for part in (images, row["calibration"]))
    assert n_pixels == n_images * 48 * 64


def test_the_threshold_is_the_same_whatever_the_test_part_holds(context: Context) -> None:
    first = threshold.run(context, "padim", "f1_max", Settings(level="image"), dry_run=True)
    target = context.paths.detector("padim") / "predictions.parquet"
    rows, parts = (
        tables.read(target),
        tables.read(context.paths.split).set_index("sample_id")["assigned_split"],
    )
    tested = rows["sample_id"].map(parts) == "test"
    assert tested.any()
    rows.loc[tested, "anomaly_score"] = np.random.default_rng(1).normal(1000, 50, int(tested.sum()))
    tables.write(rows, target)
    again = threshold.run(context, "padim", "f1_max", Settings(level="image"), dry_run=True)
    of = [each["by_category"]["weave"] for each in (first, again)]
    assert of[0]["threshold"] == of[1]["threshold"]
    assert of[0]["interval"] == of[1]["interval"]
    assert of[0]["test"] != of[1]["test"]


def test_an_alpha_that_the_data_do_not_support_says_how_many_images_it_needs(context: Context) -> None:
    asked = Settings({"alpha": 0.001})
    needed = "nothing is decided(.|\n)*alpha = 0.001 needs at least 999 normal images"
    with pytest.raises(CurateError, match=needed):
        threshold.run(context, "padim", "conformal", asked)
    assert not list(context.paths.decisions.glob("*"))
    result = threshold.run(context, "padim", "conformal", asked, origin=RECIPE)
    row = result["by_category"]["weave"]
    assert (row["threshold"], row["supported"], row["expected"]) == (None, False, {})
    n_normal = row["calibration"]["n_normal"]
    assert f"needs at least 999 normal images in calibration; there are {n_normal}" in row["reason"]
    text = context.paths.threshold.read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert picture.run(context)["path"]  # nothing is drawn of it, and nothing breaks
    assert threshold_picture.run(context, result) == context.paths.threshold_picture


def test_no_calibration_image_is_explained_and_the_test_part_is_not_taken(context: Context) -> None:
    split.run(context, policy="delivered", fractions=split_without_calibration())
    score_with_maps(context)
    with pytest.raises(CurateError, match=r"category weave: no labelled image (.|\n)*test part is not taken"):
        threshold.run(context, "padim", "max_normal")
    assert decision_files(context) == []


def split_without_calibration() -> Any:
    from curate.splits import Fractions

    return Fractions(delivered_calibration=0.0)


def test_wrong_parameters_name_the_known_ones(context: Context) -> None:
    with pytest.raises(ValueError, match=r'"alfa" of the rule "conformal"\. Did you mean "alpha".*per'):
        threshold.run(context, "padim", "conformal", Settings({"alfa": 0.1}))
    with pytest.raises(ValueError, match=r'"conformal" is for the level image or region, not for pixel'):
        threshold.run(context, "padim", "conformal", Settings(level="pixel"))
    with pytest.raises(ValueError, match=r'Unknown column "plot".* part_id'):
        threshold.run(context, "padim", "max_normal", Settings(group="plot"))
    with pytest.raises(CurateError, match=r"images have no lot"):
        threshold.run(context, "padim", "max_normal", Settings(group="lot"))
    with pytest.raises(ValueError, match=r"defect rate in \(0, 1\); found 3"):
        threshold.run(context, "padim", "max_normal", Settings(defect_rate=3))


def test_one_of_two_parts_of_a_group_in_the_test_is_told(context: Context) -> None:
    row = threshold.run(context, "padim", "max_normal", Settings(group="category"))["by_category"]["weave"]
    assert any("images of the same category (weave)" in text for text in row["warnings"])


def manual(value: object) -> Settings:
    return Settings({"value": value})


def test_a_person_states_a_value_and_the_test_part_tells_what_it_gives(context: Context) -> None:
    made = threshold.run(context, "padim", "manual", manual(0.5), why="the customer's limit", by="anna")
    (category,) = made["by_category"]
    row = made["by_category"][category]
    assert (row["threshold"], row["interval"]["low"], row["supported"]) == (0.5, None, True)
    assert row["calibration"]["n_false_alarms"] is not None
    assert row["test"]["n_missed"] is not None
    with pytest.raises(AlreadyExists, match=r"--set value=0\.6"):
        threshold.run(context, "padim", "manual", manual(0.6))


def test_categories_that_a_person_says_nothing_of_keep_what_was_decided(context: Context) -> None:
    table = tables.read(context.paths.samples)
    table.loc[table.index % 2 == 0, "category"] = "other"
    first, second = sorted(table["category"].unique())
    merged = with_scores(context, "padim")
    merged["category"] = table.set_index("sample_id")["category"].loc[merged["sample_id"]].to_numpy()
    whole = choose(context, merged, choice("padim", "max_normal", Settings()))[0]
    stands = {"id": "0123456789abcdef", "by_category": whole}
    asked = choice("padim", "manual", manual({second: 0.25}))
    made, _ = choose(context, merged, asked, stands)
    assert made[second]["threshold"] == 0.25
    assert made[first] == {**whole[first], "facts": {**whole[first]["facts"], "kept_from": stands["id"]}}
    with pytest.raises(CurateError, match=f"category {first}: no value is stated for it"):
        choose(context, merged, asked)
    with pytest.raises(ValueError, match=f"No category third in this dataset; it has: {first}, {second}"):
        choose(context, merged, choice("padim", "manual", manual({"third": 1})), stands)
