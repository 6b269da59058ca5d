"""Scores are made again when what made them changed, and old maps stay until nothing shows them."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import detectors
from curate import score_journal, scoring, tables
from curate.errors import DataFault, Missing
from curate.files import read_json
from curate.recipe import Source
from curate.scoring import fit_detector, score_table
from curate.steps import ingest, score, split
from curate.steps.record import Context
from curate.workspace import Workspace
from detectors.backbones.nets import BACKBONES
from detectors.base import Prediction
from detectors.padim import Padim
from tests.helpers.tiny import write_mvtec

TINY: dict[str, Any] = {
    "backbone": "tiny", "weights": "random", "n_channels": 20, "image_hw": (48, 64), "batch_size": 4,
}  # fmt: skip
TORCH = {**TINY, "runtime": "torch"}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    ingest.run(context, Source(write_mvtec(tmp_path / "images", n_train=6, n_good=3, n_per_defect=2)))
    split.run(context)
    return context


@pytest.fixture
def folder(context: Context) -> Path:
    return context.paths.detector("padim")


def samples(context: Context) -> Any:
    return tables.read(context.paths.samples).merge(tables.read(context.paths.split), on="sample_id")


def fit(context: Context, folder: Path, **settings: Any) -> None:
    table = samples(context)
    train = table[(table["assigned_split"] == "train") & (table["label"] == "normal")]
    fit_detector(train, "padim", {**TORCH, **settings}, folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "fits.json")
    }


def save_weights(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(BACKBONES["tiny"].build().state_dict(), path)


def hide_openvino(patch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))


def test_another_version_of_the_detector_fits_and_scores_again(context, folder, monkeypatch):
    score.run(context, "padim", TORCH)
    before = tables.read(folder / "predictions.parquet")["anomaly_score"]
    monkeypatch.setattr(Padim, "version", Padim.__dict__.get("version", 1) + 1, raising=False)
    prediction = Padim._prediction

    def doubled(self, *arguments):
        found = prediction(self, *arguments)
        return Prediction(2 * found.score, 2 * found.map)

    monkeypatch.setattr(Padim, "_prediction", doubled)
    assert score.run(context, "padim", TORCH)["fresh"]
    after = tables.read(folder / "predictions.parquet")["anomaly_score"]
    assert after.tolist() == pytest.approx((2 * before).tolist())


def test_another_version_of_curate_fits_and_scores_again(context, folder, monkeypatch):
    fit(context, folder)
    score_table(samples(context), folder)
    fitted = read_json(folder / "state" / "weave" / "meta.json")["inputs"]
    journal = (folder / "predictions.jsonl").read_text().splitlines()[0]
    monkeypatch.setattr("curate.score_identity.__version__", "999.0")
    score_table(samples(context), folder)
    assert (folder / "predictions.jsonl").read_text().splitlines()[0] != journal
    fit(context, folder)
    assert read_json(folder / "state" / "weave" / "meta.json")["inputs"] != fitted


def test_a_runtime_that_was_installed_since_scores_everything_again(context, folder, monkeypatch):
    with monkeypatch.context() as patch:
        hide_openvino(patch)
        assert score.run(context, "padim", TINY)["report"]["runtime"] == "onnxruntime"
        assert not score.run(context, "padim", TINY)["fresh"]
    again = score.run(context, "padim", TINY)
    assert again["fresh"]
    assert again["report"]["runtime"] == "openvino"


def test_a_run_resumed_with_another_runtime_mixes_nothing(context, folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        hide_openvino(patch)
        patch.setattr(scoring, "BATCH", 2)
        append = scoring.Journal.append

        def dying(journal, lines):
            append(journal, lines)
            raise KeyboardInterrupt

        patch.setattr(scoring.Journal, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            score.run(context, "padim", TINY)
    score.run(context, "padim", TINY)
    calm = Context(Workspace.at(context.workspace.home), context.workspace.dataset("toy"))
    expected = contents(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    score.run(calm, "padim", TINY)
    scoring.sweep_maps(folder)
    assert contents(folder).items() <= expected.items()


def test_the_device_that_was_asked_for_scores_too(context, folder, monkeypatch):
    made = []
    load = detectors.load
    monkeypatch.setattr(detectors, "load", lambda *args, **more: made.append(load(*args, **more)) or made[-1])
    result = score.run(context, "padim", {**TINY, "device": "cpu:0"})
    assert [(each.config.device, each.runtime) for each in made] == [("cpu:0", "torch")]
    assert result["report"]["runtime"] == "torch"


def test_replaced_backbone_weights_fit_and_score_again(context, folder, tmp_path):
    weights = tmp_path / "weights.pt"
    save_weights(weights, seed=1)
    settings = {**TORCH, "weights": str(weights)}
    score.run(context, "padim", settings)
    before = tables.read(folder / "predictions.parquet")["anomaly_score"].tolist()
    save_weights(weights, seed=2)
    assert score.run(context, "padim", settings)["fresh"]
    assert tables.read(folder / "predictions.parquet")["anomaly_score"].tolist() != before
    assert not score.run(context, "padim", settings)["fresh"]


def test_scoring_with_other_weights_than_those_of_the_fit_says_what_to_run(context, folder, tmp_path):
    weights = tmp_path / "weights.pt"
    save_weights(weights, seed=1)
    fit(context, folder, weights=str(weights))
    save_weights(weights, seed=2)
    with pytest.raises(Missing, match=r"weights that the detector of weave.*Run curate score again"):
        score_table(samples(context), folder)


def test_maps_of_an_earlier_run_stay_until_they_are_swept(context, folder):
    score.run(context, "padim", TORCH)
    old = contents(folder / "display")
    score.run(context, "padim", TORCH, seed=1)
    assert old.items() <= contents(folder / "display").items()
    assert scoring.sweep_maps(folder) > 0
    assert len(contents(folder / "display")) == len(contents(folder / "raw")) == len(samples(context))
    assert score_journal.maps_are_there(folder)
    assert scoring.sweep_maps(folder) == 0


def test_maps_of_an_unfinished_run_are_not_swept(context, folder, monkeypatch):
    score.run(context, "padim", TORCH)
    fit(context, folder, seed=1)
    monkeypatch.setattr(scoring.Journal, "close", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        score_table(samples(context), folder)
    before = contents(folder)
    assert scoring.sweep_maps(folder) == 0
    assert contents(folder) == before


def test_sweeping_where_nothing_was_scored_does_nothing(tmp_path):
    assert scoring.sweep_maps(tmp_path / "padim") == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_a_fault_that_names_the_image(context, folder, monkeypatch, value):
    fit(context, folder)
    table = samples(context)
    monkeypatch.setattr(
        Padim, "_prediction", lambda *_: Prediction(1.0, np.full((48, 64), value, np.float32))
    )
    first = table.sort_values(["category", "sample_id"])["filepath"].iloc[0]
    with pytest.raises(DataFault, match=f"{first} a score or anomaly map with NaN or infinity"):
        score_table(table, folder)


def test_a_detector_that_gives_no_finite_calibration_is_a_fault(context, folder, monkeypatch):
    nothing = np.full((48, 64), np.nan, np.float32)
    monkeypatch.setattr(Padim, "_prediction", lambda *_: Prediction(float("nan"), nothing))
    with pytest.raises(DataFault, match="detector of weave gave normal training images"):
        fit(context, folder)


def test_stray_files_beside_the_states_are_removed(context, folder):
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "notes.txt").write_text("stray")
    (folder / "state" / "weave").write_text("a file where a folder should be")
    (folder / "state" / ".weave.partial").write_text("stray")
    fit(context, folder)
    assert [path.name for path in (folder / "state").iterdir()] == ["weave"]


@pytest.mark.parametrize("kind", ["raw", "display"])
def test_a_damaged_map_is_made_again(context, folder, kind):
    score.run(context, "padim", TORCH)
    expected = contents(folder)
    damaged = sorted((folder / kind).iterdir())[2]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert score.run(context, "padim", TORCH)["fresh"]
    assert contents(folder) == expected
