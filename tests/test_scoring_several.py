"""Several detectors of one call: images decoded once, journals of their own, fits and scores that go on."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import detectors
from curate import score_images, scoring, tables
from curate.files import read_json
from curate.progress import Stage
from curate.recipe import Source
from curate.score_fit import fit_detector
from curate.score_images import Images, Pixels, by_category, chunks
from curate.scoring import score_table, score_tables
from curate.steps import ingest, score, split, stated, threshold
from curate.steps.joined import with_scores
from curate.steps.record import Context
from curate.store.fields import detector_fields
from curate.workspace import Workspace
from tests.helpers.places import REPOSITORY
from tests.helpers.tiny import write_mvtec
from tests.test_scoring import TINY, contents, make_table, normals

NPAD = {**TINY, "n_clusters": 8, "n_sampled": 500}
DFR = {
    "profile": "smoke", "backbone": "tiny", "weights": "random", "image_hw": (48, 64), "runtime": "torch",
    "n_steps": 60,
}  # fmt: skip
TILED = "tiled:padim"
TILES = {**TINY, "tile_side": 48}


@pytest.fixture
def table(tmp_path: Path) -> Any:
    (tmp_path / "images").mkdir()
    return make_table(tmp_path / "images")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    ingest.run(context, Source(write_mvtec(tmp_path / "tree", n_train=6, n_good=3, n_per_defect=2)))
    split.run(context)
    return context


def run_and_be_killed(program: str, tmp_path: Path) -> None:
    """Run a program that kills itself without a chance to tidy up."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


def test_killed_while_two_detectors_score_and_run_again_gives_the_same_bytes(table, tmp_path):
    folders = [tmp_path / "padim", tmp_path / "npad"]
    fit_detector(normals(table), "padim", TINY, folders[0])
    fit_detector(normals(table), "npad", NPAD, folders[1])
    expected = []
    for folder in folders:
        score_table(table, folder)
        expected.append(contents(folder))
        for path in [*folder.rglob("*.png"), folder / "predictions.jsonl", folder / "predictions.parquet"]:
            path.unlink()
    table.to_pickle(tmp_path / "table.pkl")
    run_and_be_killed(
        f"""
import os, signal, pandas, curate.scoring as scoring
from pathlib import Path
scoring.BATCH = scoring.CHUNK = 3
append, count = scoring.Journal.append, 0
def dying(self, lines):
    global count
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    append(self, lines)
scoring.Journal.append = dying
table = pandas.read_pickle({str(tmp_path / "table.pkl")!r})
scoring.score_tables(table, [Path(each) for each in {[str(folder) for folder in folders]!r}])
""",
        tmp_path,
    )
    kept = [len((folder / "predictions.jsonl").read_text().splitlines()) - 1 for folder in folders]
    assert kept == [6, 3]
    done: list[int] = []
    score_tables(table, folders, progress=done.append)
    assert done[0] == 9
    assert sum(done) == 2 * len(table)
    assert [contents(folder) for folder in folders] == expected


def test_killed_while_training_and_run_again_gives_the_same_bytes(table, tmp_path):
    table.to_pickle(tmp_path / "table.pkl")
    run_and_be_killed(
        f"""
import os, signal, pandas
from pathlib import Path
from curate.score_fit import fit_detector
from detectors.blocks import trainer
trainer.EVERY_S = 0.0
def dying(event):
    if event.stage == "train" and event.step == 21:
        os.kill(os.getpid(), signal.SIGKILL)
table = pandas.read_pickle({str(tmp_path / "table.pkl")!r})
train = table[table["label"] == "normal"]
fit_detector(train, "dfr", {DFR!r}, Path({str(tmp_path / "dfr")!r}), progress=dying)
""",
        tmp_path,
    )
    assert list((tmp_path / "dfr" / "checkpoints").rglob("*.pt"))
    resumed, calm = [], []
    fit_detector(normals(table), "dfr", DFR, tmp_path / "dfr", progress=resumed.append)
    fit_detector(normals(table), "dfr", DFR, tmp_path / "calm", progress=calm.append)
    assert trained(resumed) == list(range(21, 61))  # step 21 was done, but not kept yet
    assert trained(calm) == list(range(1, 61))
    assert all(event.loss is not None for event in calm if event.stage == "train")
    assert contents(tmp_path / "dfr") == contents(tmp_path / "calm")
    assert not (tmp_path / "dfr" / "checkpoints").exists()


def trained(told: list[Stage]) -> list[int]:
    return [event.step for event in told if event.stage == "train"]


def test_a_checkpoint_of_another_fit_is_removed_when_a_fit_begins(table, tmp_path):
    old = tmp_path / "dfr" / "checkpoints" / "weave" / "0123456789abcdef"
    old.mkdir(parents=True)
    (old / "dfr.pt").write_text("of an earlier fit")

    def stopping(event: Stage) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_detector(normals(table), "dfr", DFR, tmp_path / "dfr", progress=stopping)
    assert not old.exists()


def test_together_gives_the_bytes_of_one_after_the_other(table, tmp_path):
    folders = [tmp_path / "padim", tmp_path / "tiled"]
    for folder, name, config in zip(folders, ("padim", TILED), (TINY, TILES), strict=True):
        fit_detector(normals(table), name, config, folder)
    score_tables(table, folders)
    together = [contents(folder) for folder in folders]
    report = read_json(folders[0] / "report.json")
    assert report["scored_beside"] == [TILED]
    for folder in folders:
        for path in folder.rglob("*.png"):
            path.unlink()
        score_table(table, folder)
    assert [contents(folder) for folder in folders] == together
    assert read_json(folders[0] / "report.json")["scored_beside"] == []


def test_images_are_decoded_once_for_all_detectors(table, tmp_path, monkeypatch):
    folders = [tmp_path / "a", tmp_path / "b"]
    for seed, folder in enumerate(folders):
        fit_detector(normals(table), "padim", {**TINY, "seed": seed}, folder)
    read, decoded = score_images.read_stored, Counter[str]()
    monkeypatch.setattr(score_images, "read_stored", lambda path: decoded.update([str(path)]) or read(path))
    monkeypatch.setattr(scoring, "BATCH", 4)
    score_tables(table, folders)
    assert decoded == Counter(table["filepath"])


def test_a_finished_detector_is_not_touched_by_a_call_with_another(context, monkeypatch):
    score.run(context, "padim", TINY)
    folder = context.paths.detector("padim")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    fitted = []
    fit = detectors.base.Detector.fit
    monkeypatch.setattr(
        detectors.base.Detector, "fit", lambda self, *a, **k: fitted.append(self.name) or fit(self, *a, **k)
    )
    results = score.run_all(context, {"padim": TINY, "npad": NPAD})
    assert [(each["detector"], each["fresh"]) for each in results] == [("padim", False), ("npad", True)]
    assert fitted == ["npad"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_name_with_a_colon_goes_all_the_way(context):
    result = score.run(context, TILED, TILES)
    folder = context.paths.detector(TILED)
    assert folder.name == "tiled%3Apadim"
    assert (folder / "predictions.parquet").exists()
    assert context.paths.detectors() == [TILED]
    assert not score.run(context, TILED, TILES)["fresh"]
    assert set(tables.read(folder / "predictions.parquet")["detector"]) == {TILED}
    assert len(with_scores(context, TILED)) == result["n_scored"]
    assert threshold.run(context, TILED, "max_normal")["detector"] == TILED
    assert [each["name"] for each in stated.settings(context)["detectors"]] == [TILED]
    assert detector_fields(TILED) == ("tiled_padim_score", "tiled_padim_map")


def test_detectors_whose_fields_would_be_one_are_refused(context):
    taken = context.paths.detector("tiled_padim") / "predictions.parquet"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r'"tiled:padim" and "tiled_padim" would both be the field tiled_pad'
    ):
        score.run(context, TILED, TILES)
    assert not context.paths.detector(TILED).exists()


def test_all_unknown_detectors_are_refused_before_anything_runs(context):
    with pytest.raises(ValueError, match=r'(?s)"nopad".*Did you mean "npad".*"padam".*Known: .*padim'):
        score.run_all(context, {"padim": TINY, "nopad": {}, "padam": {}})
    assert not (context.paths.root / "detectors").exists()


def test_an_unknown_setting_names_its_detector_before_anything_runs(context):
    with pytest.raises(ValueError, match=r'^npad: Unknown option "windows". Did you mean "window"'):
        score.run_all(context, {"padim": TINY, "npad": {**NPAD, "windows": 5}})
    assert not (context.paths.root / "detectors").exists()


def test_settings_apply_to_their_detector(context):
    score.run_all(context, {"padim": TINY, "npad": {**NPAD, "window": 5, "n_channels": 12}})
    told = {name: read_json(path / "config.json") for name, path in states(context).items()}
    assert (told["padim"]["n_channels"], told["npad"]["n_channels"], told["npad"]["window"]) == (20, 12, 5)


def states(context: Context) -> dict[str, Path]:
    return {name: context.paths.detector(name) / "state" / "weave" for name in ("padim", "npad")}


def test_pixels_keep_the_first_images_within_their_limit(table):
    rows = by_category(table)["weave"]
    pixels = Pixels(limit_bytes=2 * 48 * 64 * 3 + 100)
    first = [pixels(row) for row in rows[:4]]
    again = [pixels(row) for row in rows[:4]]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False, False]
    assert not first[0].flags.writeable
    assert pixels.free_bytes == 100


def test_sizes_are_told_only_where_the_table_has_all_of_them(table):
    assert Images(by_category(table)["weave"], Pixels()).sizes_hw is None
    rows = by_category(table.assign(height=48, width=64))["weave"]
    images = Images(rows, Pixels())
    assert images.sizes_hw == [image.shape[:2] for image in images]
    rows[3]["height"] = None
    assert images.sizes_hw is None


def test_chunks_are_bounded_by_number_and_by_pixels():
    side = 2000  # 12 MB each
    rows = [{"height": side, "width": side} for _ in range(7)] + [{"height": 9000, "width": 9000}, {}]
    assert [len(chunk) for chunk in chunks(rows, 16)] == [5, 2, 1, 1]
    assert [len(chunk) for chunk in chunks([{}] * 7, 3)] == [3, 3, 1]
