"""Verdicts of another or a lost workspace, brought into a dataset; and the command that sums them up."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import drawn_masks, tables, verdicts
from curate.errors import Unreadable
from curate.recipe import Source
from curate.steps import ingest, labels, sync
from curate.steps import verdicts as summary
from curate.steps.record import Context
from curate.steps.verdicts_replay import run as replay
from curate.store import dataset
from curate.store import verdicts as stored
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import connect
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate

pytestmark = pytest.mark.mongod
KILLED = """
import os, sys
from pathlib import Path
from curate.steps import sync, verdicts_replay
from curate.steps.record import Context
from curate.workspace import Workspace
workspace = Workspace.at(Path(sys.argv[1]))
told, sync.everything = sync.everything, lambda context: os.kill(os.getpid(), 9)
verdicts_replay.run(Context(workspace, workspace.dataset("weave")), Path(sys.argv[2]))
"""


def taken_in(images: Path, home: Path) -> Context:
    """The images as a dataset of a workspace, in the files and in the database."""
    workspace = Workspace.at(home)
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(images, "mvtec_ad"))
    sync.everything(context)
    return context


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("images")
    return write_mvtec(folder / "images")


@pytest.fixture(scope="module")
def first(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset's folder of a workspace in which two people decided, one of them with a mask."""
    context = taken_in(images, tmp_path_factory.mktemp("first"))
    rows = tables.to_rows(tables.read(context.paths.samples))
    good, other, stain = (
        next(row for row in rows if row["relative_path"].endswith(name))
        for name in ("test/good/000.png", "test/good/001.png", "test/stain/000.png")
    )
    documents = [str(object_id(row["sample_id"], "sample")) for row in (good, other, stain)]
    with connect(context.workspace.home), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATE_HOME", str(context.workspace.home))
        act("weave", "mark_anomalous", documents[:2], by="ada", defect_type="dent", seconds=3.0)
        act("weave", "undo", documents[1:2], by="ada")
        act("weave", "unsure", documents[1:2], by="bob", seconds=0.0)
        act("weave", "accept_normal", documents[:1], by="bob", seconds=1.0)
    mask = np.zeros((good["height"], good["width"]), bool)
    mask[4:9, 6:20] = True
    digest = drawn_masks.store(context.paths.drawn_masks, stain["sample_id"], mask)
    before = {"label": "anomalous", "defect_types": ["stain"], "verdict": None}
    with_mask = {
        "sample_id": stain["sample_id"], "sha256": stain["sha256"], "verdict": "anomalous", "by": "ada",
        "defect_type": None, "at": "2026-01-01T00:00:00+00:00", "before": before, "mask": digest,
    }  # fmt: skip
    verdicts.append_mirror(context.paths.verdicts, [with_mask])
    sync.everything(context)
    return context.paths.root


def held(context: Context) -> dict[str, list[Any]]:
    """What holds of the images on which a verdict stands."""
    wanted = ("label", "verdict", "verdict_mask", "second_opinion")
    rows = tables.to_rows(labels.current(context))
    return {row["relative_path"]: [row[name] for name in wanted] for row in rows if row["verdict"]}


def test_verdicts_of_a_lost_workspace_hold_in_a_new_one_masks_included(
    first: Path, images: Path, tmp_path: Path
) -> None:
    before = Context(Workspace.at(first.parents[1]), Workspace.at(first.parents[1]).dataset("weave"))
    context = taken_in(images, tmp_path)
    assert replay(context, first / "verdicts.jsonl", dry_run=True)["n_taken"] == 6
    assert not context.paths.verdicts.exists() and not context.paths.drawn_masks.exists()
    result = replay(context, first / "verdicts.jsonl")
    assert (result["n_read"], result["n_taken"], result["n_known"], result["n_masks"]) == (6, 6, 0, 1)
    assert result["people"] == {"ada": 4, "bob": 2}
    assert held(context) == held(before)
    assert {row[3] for row in held(context).values()} == {"disputed", "wanted", None}
    again = replay(context, first / "verdicts.jsonl")
    assert (again["n_taken"], again["n_known"], again["n_masks"]) == (0, 6, 0)
    with connect(tmp_path):
        assert len(stored.read_log("weave")) == len(context.paths.verdicts.read_text().splitlines()) == 6
        opinions = dataset.load("weave").count_values("second_opinion")
    assert (opinions["disputed"], opinions["wanted"]) == (1, 1)
    rows = verdicts.read_mirror(first / "verdicts.jsonl")
    altered = tmp_path / "verdicts.jsonl"
    verdicts.append_mirror(altered, [{**rows[0], "by": "eve"}, *rows[1:]])
    content = context.paths.verdicts.read_bytes()
    with pytest.raises(Unreadable, match="by eve"):
        replay(context, altered)
    assert context.paths.verdicts.read_bytes() == content


def test_what_does_not_fit_is_told_and_a_killed_replay_is_completed_by_the_next(
    first: Path, images: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "images"
    shutil.copytree(images, tree)
    (tree / "weave/test/good/001.png").unlink()
    changed = tree / "weave/test/good/000.png"
    changed.write_bytes((tree / "weave/train/good/000.png").read_bytes())
    context = taken_in(tree, tmp_path / "home")
    lonely = tmp_path / "elsewhere" / "verdicts.jsonl"  # without its masks
    lonely.parent.mkdir()
    shutil.copy(first / "verdicts.jsonl", lonely)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "home"), str(lonely)]
    killed = subprocess.run(command, check=False, timeout=120)
    assert (killed.returncode, len(context.paths.verdicts.read_text().splitlines())) == (-signal.SIGKILL, 1)
    result = replay(context, lonely)
    assert (result["n_taken"], result["n_known"], result["n_unknown"], result["n_other_picture"]) == (
        0,
        1,
        3,
        2,
    )
    with connect(tmp_path / "home"):
        assert len(stored.read_log("weave")) == len(context.paths.verdicts.read_text().splitlines()) == 1
    assert result["other_picture"] == ["weave/test/good/000.png"]
    assert (len(result["unknown"]), len(result["missing_masks"])) == (1, 1)
    shutil.copytree(first / "drawn_masks", lonely.with_name("drawn_masks"))
    (mask,) = lonely.with_name("drawn_masks").iterdir()
    whole = mask.read_bytes()
    mask.write_bytes(whole[:-20])
    assert replay(context, lonely)["damaged_masks"] == [mask.name]
    mask.write_bytes(whole)
    assert replay(context, lonely)["n_masks"] == 1
    assert {row[2] is not None for row in held(context).values()} == {True}


def test_the_summary_tells_people_pairs_and_open_questions(first: Path, tmp_path: Path) -> None:
    workspace = Workspace.at(first.parents[1])
    table = tmp_path / "verdicts.parquet"
    result = summary.run(Context(workspace, workspace.dataset("weave")), table)
    assert (result["n_given"], result["n_undone"], result["n_judged"], result["n_elsewhere"]) == (5, 1, 3, 0)
    assert [(p["by"], p["n_given"], p["n_timed"], p["total_s"]) for p in result["people"]] == [
        ("ada", 3, 2, 3.0), ("bob", 2, 2, 1.0),
    ]  # fmt: skip
    assert [row["relative_path"] for row in result["disputed"]] == ["weave/test/good/000.png"]
    assert [row["relative_path"] for row in result["wanted"]] == ["weave/test/good/001.png"]
    rows = tables.to_rows(tables.read(table))
    assert list(rows[0]) == summary.COLUMNS
    taken_back = [row for row in rows if row["relative_path"].endswith("good/001.png")]
    assert [(row["by"], row["verdict"], row["stands"]) for row in taken_back] == [
        ("ada", "anomalous", False), ("ada", "undone", False), ("bob", "unsure", True),
    ]  # fmt: skip


def test_the_command_tells_it_in_words_and_as_json(first: Path, tmp_path: Path) -> None:
    home, out = first.parents[1], tmp_path / "verdicts.csv"
    done = run_curate("verdicts", "weave", "--out", str(out), home=home)
    assert done.returncode == 0, done.stderr
    for text in (
        "weave: 5 decisions by 2 people, 1 taken back; 3 of 18 images looked at",
        "ada and bob decided 1 same image", "disputed: 1 image",
        "weave/test/good/000.png  label: ada anomalous (dent), bob normal; in force: normal",
        "second opinion wanted: 1 image", "weave/test/good/001.png  unsure: bob",
        "-> another person decides these: curate triage weave",
    ):  # fmt: skip
        assert text in done.stdout
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == 7
    replayed = run_curate("verdicts", "weave", "--replay", str(first / "verdicts.jsonl"), "--json", home=home)
    assert json.loads(replayed.stdout)["replay"]["n_known"] == 6
    refused = run_curate("verdicts", "weave", "--out", str(out), home=home)
    assert (refused.returncode, "--overwrite" in refused.stderr) == (1, True)
    assert run_curate("verdicts", "weave", "--dry-run", home=home).returncode == 2
