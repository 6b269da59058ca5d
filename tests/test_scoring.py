import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import detectors
from curate import tables
from curate.anomaly_maps import read_raw
from curate.errors import DataFault, Missing, Unreadable
from curate.progress import Stage
from curate.schema import check_table
from curate.scoring import (
    category_folder,
    display_range,
    fit_detector,
    score_table,
    sweep_maps,
    to_uint8,
)
from tests.helpers.places import REPOSITORY
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "n_channels": 20, "image_hw": (48, 64), "batch_size": 4,
    "runtime": "torch",
}  # fmt: skip


def make_table(
    folder: Path, categories: tuple[str, ...] = ("weave",), n: int = 10, n_bad: int = 3
) -> pd.DataFrame:
    """The columns of a sample table that scoring needs, with images in `folder`."""
    rng = np.random.default_rng(0)
    rows = []
    for category in categories:
        for index in range(n + n_bad):
            image = normal_image(rng) if index < n else anomalous_image(rng)[0]
            path = folder / f"{len(rows):03d}.png"
            Image.fromarray(image).save(path)
            content = path.read_bytes()
            rows.append({
                "sample_id": hashlib.sha256(path.name.encode()).hexdigest()[:16],
                "sha256": hashlib.sha256(content).hexdigest(),
                "filepath": str(path),
                "category": category,
                "label": "normal" if index < n else "anomalous",
            })  # fmt: skip
    return pd.DataFrame(rows)


def normals(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["label"] == "normal"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file whose bytes must not depend on how a run went."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "fits.json")
    }


def last(told: list[Stage]) -> dict[str, tuple[int, int]]:
    """Step and total of each stage at its end."""
    return {event.stage: (event.step, event.total) for event in told}


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    (tmp_path / "images").mkdir()
    return make_table(tmp_path / "images")


@pytest.fixture
def folder(tmp_path, table) -> Path:
    fit_detector(normals(table), "padim", TINY, tmp_path / "padim")
    return tmp_path / "padim"


def test_every_image_gets_a_score_and_maps_after_the_contract(table, folder):
    predictions = score_table(table, folder)
    check_table(predictions, "prediction")
    assert predictions["sample_id"].tolist() == sorted(table["sample_id"])
    for row in tables.to_rows(tables.read(folder / "predictions.parquet")):
        raw = read_raw(folder / row["raw_map"])
        assert raw.shape == (48, 64)
        assert float(raw.max()) == row["anomaly_score"]
        display = folder / row["display_map"]
        digest = hashlib.sha256(display.read_bytes()).hexdigest()
        assert display.name == f"{row['sample_id']}-{digest[:8]}.png"


def test_stored_maps_are_those_of_the_detector(table, folder):
    score_table(table, folder)
    detector = detectors.load(folder / "state" / "weave")
    row = table.iloc[-1]
    (prediction,) = detector.predict([np.array(Image.open(row["filepath"]))])
    stored = read_raw(folder / "raw" / f"{row['sample_id']}.png")
    half_step = (prediction.map.max() - prediction.map.min()) / 131070
    assert np.abs(stored - prediction.map).max() <= 1.01 * half_step + 1e-6


def test_anomalous_images_score_highest(table, folder):
    scores = score_table(table, folder).merge(table, on="sample_id")
    is_normal = scores["label"] == "normal"
    assert scores[~is_normal]["anomaly_score"].min() > scores[is_normal]["anomaly_score"].max()


def test_row_order_does_not_change_a_byte(table, folder, tmp_path):
    score_table(table, folder)
    shuffled = table.sample(frac=1, random_state=3)
    fit_detector(normals(shuffled), "padim", TINY, tmp_path / "other")
    score_table(shuffled, tmp_path / "other")
    assert contents(tmp_path / "other") == contents(folder)


def test_a_second_run_scores_nothing_again(table, folder, monkeypatch):
    score_table(table, folder)
    before = contents(folder)
    monkeypatch.setattr(detectors, "load", lambda *_, **__: pytest.fail("a detector was loaded"))
    seen = []
    score_table(table, folder, progress=seen.append)
    assert sum(seen) == len(table)
    assert contents(folder) == before


def test_same_images_and_settings_are_not_fitted_again(table, folder, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(detectors.base.Detector, "fit", lambda *_, **__: pytest.fail("fitted again"))
    fit_detector(normals(table), "padim", TINY, folder)
    assert contents(folder) == before


def test_other_settings_or_images_are_fitted_again(table, folder):
    state = (folder / "state" / "weave" / "state.pt").read_bytes()
    fit_detector(normals(table), "padim", {**TINY, "seed": 1}, folder)
    other = (folder / "state" / "weave" / "state.pt").read_bytes()
    assert other != state
    fit_detector(normals(table).iloc[1:], "padim", {**TINY, "seed": 1}, folder)
    assert (folder / "state" / "weave" / "state.pt").read_bytes() != other


def test_scoring_with_another_detector_leaves_no_old_map(table, folder):
    score_table(table, folder)
    first = set((folder / "display").iterdir())
    fit_detector(normals(table), "padim", {**TINY, "seed": 1}, folder)
    score_table(table, folder)
    sweep_maps(folder)
    assert len(list((folder / "display").iterdir())) == len(table)
    assert set((folder / "display").iterdir()) != first


@pytest.mark.parametrize("damage", ["cut journal", "no parquet", "cut map", "lost map", "stray files"])
def test_a_damaged_run_is_completed_to_the_same_bytes(table, folder, damage):
    score_table(table, folder)
    expected = contents(folder)
    journal = folder / "predictions.jsonl"
    raw = sorted((folder / "raw").iterdir())[4]
    match damage:
        case "cut journal":
            journal.write_bytes(journal.read_bytes()[:-1700])
        case "no parquet":
            (folder / "predictions.parquet").unlink()
        case "cut map":
            raw.write_bytes(raw.read_bytes()[:-9])
        case "lost map":
            raw.unlink()
        case "stray files":
            (folder / "raw" / ".x.png.abc.partial").write_bytes(b"half")
            (folder / "display" / "0000-0000.png").write_bytes(b"old")
    score_table(table, folder)
    sweep_maps(folder)
    assert contents(folder) == expected


@pytest.mark.parametrize("n_lines", [0, 1, 2])
def test_killed_while_scoring_and_run_again_gives_the_same_bytes(table, folder, tmp_path, n_lines):
    table.to_pickle(tmp_path / "table.pkl")
    program = f"""
import os, signal, pandas, curate.scoring as scoring
from pathlib import Path
scoring.BATCH = 3
append, count = scoring.Journal.append, 0
def dying(self, lines):
    global count
    if count == {n_lines}:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    append(self, lines)
scoring.Journal.append = dying
scoring.score_table(pandas.read_pickle({str(tmp_path / "table.pkl")!r}), Path({str(folder)!r}))
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "predictions.parquet").exists()
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == 1 + 3 * n_lines
    finished = {path: path.stat().st_mtime_ns for path in (folder / "raw").glob("*.png")} if n_lines else {}
    lines = (folder / "predictions.jsonl").read_text().splitlines()[1:]
    score_table(table, folder)
    for text in lines:
        path = folder / json.loads(text)["raw"]["path"]
        assert path.stat().st_mtime_ns == finished[path]  # was not made again
    fit_detector(normals(table), "padim", TINY, tmp_path / "calm")
    score_table(table, tmp_path / "calm")
    assert contents(folder) == contents(tmp_path / "calm")


def test_categories_have_detectors_of_their_own_and_share_a_display_range(tmp_path):
    (tmp_path / "images").mkdir()
    table = make_table(tmp_path / "images", ("acf/top", "shield"))
    folder = tmp_path / "padim"
    fit_detector(normals(table), "padim", TINY, folder)
    states = [folder / "state" / category_folder(name) for name in ("acf/top", "shield")]
    assert sorted(path.name for path in (folder / "state").iterdir()) == ["acf%2Ftop", "shield"]
    own = [detectors.load(state).calibration.display_range for state in states]
    assert display_range(states) == (max(lo for lo, _ in own), max(hi for _, hi in own))
    score_table(table, folder)
    report = json.loads((folder / "report.json").read_text())
    assert report["n_categories"] == 2
    fit_detector(normals(table[table["category"] == "shield"]), "padim", TINY, folder)
    assert [path.name for path in (folder / "state").iterdir()] == ["shield"]


def test_report_states_what_it_cost(table, folder):
    score_table(table, folder)
    report = json.loads((folder / "report.json").read_text())
    assert report["backbone_weights"] == "random"
    assert (report["n_normals"], report["n_calibration"], report["n_images"]) == (10, 1, 13)
    for key in ("fit_seconds", "ms_per_image", "n_parameters", "state_bytes", "peak_rss_bytes"):
        assert report[key] > 0
    assert (report["runtime"], report["profile"]) == ("torch", "cpu")
    score_table(table, folder)
    assert json.loads((folder / "report.json").read_text())["ms_per_image"] == report["ms_per_image"]


def test_progress_counts_every_image_once_where_none_can_be_held_out(tmp_path):
    table = make_table(tmp_path, n=2, n_bad=0)
    told: list[Stage] = []
    fit_detector(table, "padim", TINY, tmp_path / "padim", progress=told.append)
    assert last(told) == {"fit": (2, 2), "calibrate": (2, 2)}


def test_progress_counts_every_image(table, tmp_path):
    told: list[Stage] = []
    scored: list[int] = []
    fit_detector(normals(table), "padim", TINY, tmp_path / "padim", progress=told.append)
    score_table(table, tmp_path / "padim", progress=scored.append)
    assert {event.title for event in told} == {"padim"}
    assert (last(told), sum(scored)) == ({"fit": (9, 9), "calibrate": (1, 1)}, 13)


def test_a_category_with_one_normal_image_is_reported(tmp_path):
    (tmp_path / "images").mkdir()
    table = make_table(tmp_path / "images", ("acf", "sus"), n=2)
    with pytest.raises(DataFault, match="sus: 1"):
        fit_detector(normals(table).iloc[:3], "padim", TINY, tmp_path / "padim")


def test_no_normal_image_at_all_is_reported(table, tmp_path):
    with pytest.raises(DataFault, match="no normal training image at all"):
        fit_detector(table.iloc[:0], "padim", TINY, tmp_path / "padim")


def test_scoring_without_a_fitted_detector_says_so(table, tmp_path):
    with pytest.raises(Missing, match=r"(?s)no detector.*weave"):
        score_table(table, tmp_path / "padim")


def test_an_unreadable_image_is_named_and_finished_ones_are_kept(table, folder):
    broken = Path(sorted(zip(table["sample_id"], table["filepath"], strict=True))[-1][1])
    content = broken.read_bytes()
    broken.write_bytes(content[:200])
    with pytest.raises(Unreadable, match=broken.name):
        score_table(table, folder)
    broken.write_bytes(content)
    assert len(score_table(table, folder)) == len(table)


def test_16_bit_images_are_scaled_to_8_bits():
    image = np.array([[[0, 257, 65535]]], np.uint16)
    assert to_uint8(image).tolist() == [[[0, 1, 255]]]
    eight = np.zeros((2, 3, 3), np.uint8)
    assert to_uint8(eight) is eight
