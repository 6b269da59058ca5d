"""curate export-model: a folder for each category, the chosen threshold, nothing replaced unasked."""

import json
from pathlib import Path

import numpy as np
import pytest

from curate import scoring
from curate.errors import AlreadyExists, Missing
from curate.recipe import Source
from curate.steps import export_model, ingest, score, split, threshold
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.test_scoring import TINY


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    folder = tmp_path_factory.mktemp("model")
    workspace = Workspace.at(folder / "home")
    context = Context(workspace, workspace.dataset("toy"))
    ingest.run(context, Source(write_mvtec(folder / "tree", n_train=6, n_good=4, n_per_defect=3)))
    split.run(context)
    score.run(context, "padim", dict(TINY))
    return context


def test_without_a_chosen_threshold_that_of_held_out_normals_is_written(context, tmp_path):
    found = export_model.run(context, "padim", tmp_path / "out", openvino=False)
    for row in found["models"]:
        told = json.loads((Path(row["folder"]) / "model.json").read_text())
        assert told["threshold"] == row["threshold"]
        assert told["threshold_from"] == "held-out normals, at most 0.01 false alarms"
        assert row["agreement"]["onnx"]["score"] < 1e-3


def test_the_chosen_threshold_is_written_and_scores_are_those_of_curate_score(context, tmp_path):
    import onnxruntime

    from curate.images import read_image
    from curate.steps.joined import with_scores

    chosen = threshold.run(context, "padim", "max_normal")["by_category"]
    found = export_model.run(context, "padim", tmp_path / "out", openvino=False)
    scores = with_scores(context, "padim")
    for row in found["models"]:
        assert row["threshold"] == chosen[row["category"]]["threshold"]
        session = onnxruntime.InferenceSession(Path(row["folder"]) / "model.onnx")
        for sample in scores[scores["category"] == row["category"]].itertuples():
            image = read_image(Path(sample.filepath))
            answer = session.run(["score"], {"image": np.ascontiguousarray(image)[None]})[0][0]
            assert answer == pytest.approx(sample.anomaly_score, rel=1e-3)


def test_a_model_that_is_there_is_not_replaced_unasked(context, tmp_path):
    export_model.run(context, "padim", tmp_path / "out", openvino=False)
    with pytest.raises(AlreadyExists, match="holds an exported model"):
        export_model.run(context, "padim", tmp_path / "out", openvino=False)
    export_model.run(context, "padim", tmp_path / "out", openvino=False, overwrite=True)


def test_a_folder_of_something_else_is_never_replaced(context, tmp_path):
    found = export_model.run(context, "padim", tmp_path / "a", openvino=False)
    name = Path(found["models"][0]["folder"]).name
    (tmp_path / "out" / name).mkdir(parents=True)
    (tmp_path / "out" / name / "letter.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match="is no exported model"):
        export_model.run(context, "padim", tmp_path / "out", openvino=False, overwrite=True)
    assert (tmp_path / "out" / name / "letter.txt").read_text() == "mine"


def test_a_detector_or_category_that_is_not_fitted_is_named(context, tmp_path):
    with pytest.raises(Missing, match="npad is not fitted for this dataset"):
        export_model.run(context, "npad", tmp_path / "out")
    with pytest.raises(Missing, match="not fitted for zip; it is for"):
        export_model.run(context, "padim", tmp_path / "out", categories=["zip"])


def test_a_threshold_that_was_chosen_on_other_scores_is_not_written(context, tmp_path):
    threshold.run(context, "padim", "max_normal")
    score.run(context, "padim", {**TINY, "score": "mean"})
    with pytest.raises(Missing, match="padim scored again since its threshold was chosen"):
        export_model.run(context, "padim", tmp_path / "out", openvino=False)
    threshold.run(context, "padim", "max_normal")
    export_model.run(context, "padim", tmp_path / "out", openvino=False)


def test_a_fit_that_has_not_scored_yet_gets_no_threshold_of_the_one_before(context, tmp_path, monkeypatch):
    score.run(context, "padim", dict(TINY))
    threshold.run(context, "padim", "max_normal")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scoring, "score_tables", interrupted)
        score.run(context, "padim", {**TINY, "score": "mean"})
    with pytest.raises(Missing, match="padim was fitted again, and has not scored since"):
        export_model.run(context, "padim", tmp_path / "out", openvino=False)
    score.run(context, "padim", dict(TINY))
    threshold.run(context, "padim", "max_normal")
    export_model.run(context, "padim", tmp_path / "out", openvino=False)
