"""Costs as numbers and text: quantiles, table, rows from files, the picture, forecasts, chosen images."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import detectors
from curate import schema
from curate.cost import forecast_lines, notes, points, quantile, table, text
from curate.cost_added import read_added
from curate.cost_forecast import at_side, forecast, growth
from curate.cost_images import choose, some
from curate.errors import DataFault, Missing
from curate.steps.cost_picture import LETTER, LINE, draw, places
from detectors.memory import forecast_fit, gpu_peak_bytes
from tests.test_scoring import TINY

ROWS: list[dict[str, Any]] = [
    {
        "name": "padim", "fit_s": 2.5, "latency_ms_p50": 12.0, "latency_ms_p95": 20.0,
        "peak_rss_bytes": 900 << 20, "state_bytes": 5 << 20, "n_parameters": 1234567, "image_auroc": 0.91,
        "auroc_from": "curate score", "n_normal": 6, "n_anomalous": 7,
    },
    {"name": "cpp", "latency_ms_p50": 3.0, "peak_rss_bytes": 90 << 20, "image_auroc": 0.9, "added": True},
    {"name": "broken", "error": "ValueError: no."},
]  # fmt: skip
SIZES = [(48, 64)] * 8


def labelled(labels: dict[str, int], split: str, category: str = "weave") -> pd.DataFrame:
    """Rows of a sample table with a label each."""
    rows = [
        {
            "sample_id": f"{category}-{split}-{label}-{index:02d}", "label": label, "assigned_split": split,
            "category": category,
        }
        for label, n in labels.items()
        for index in range(n)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_quantiles_agree_with_numpy():
    values = np.random.default_rng(0).uniform(size=37).tolist()
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert quantile(values, share) == pytest.approx(np.quantile(values, share))
    assert quantile([3.0], 0.95) == 3.0


def test_table_has_a_line_for_each_row_and_dashes_for_what_is_missing():
    head, padim, cpp, broken = table(ROWS)
    assert "images/s" in head and "GPU" not in head
    assert "12.0 ms" in padim and "5.0 MiB" in padim and "1,234,567" in padim and ".910" in padim
    assert cpp.split()[:3] == ["cpp", "\u2013", "\u2013"]
    assert set(broken.split()) == {"broken", "\u2013"}
    assert len({len(line) for line in (head, padim, cpp, broken)}) == 1


def test_table_shows_gpu_memory_only_where_a_gpu_was_used():
    head, line = table([{"name": "padim", "gpu_peak_bytes": 7 << 20}])
    assert "fit GPU" in head
    assert line.endswith("7.0 MiB")


def test_notes_say_whose_scores_what_failed_and_what_came_from_a_file():
    told = notes([*ROWS, {**ROWS[0], "name": "npad"}])
    auroc = "AUROC on 6 normal and 7 anomalous images of the test part, scores of curate score"
    assert told == [
        f"  padim, npad: {auroc}",
        "  cpp: not measured here, from a file",
        "  broken: not measured. ValueError: no.",
    ]


def test_notes_tell_growth_and_what_was_not_possible():
    whole = {"fit_bytes": 8 << 20, "state_bytes": 4 << 20}
    none = {"fit_bytes": None, "state_bytes": None, "error": "too small"}
    row = {
        "name": "x",
        "growth": {"from": "measured", "whole": whole, "half_images": whole, "half_side": none},
    }
    (line,) = notes([row])
    assert "measured: 8.0 MiB and 4.0 MiB; with half the images 8.0 MiB" in line
    assert line.endswith("at half the image side not possible (too small)")


def test_small_states_are_told_in_kib():
    assert text(46 << 10, "MiB") == "46.0 KiB"


# rows from files


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_rows_from_files_are_marked_and_a_taken_name_gets_the_files_name(tmp_path):
    whole = written(tmp_path / "box.json", {"dataset": "toy", "detectors": ROWS[:1]})
    one = written(tmp_path / "cpp.json", {"name": "fast", "latency_ms_p50": 1, "images_per_s": 900.5})
    rows = read_added([whole, one], ["padim"])
    assert [row["name"] for row in rows] == ["padim (box)", "fast"]
    assert all(row["added"] for row in rows)
    schema.check_rows(rows, "cost")


def test_rows_from_files_that_break_the_contract_are_refused_all_at_once(tmp_path):
    first = written(tmp_path / "a.json", [{"name": "x", "latency": 3}, {"latency_ms_p50": 3}])
    second = written(tmp_path / "b.json", [{"name": "y", "image_auroc": 91}])
    with pytest.raises(DataFault) as told:
        read_added([first, second, written(tmp_path / "c.json", 3)], [])
    for part in ('unknown key "latency"', "'name' is a required property", "91 is greater", "c.json"):
        assert part in str(told.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Missing, match=r"none\.json"):
        read_added([tmp_path / "none.json"], [])


# the picture


def test_picture_is_1200_pixels_wide_whole_and_the_same_each_time(tmp_path):
    target = tmp_path / "deep" / "cost.png"
    assert draw(ROWS, "toy", target)
    with Image.open(target) as image:
        assert image.size == (1200, 520)
    first = target.read_bytes()
    draw(ROWS, "toy", target)
    assert target.read_bytes() == first
    assert list(target.parent.iterdir()) == [target]


def test_a_picture_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    target = tmp_path / "cost.png"
    target.write_bytes(b"old")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="no space left"):
        draw(ROWS, "toy", target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_no_picture_without_an_accuracy(tmp_path):
    assert not draw(ROWS[2:], "toy", tmp_path / "cost.png")
    assert not list(tmp_path.iterdir())


def test_points_need_both_numbers_and_are_in_mib():
    assert [(point.name, point.cost) for point in points(ROWS, "peak_rss_bytes")] == [
        ("padim", 900.0),
        ("cpp", 90.0),
    ]
    assert points([{"name": "x", "image_auroc": 0.5, "latency_ms_p50": None}], "latency_ms_p50") == []


def test_names_in_the_picture_cover_neither_each_other_nor_points():
    spots = [(0.1 + 0.02 * index, 0.9) for index in range(6)] + [(0.97, 0.5), (0.5, 0.98)]
    names = ["a_name_of_some_length"] * len(spots)
    width, found = LETTER * len(names[0]), places(spots, names)
    for one, (left, middle) in enumerate(found):
        assert 0 <= left and left + width <= 1 and 0 <= middle - LINE / 2 and middle + LINE / 2 <= 1
        for other, (beside, height) in enumerate(found):
            assert one == other or abs(middle - height) >= LINE or abs(left - beside) >= width - 1e-9
        assert not any(left < x < left + width and abs(middle - y) < LINE for x, y in spots)


def test_a_name_stands_beside_its_point_where_there_is_room():
    ((left, middle),) = places([(0.2, 0.5)], ["padim"])
    assert 0.2 < left < 0.25 and middle == 0.5
    ((left, middle),) = places([(0.97, 0.5)], ["padim"])
    assert left + LETTER * 5 < 0.97 and middle == 0.5


# forecasts


def test_forecast_fits_here_and_grows_with_the_side():
    small = forecast("padim", TINY, 8, SIZES)
    large = forecast("padim", at_side(TINY, 256), 8, SIZES)
    assert small["fits"] and small["input_hw"] == [48, 64]
    assert large["state_bytes"] > 10 * small["state_bytes"]
    assert large["input_hw"] == [224, 296]  # the aspect ratio of the images


def test_forecast_of_what_does_not_fit_names_settings_that_do(monkeypatch):
    monkeypatch.setattr("detectors.memory.available_bytes", lambda: 1 << 30)
    found = forecast("padim", at_side({**TINY, "n_channels": 30}, 2000), 8, SIZES)
    assert found["fits"] is False
    assert any(remedy.startswith("Set image_side to") for remedy in found["remedies"])
    lines = "\n".join(forecast_lines([found]))
    assert "DOES NOT FIT" in lines and "Set image_side to" in lines


def test_settings_that_a_forecast_proposes_do_fit_and_more_would_not(monkeypatch):
    free, config = 200 << 20, {"profile": "smoke", "bank_size": None}
    monkeypatch.setattr("detectors.memory.available_bytes", lambda: free)
    found = forecast("patch_svdd", at_side(config, 512), 400, SIZES)
    assert found["fits"] is False
    told = " ".join(found["remedies"])
    side, most = (int(re.search(rf"{words} (\d+)", told)[1]) for words in ("image_side to", "at most"))
    assert forecast("patch_svdd", at_side(config, side), 400, SIZES)["fits"]
    assert forecast("patch_svdd", at_side(config, 512), most, SIZES)["fits"]
    assert not forecast("patch_svdd", at_side(config, 512), most + 1, SIZES)["fits"]
    row = {"name": "x", "error": "TooLarge: no.", "forecast": found}
    assert f"  x: would fit: Fit on at most {most} images." in notes([row])


def test_a_detector_without_a_forecast_says_so(monkeypatch):
    monkeypatch.setattr("detectors.fcdd.Fcdd.forecast", lambda self, n_images: None)
    found = forecast("fcdd", {"profile": "smoke"}, 8, SIZES)
    assert found["fits"] is None and found["fit_bytes"] is None
    assert "makes no forecast" in forecast_lines([found])[0]


def test_a_memory_bank_is_forecast_to_grow_with_the_images():
    config = {"profile": "smoke", "bank_size": None}
    settings = vars(detectors.create("patch_svdd", **config).config)
    found = growth("patch_svdd", config, settings, 40, SIZES)
    assert found["from"] == "forecast"
    assert found["half_images"]["state_bytes"] < 0.7 * found["whole"]["state_bytes"]
    assert found["half_side"]["fit_bytes"] < found["whole"]["fit_bytes"]


def test_a_side_that_a_detector_refuses_is_told_not_raised():
    found = growth("padim", TINY, {"image_hw": [1, 1], "crop_hw": [9, 9]}, 8, SIZES)
    assert "crop_hw" in found["half_side"]["error"]
    assert found["whole"]["fit_bytes"] > 0


def test_a_forecast_is_that_of_the_fit():
    made = detectors.create("padim", **TINY)
    fitted = detectors.create("padim", **TINY).fit([np.zeros((48, 64, 3), np.uint8)] * 8)
    assert forecast_fit(made, 8, SIZES) == fitted.forecast(7)


def test_a_cpu_has_no_gpu_memory():
    assert gpu_peak_bytes("cpu") is None


# which images


def test_the_category_with_most_normals_is_measured_on_its_test_part():
    samples = pd.concat(
        [
            labelled({"normal": 3}, "train", "a"),
            labelled({"normal": 5, "anomalous": 2}, "train"),
            labelled({"normal": 4, "anomalous": 4}, "test"),
        ]
    )
    found = choose(samples, "toy", None, None, 0)
    assert found.category == "weave"
    assert set(found.train["label"]) == {"normal"} and len(found.train) == 5
    assert len(found.shown) == 8 and len(found.all_train) == 8
    assert len(choose(samples, "toy", "a", None, 0).shown) == 3  # no test part: training images


def test_unknown_category_and_too_few_normals_are_refused():
    samples = pd.concat([labelled({"normal": 1}, "train"), labelled({"anomalous": 4}, "test")])
    with pytest.raises(DataFault, match=r'no category "wave"(.|\n)*weave'):
        choose(samples, "toy", "wave", None, 0)
    with pytest.raises(DataFault, match=r"at least 2 normal training images; category weave(.|\n)*has 1"):
        choose(samples, "toy", None, None, 0)


def test_fewer_images_keep_the_shares_and_do_not_depend_on_row_order():
    rows = labelled({"normal": 30, "anomalous": 10, "unknown": 1}, "test")
    found = some(rows, 8, seed=0)
    assert found["label"].value_counts().to_dict() == {"normal": 6, "anomalous": 2, "unknown": 1}
    assert (
        some(rows.sample(frac=1, random_state=1), 8, seed=0)["sample_id"].tolist()
        == found["sample_id"].tolist()
    )
    assert some(rows, 8, seed=1)["sample_id"].tolist() != found["sample_id"].tolist()
