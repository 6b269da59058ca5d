"""Decisions about thresholds stand until a person replaces them: kept once, with who and why."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.errors import AlreadyExists, Unreadable
from curate.files import read_json
from curate.steps import threshold, threshold_record
from curate.steps.record import Context, digest
from curate.threshold_params import Settings
from tests.helpers.scored import decision_files, score_with_maps, undecided


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return undecided(tmp_path)


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
    assert len(decision_files(context)) == 1
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


def test_a_dry_run_stores_nothing_even_where_a_decision_stands(context: Context) -> None:
    threshold.run(context, "padim", "max_normal")
    before = digest(context.paths.threshold), decision_files(context)
    result = threshold.run(context, "padim", "youden", dry_run=True)
    assert "id" not in result and not result["fresh"]
    assert (digest(context.paths.threshold), decision_files(context)) == before


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
    (name,) = decision_files(context)
    (context.paths.decisions / name).write_text('{"rule": "mine"}')
    with pytest.raises(Unreadable, match=name):
        threshold.run(context, "padim", "max_normal")


@pytest.mark.parametrize("content", ["", "junk", "[]", None])
def test_damaged_and_altered_decisions_are_named_with_what_to_do(
    context: Context, content: str | None
) -> None:
    threshold.run(context, "padim", "max_normal")
    (name,) = decision_files(context)
    path = context.paths.decisions / name
    path.write_text(path.read_text().replace('"why": ""', '"why": "x"') if content is None else content)
    with pytest.raises(Unreadable, match=rf"{name}[\s\S]*Restore them from a copy"):
        threshold_record.history_of(context)


def test_a_copy_of_a_decision_is_not_a_second_one(context: Context) -> None:
    made = threshold.run(context, "padim", "max_normal")
    (name,) = decision_files(context)
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
