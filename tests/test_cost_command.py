"""curate cost on a toy dataset: fresh processes, one failure among others, going on, whose accuracy."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate import cost_measure, schema
from curate.cost_images import choose
from curate.cost_process import NotMeasured
from curate.errors import Missing
from curate.recipe import Source
from curate.score_identity import identity
from curate.steps import cost, ingest, score, split
from curate.steps.cost_accuracy import accuracy
from curate.steps.joined import with_split
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate
from tests.test_scoring import TINY

TOO_MANY = {**TINY, "n_channels": 500}  # more channels than the tiny backbone has
WANTED: dict[str, dict[str, Any]] = {"npad": TOO_MANY, "padim": TINY}
PLAN = cost.Plan(n_timed=3, measure_growth=True)


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    folder = tmp_path_factory.mktemp("cost")
    workspace = Workspace.at(folder / "home")
    context = Context(workspace, workspace.dataset("toy"))
    ingest.run(context, Source(write_mvtec(folder / "tree", n_train=8, n_good=3, n_per_defect=2)))
    split.run(context)
    return context


@pytest.fixture(scope="module")
def measured(context) -> dict[str, Any]:
    return cost.run(context, WANTED, 0, PLAN)


def test_a_detector_that_fails_is_reported_and_the_others_go_on(measured):
    failed, done = measured["detectors"]
    assert failed["name"] == "npad"
    assert failed["error"].startswith("ValueError: ") and "n_channels" in failed["error"]
    assert failed.get("fit_s") is None
    assert done["name"] == "padim" and not done.get("error")


def test_everything_is_measured_and_keeps_the_contract(measured):
    (_, row) = measured["detectors"]
    schema.check_rows([row], "cost")
    lacking = [key for key in schema.load("cost")["properties"] if row.get(key) is None]
    assert set(lacking) == {"error", "note", "fit_gpu_peak_bytes", "gpu_peak_bytes", "added"}
    assert row["n_timed"] == 3
    assert row["latency_ms_p50"] <= row["latency_ms_p95"]
    assert row["fit_peak_rss_bytes"] > row["fit_base_rss_bytes"]
    assert row["n_parameters"] > 0 and row["input_hw"] == [48, 64]
    assert measured["n_normals"] == row["n_normals"]
    json.dumps(measured)


def test_fit_and_predictions_ran_in_processes_of_their_own(measured):
    import os

    pids = measured["detectors"][1]["pids"]
    assert len({os.getpid(), pids["fit"], pids["predict"]}) == 3


def test_growth_was_measured_by_smaller_fits(measured):
    found = measured["detectors"][1]["growth"]
    assert found["from"] == "measured"
    assert found["half_side"]["state_bytes"] < found["whole"]["state_bytes"]
    assert found["half_images"]["fit_bytes"] > 0


def test_no_fitted_state_stays_behind(context, measured):
    left = sorted(path.name for path in (context.paths.root / "cost").rglob("*"))
    assert len(left) == 1 and left[0].startswith("padim-")


def test_a_second_run_measures_only_what_failed_before(context, measured, monkeypatch):
    asked = []

    def counting(task: str, request: dict[str, Any], folder: Path) -> dict[str, Any]:
        asked.append((task, request["detector"]))
        raise NotMeasured("once more")

    monkeypatch.setattr(cost_measure, "ask", counting)
    again = cost.run(context, WANTED, 0, PLAN)
    assert asked == [("fit", "npad")]
    first, second = measured["detectors"][1], again["detectors"][1]
    assert (first["fresh"], second["fresh"]) == (True, False)
    assert {**first, "fresh": None} == {**second, "fresh": None}


def test_other_settings_images_or_runs_are_measured_anew(context, measured, monkeypatch):
    asked = []

    def counting(task: str, request: dict[str, Any], folder: Path) -> dict[str, Any]:
        asked.append(task)
        raise NotMeasured("not now")

    monkeypatch.setattr(cost_measure, "ask", counting)
    for config, seed, plan in (
        ({**TINY, "n_channels": 16}, 0, PLAN),
        (TINY, 1, PLAN),
        (TINY, 0, cost.Plan(n_timed=4, measure_growth=True)),
        (TINY, 0, cost.Plan(n_images=4, n_timed=3, measure_growth=True)),
        (TINY, 0, cost.Plan(n_timed=3, measure_growth=True, again=True)),
    ):
        cost.run(context, {"padim": config}, seed, plan)
    assert asked == ["fit"] * 5


def test_a_measurement_that_is_broken_on_disk_is_made_anew(context, measured, monkeypatch):
    (kept,) = (context.paths.root / "cost").glob("padim-*.json")
    whole = kept.read_bytes()
    kept.write_bytes(b"{}")
    monkeypatch.setattr(cost_measure, "ask", lambda *_: (_ for _ in ()).throw(NotMeasured("anew")))
    try:
        assert cost.run(context, {"padim": TINY}, 0, PLAN)["detectors"][0]["error"] == "anew"
    finally:
        kept.write_bytes(whole)


def test_wrong_settings_are_refused_before_anything_is_measured(context, monkeypatch):
    monkeypatch.setattr(cost_measure, "ask", lambda *_: pytest.fail("measured"))
    with pytest.raises(ValueError, match='Unknown detector "padin"'):
        cost.run(context, {"padim": TINY, "padin": {}})
    with pytest.raises(ValueError, match='npad: Unknown option "windw"'):
        cost.run(context, {"padim": TINY, "npad": {"windw": 3}})


def test_a_dataset_without_a_split_is_refused(tmp_path):
    workspace = Workspace.at(tmp_path / "home")
    bare = Context(workspace, workspace.dataset("toy"))
    ingest.run(bare, Source(write_mvtec(tmp_path / "tree", n_train=4)))
    with pytest.raises(Missing, match="curate split toy"):
        cost.run(bare, {"padim": TINY})


def test_accuracy_is_of_the_measurement_until_curate_score_scored_with_the_same_fit(context, measured):
    assert measured["detectors"][1]["auroc_from"] == "this measurement"
    config = {"seed": 0, **TINY}
    made_by = identity("padim", config)
    score.run(context, "padim", TINY)
    samples = with_split(context)
    images = choose(samples, "toy", None, None, 0)
    upside_down = dict.fromkeys(images.shown["sample_id"], 0.0)

    reused = accuracy(context, "padim", made_by, images, upside_down)
    assert reused["auroc_from"] == "curate score"
    assert reused["image_auroc"] == measured["detectors"][1]["image_auroc"] == 1.0

    other = accuracy(context, "padim", identity("padim", {**config, "seed": 1}), images, upside_down)
    assert (other["auroc_from"], other["image_auroc"]) == ("this measurement", 0.5)
    fewer = choose(samples, "toy", None, 4, 0)
    assert accuracy(context, "padim", made_by, fewer, upside_down)["auroc_from"] == "this measurement"


def test_command_measures_tells_and_draws(context, measured, tmp_path):
    added = tmp_path / "cpp.json"
    added.write_text('{"name": "cpp", "latency_ms_p50": 2.5, "image_auroc": 0.9}')
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    arguments = ["cost", "toy", *settings, "--runs", "3", "--measure-growth", "--add", str(added)]
    done = run_curate(*arguments, "--json", "--out", str(tmp_path / "x.png"), home=context.workspace.home)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert [row["name"] for row in content["detectors"]] == ["padim", "cpp"]
    assert content["detectors"][0]["fresh"] is False  # kept from the run above
    assert Path(content["picture"]).read_bytes().startswith(b"\x89PNG")
    refused = run_curate(*arguments, "--out", str(tmp_path / "x.png"), home=context.workspace.home)
    assert refused.returncode == 1
    assert "Give --overwrite" in refused.stderr


def test_command_forecasts_without_measuring(context):
    options = ["--detector", "padim", "--forecast-images", "5000", "--forecast-side", "100000"]
    done = run_curate("cost", "toy", *options, home=context.workspace.home)
    assert done.returncode == 0, done.stderr
    assert "toy, weave: 5000 images" in done.stdout
    assert "padim: DOES NOT FIT" in done.stdout
    assert "Set image_side to" in done.stdout
