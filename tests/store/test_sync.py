"""The dataset after each step: scores and maps are shown only with the image they were made of."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate import tables
from curate.files import write_json
from curate.recipe import Source
from curate.schema import load as contract
from curate.steps import check, ingest, split, sync
from curate.steps.record import Context, digest, finish
from curate.store import dataset, marks
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod
CHANGED = "weave/test/stain/000.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=2, n_good=2, n_per_defect=2)


@pytest.fixture
def context(workspace_db: Database, root: Path) -> Iterator[Context]:
    """A dataset with made-up scores and a threshold, stored."""
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset("synced"))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    score(context)
    sync.everything(context)
    yield context
    dataset.load("synced").delete()
    shutil.rmtree(context.paths.root)


def score(context: Context, value: float = 0.9) -> None:
    """Predictions and a threshold as the steps would leave them."""
    paths = context.paths
    known = {"detector": "padim", "anomaly_score": value, "raw_map": None}
    rows = [
        {"sample_id": row["sample_id"], "display_map": f"display/{row['sample_id']}.png", **known}
        for row in tables.to_rows(tables.read(paths.samples))
    ]
    target = paths.detector("padim") / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    inputs = {"images": digest(paths.samples), "split": digest(paths.split)}
    finish(paths, "score-padim", inputs, [target], {})
    write_json(paths.threshold, {"detector": "padim", "by_category": {"weave": {"threshold": 0.5}}})
    inputs = {"detector": "padim", "predictions": digest(target), "split": digest(paths.split)}
    finish(paths, "threshold", inputs | {"samples": digest(paths.samples)}, [paths.threshold], {})


def replace(context: Context, root: Path, content: bytes) -> bytes:
    """Write another image into a file and take it in; returns the old content."""
    old = (root / CHANGED).read_bytes()
    (root / CHANGED).write_bytes(content)
    ingest.run(context, Source(root, "mvtec_ad"))
    sync.everything(context)
    return old


def shown(relative_path: str = CHANGED) -> tuple[Any, Any, Any]:
    """Score, prediction, and whether there is a map."""
    sample = dataset.load("synced").match({"relative_path": relative_path}).first()
    return sample.padim_score, sample.predicted and sample.predicted.label, sample.padim_map is not None


def test_a_replaced_image_loses_its_scores_and_the_others_keep_theirs(context: Context, root: Path) -> None:
    assert shown() == (0.9, "anomalous", True)
    other = "weave/test/stain/001.png"
    replace(context, root, (root / other).read_bytes())
    assert shown() == (None, None, False)
    assert shown(other) == (0.9, "anomalous", True)
    score(context, 0.1)
    sync.everything(context)
    assert shown() == (0.1, "normal", True)


def test_scores_come_back_with_the_old_image(context: Context, root: Path) -> None:
    old = replace(context, root, (root / "weave/test/stain/001.png").read_bytes())
    replace(context, root, old)
    assert shown() == (0.9, "anomalous", True)


def test_a_lost_database_is_not_filled_with_scores_of_other_images(context: Context, root: Path) -> None:
    replace(context, root, (root / "weave/test/stain/001.png").read_bytes())
    dataset.load("synced").delete()
    sync.everything(context)
    assert "padim_score" not in dataset.load("synced").get_field_schema()


def test_a_threshold_of_earlier_scores_predicts_nothing(context: Context) -> None:
    target = context.paths.detector("padim") / "predictions.parquet"
    predictions = tables.read(target)
    predictions["anomaly_score"] = 0.8
    tables.write(predictions, target)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, "score-padim", inputs, [target], {})
    sync.everything(context)
    assert shown() == (0.8, None, True)


def test_a_detector_whose_folder_was_removed_is_no_longer_shown(context: Context) -> None:
    shutil.rmtree(context.paths.detector("padim"))
    sync.everything(context)
    assert shown() == (None, None, False)
    assert {"detector padim", "threshold"}.isdisjoint(marks.read("synced"))


def test_what_is_stored_once_is_not_stored_again(context: Context, root: Path) -> None:
    replace(context, root, (root / "weave/test/stain/001.png").read_bytes())
    before = marks.read("synced"), dataset.load("synced").bounds("last_modified_at")
    sync.everything(context)
    assert (marks.read("synced"), dataset.load("synced").bounds("last_modified_at")) == before


def test_findings_are_set_on_the_image_of_the_source_that_has_them(context: Context, tmp_path: Path) -> None:
    other = write_mvtec(tmp_path / "other", n_train=1, n_good=1, n_per_defect=1, seed=5)
    Image.new("L", (64, 48)).save(other / "weave/ground_truth/stain/000_mask.png")
    ingest.run(context, Source(other, "mvtec_ad", name="line 2"))
    check.run(context, ["empty_mask"])
    sync.everything(context)
    view = dataset.load("synced").match({"relative_path": CHANGED})
    assert dict(zip(view.values("source"), view.values("findings"), strict=True)) == {
        "line 2": ["empty_mask"],
        "mvtec_ad": [],
    }


def test_suspicious_normals_have_a_field_and_a_view_until_nothing_is_suspicious(context: Context) -> None:
    samples = tables.read(context.paths.samples)
    normal = samples[samples["label"] == "normal"]["sample_id"].tolist()
    rows = [{"sample_id": name, "z": z} for name, z in zip(normal[:2], (6.5, 9.0), strict=True)]
    target = context.paths.detector("tiled:padim") / "predictions.parquet"
    shutil.copytree(context.paths.detector("padim"), target.parent)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    for left_out in (rows, []):
        report = {"robust": {"by_category": {"weave": {"left_out": left_out}}}}
        finish(context.paths, "score-tiled%3Apadim", inputs, [target], {"report": report})
        sync.everything(context)
        stored = dataset.load("synced")
        found = stored.exists("tiled_padim_suspicion")
        expected = sorted((row["z"] for row in left_out), reverse=True)
        assert sorted(found.values("tiled_padim_suspicion"), reverse=True) == expected
        assert stored.has_saved_view("suspicious normal") is bool(left_out)
        if left_out:
            seen = stored.load_saved_view("suspicious normal").values("sample_id")
            assert seen == [normal[1], normal[0]]
    assert len(stored.exists("tiled_padim_score")) == len(samples)
