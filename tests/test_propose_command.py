"""curate propose as a person runs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate import tables
from curate.files import read_json
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate

pytestmark = [pytest.mark.mongod, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("propose")
    write_mvtec(folder / "images", n_train=10, n_good=12, n_per_defect=4)
    for verb in (
        ("ingest", str(folder / "images"), "--name", "weave"),
        ("split", "weave"),
        ("score", "weave", "--profile", "smoke"),
    ):
        done = run_curate(*verb, home=folder / "home")
        assert done.returncode == 0, done.stderr
    return folder / "home"


def propose(home: Path, *arguments: str, code: int = 0) -> Any:
    done = run_curate("propose", "weave", *arguments, "--json", home=home)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_proposals_are_made_once_and_told(home: Path, tmp_path: Path) -> None:
    outlines = tmp_path / "outlines.json"
    told = propose(home, "--polygons", str(outlines))
    table = home / "datasets/weave/detectors/padim/proposals.parquet"
    rows = tables.to_rows(tables.read(table))
    assert told["fresh"]
    assert told["method"] == "watershed"
    assert told["n_proposals"] == len(rows) > 3
    assert len(read_json(outlines)["annotations"]) == len(rows)
    content = table.read_bytes()
    assert not propose(home)["fresh"]
    assert table.read_bytes() == content
    done = run_curate("propose", "weave", home=home)
    n_images = told["n_images"] - told["n_empty"]
    assert f"weave: {len(rows)} proposals in {n_images} of {told['n_images']} images" in done.stdout
    assert "the 0.999 quantile of the pixels of" in done.stdout


def test_what_is_there_is_replaced_only_when_asked_for(home: Path, tmp_path: Path) -> None:
    propose(home)
    assert "--overwrite" in propose(home, "--method", "plain", code=1)["error"]
    assert propose(home, "--method", "plain", "--overwrite")["method"] == "plain"
    outlines = tmp_path / "outlines.json"
    outlines.write_text("mine")
    assert f"{outlines} is there" in propose(home, "--polygons", str(outlines), code=1)["error"]
    assert outlines.read_text() == "mine"
    assert propose(home, "--overwrite", "--polygons", str(outlines))["method"] == "watershed"
    assert read_json(outlines)["annotations"]


def test_a_saved_view_chooses_the_images(home: Path) -> None:
    told = propose(home, "--view", "category: weave", "--overwrite")
    assert told["n_images"] == len(tables.read(home / "datasets/weave/samples.parquet"))
    assert propose(home, "--all", "--view", "decided", code=2)["error"].startswith("Wrong usage: --all")
    assert "no saved view" in propose(home, "--view", "none such", code=2)["error"]
    assert propose(home, "--overwrite")["n_images"] < told["n_images"]


def test_ground_truth_is_offered_for_correction_and_taken_back(home: Path, tmp_path: Path) -> None:
    propose(home, "--overwrite")
    told = propose(home, "--from-truth")
    assert (told["detector"], told["n_images"], told["n_without"]) == ("padim", 8, 0)
    rows = tables.to_rows(tables.read(home / "datasets/weave/samples.parquet"))
    bad = next(row["sample_id"] for row in rows if row["label"] == "anomalous")
    done = run_curate("propose", "weave", "--no-from-truth", "--sample", bad, home=home)
    assert "the ground truth of 1 images is not offered for correction any more" in done.stdout
    good = next(row["sample_id"] for row in rows if row["label"] == "normal")
    assert "has a ground-truth mask" in propose(home, "--from-truth", "--sample", good, code=1)["error"]
    assert "has no sample nobody" in propose(home, "--from-truth", "--sample", "nobody", code=2)["error"]
    outlines = tmp_path / "truth.json"
    assert propose(home, "--truth-polygons", str(outlines), "--sample", bad)["n_images"] == 1
    assert len(read_json(outlines)["images"]) == 1
    assert propose(home, "--no-from-truth")["n_images"] == 7
