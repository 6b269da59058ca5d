"""Thresholds are decided on calibration only, kept with who and why, and replaced only when asked to."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import tables
from curate.errors import AlreadyExists, CurateError, Unreadable
from curate.files import read_json
from curate.recipe import Source
from curate.schema import faults, load
from curate.steps import ingest, picture, split, threshold, threshold_picture, threshold_record
from curate.steps.joined import with_scores
from curate.steps.record import Context, digest
from curate.steps.threshold_choice import choose
from curate.threshold_decisions import RECIPE
from curate.threshold_params import Settings, choice
from curate.workspace import Workspace
from tests.helpers.scored import score_with_maps
from tests.helpers.tiny import write_mvtec


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A scored dataset: half of the images of the delivered test part are for calibration."""
    root = write_mvtec(tmp_path / "images", n_train=4, n_good=24, n_per_defect=10)
    workspace = Workspace.at(tmp_path / "home")
    made = Context(workspace, workspace.dataset("toy"))
    ingest.run(made, Source(root, "mvtec_ad"))
    split.run(made)
    score_with_maps(made)
    yield made


def files(context: Context) -> list[str]:
    return sorted(path.name for path in context.paths.decisions.glob("*"))


def test_a_decision_keeps_its_contract_and_is_what_threshold_json_holds(context: Context) -> None:
    result = threshold.run(context, "padim", "max_normal", by="anna", why="first")
    made = {key: value for key, value in result.items() if key in load("threshold_decision")["properties"]}
    assert faults([made], "threshold_decision") == []
    assert set(result) - set(made) == {"fresh", "note"}
    assert read_json(context.paths.threshold) == made
    (name,) = files(context)
    assert read_json(context.paths.decisions / name) == made
    assert (made["by"], made["why"], made["origin"], made["replaces"]) == ("anna", "first", "person", None)
    assert made["data"]["predictions"] == digest(context.paths.detector("padim") / "predictions.parquet")


def test_the_same_choice_on_the_same_data_is_decided_once(context: Context) -> None:
    first = threshold.run(context, "padim", "max_normal")
    before = {path: path.stat().st_mtime_ns for path in context.paths.root.rglob("*.json")}
    again = threshold.run(context, "padim", "max_normal", by="somebody else")
    assert (first["fresh"], again["fresh"], again["id"]) == (True, False, first["id"])
    assert {path: path.stat().st_mtime_ns for path in context.paths.root.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("rule", "settings", "changed"),
    [
        ("youden", Settings(), "rule: max_normal, now youden"),
        ("max_normal", Settings(defect_rate=0.01), "defect rate: none, now 0.01"),
        ("max_normal", Settings(group="category"), "group: part_id, now category"),
    ],
)
def test_another_choice_is_refused_and_the_refusal_says_what_stands(
    context: Context, rule: str, settings: Settings, changed: str
) -> None:
    stands = threshold.run(context, "padim", "max_normal", by="anna", why="agreed with the customer")
    with pytest.raises(AlreadyExists) as caught:
        threshold.run(context, "padim", rule, settings)
    told = str(caught.value)
    for part in (stands["id"], "by anna", "agreed with the customer", changed, "--replace --why"):
        assert part in told
    assert len(files(context)) == 1
    assert read_json(context.paths.threshold)["id"] == stands["id"]


def test_replacing_needs_a_reason_and_keeps_the_history(context: Context) -> None:
    first = threshold.run(context, "padim", "max_normal", by="anna")
    with pytest.raises(ValueError, match="--replace needs a reason"):
        threshold.run(context, "padim", "youden", replace=True, why=" ")
    second = threshold.run(context, "padim", "youden", by="bert", replace=True, why="too many misses")
    assert second["replaces"] == first["id"]
    history = threshold_record.history_of(context)
    assert [(row["id"], row["by"], row["stands"]) for row in history] == [
        (first["id"], "anna", False),
        (second["id"], "bert", True),
    ]
    assert history[0]["at"] < history[1]["at"]
    assert read_json(context.paths.threshold)["id"] == second["id"]


def test_words_of_a_person_are_kept_on_one_line_without_control_characters(context: Context) -> None:
    made = threshold.run(context, "padim", "max_normal", by="an\x1b[31mna\nb", why=" <b>fe\nw\t\x07 ")
    assert (made["by"], made["why"]) == ("an [31mna b", "<b>fe w")


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
    assert files(context) == []


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


def test_a_dry_run_stores_nothing_even_where_a_decision_stands(context: Context) -> None:
    threshold.run(context, "padim", "max_normal")
    before = digest(context.paths.threshold), files(context)
    result = threshold.run(context, "padim", "youden", dry_run=True)
    assert "id" not in result and not result["fresh"]
    assert (digest(context.paths.threshold), files(context)) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from curate.files import Path as FilesPath
from curate.steps import threshold
from curate.steps.record import Context
from curate.workspace import Workspace

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before":
    FilesPath.replace = kill  # the file is written, but does not have its name yet
else:
    threshold.show = kill
workspace = Workspace.at(Path(sys.argv[1]))
context = Context(workspace, workspace.dataset("toy"))
threshold.run(context, "padim", "youden", replace=True, why="misses", by="anna")
"""


@pytest.mark.parametrize("instant", ["before", "after"])
def test_a_killed_command_has_decided_once_or_not_at_all(context: Context, instant: str) -> None:
    first = threshold.run(context, "padim", "max_normal")
    command = [sys.executable, "-c", KILLED, str(context.workspace.home), instant]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_json(context.paths.threshold)["id"] == first["id"]
    if instant == "before":
        assert [row["id"] for row in threshold_record.history_of(context)] == [first["id"]]
        assert threshold.run(context, "padim", "youden", replace=True, why="misses", by="anna")["fresh"]
    again = threshold.run(context, "padim", "youden")
    assert (again["fresh"], again["why"], again["replaces"]) == (False, "misses", first["id"])
    assert read_json(context.paths.threshold)["id"] == again["id"]
    assert len(threshold_record.history_of(context)) == 2


def test_settling_shows_what_a_killed_command_decided(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("curate.steps.threshold.show", lambda *_: None)
        decided = threshold.run(context, "padim", "max_normal")
    assert not context.paths.threshold.exists()
    threshold_record.settle(context)
    assert read_json(context.paths.threshold)["id"] == decided["id"]


def test_a_damaged_decision_is_named(context: Context) -> None:
    threshold.run(context, "padim", "max_normal")
    (name,) = files(context)
    (context.paths.decisions / name).write_text('{"rule": "mine"}')
    with pytest.raises(Unreadable, match=name):
        threshold.run(context, "padim", "max_normal")


@pytest.mark.parametrize("content", ["", "junk", "[]", None])
def test_damaged_and_altered_decisions_are_named_with_what_to_do(
    context: Context, content: str | None
) -> None:
    threshold.run(context, "padim", "max_normal")
    (name,) = files(context)
    path = context.paths.decisions / name
    path.write_text(path.read_text().replace('"why": ""', '"why": "x"') if content is None else content)
    with pytest.raises(Unreadable, match=rf"{name}[\s\S]*Restore them from a copy"):
        threshold_record.history_of(context)


def test_a_copy_of_a_decision_is_not_a_second_one(context: Context) -> None:
    made = threshold.run(context, "padim", "max_normal")
    (name,) = files(context)
    (context.paths.decisions / "copy.json").write_bytes((context.paths.decisions / name).read_bytes())
    assert [row["id"] for row in threshold_record.history_of(context)] == [made["id"]]


def test_a_decision_of_other_scores_has_lapsed_and_any_other_takes_its_place(context: Context) -> None:
    first = threshold.run(context, "padim", "max_normal", by="anna")
    score_with_maps(context, seed=1)
    second = threshold.run(context, "padim", "youden", by="bert")
    assert (second["replaces"], second["why"]) == (first["id"], f"{first['id']} was made of other scores")


def test_a_build_replaces_its_own_decisions_and_says_what_changed(context: Context) -> None:
    first = threshold.by_recipe(context, "padim", "max_normal")
    assert (first["origin"], first["fresh"]) == ("recipe", True)
    assert not threshold.by_recipe(context, "padim", "max_normal")["fresh"]
    second = threshold.by_recipe(context, "padim", "youden")
    assert (second["replaces"], second["why"]) == (first["id"], "rule: max_normal, now youden")
    score_with_maps(context, seed=1)
    third = threshold.by_recipe(context, "padim", "youden")
    assert (third["replaces"], third["why"]) == (second["id"], "the scores changed")
    assert [row["stands"] for row in threshold_record.history_of(context)] == [False, False, True]


def test_a_build_keeps_what_a_person_decided_and_says_so(context: Context) -> None:
    said: list[str] = []
    told = Context(context.workspace, context.paths, said.append)
    threshold.by_recipe(context, "padim", "max_normal")
    mine = threshold.run(context, "padim", "youden", by="anna", replace=True, why="agreed")
    kept = threshold.by_recipe(told, "padim", "max_normal")
    assert (kept["id"], kept["fresh"]) == (mine["id"], False)
    assert "by anna" in said[-1] and "--replace --why" in said[-1]
    score_with_maps(context, seed=1)
    threshold.by_recipe(told, "padim", "max_normal")
    assert "made of other scores" in said[-1]
    assert "curate threshold toy --detector padim --rule youden" in said[-1]
    assert threshold_record.history_of(context)[-1]["id"] == mine["id"]


def test_a_build_does_not_hide_a_persons_decision_about_another_detector(context: Context) -> None:
    score_with_maps(context, detector="npad", seed=3)
    mine = threshold.run(context, "npad", "max_normal", by="anna")
    assert threshold.by_recipe(context, "padim", "max_normal")["fresh"]
    assert read_json(context.paths.threshold)["id"] == mine["id"]


def test_a_recipe_that_names_a_detector_again_shows_it_again(context: Context) -> None:
    score_with_maps(context, detector="npad", seed=3)
    for name in ("padim", "npad", "padim"):
        threshold.by_recipe(context, name, "max_normal")
        assert read_json(context.paths.threshold)["detector"] == name
    assert not threshold.by_recipe(context, "padim", "max_normal")["fresh"]


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
