"""What is measured on a picture, and the file that measurements are kept in."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from curate import measurement_cache, statistics
from curate.errors import CurateError
from curate.ingest import build_table
from curate.line_defects import find_lines
from curate.statistics import COLUMNS, measure, perceptual_hash
from tests.helpers.pictures import blurred, drawn, exposed
from tests.helpers.places import REPOSITORY
from tests.helpers.tiny import write_mvtec

HW = (48, 64)


def test_levels_are_shares_of_the_range() -> None:
    image = np.full(HW, 51, np.uint8)
    image[:6], image[6:8] = 0, 255
    found = measure(image)
    assert found["brightness_p50"] == pytest.approx(0.2)
    assert (found["brightness_p01"], found["brightness_p99"]) == (0, 1)
    assert found["under_fraction"] == pytest.approx(6 / 48)
    assert found["over_fraction"] == pytest.approx(2 / 48)
    assert found["red"] == found["green"] == pytest.approx((40 * 51 + 2 * 255) / 48 / 255)


def test_one_clipped_channel_is_overexposed_and_colours_are_told_apart() -> None:
    image = np.full((*HW, 3), 40, np.uint8)
    image[:12, :, 2] = 255
    found = measure(image)
    assert (found["over_fraction"], found["under_fraction"]) == (0.25, 0)
    assert found["blue"] > found["red"] == pytest.approx(40 / 255)


@pytest.mark.parametrize(("top", "share"), [(4095, 0.25), (65535, 0.25), (4000, 0.0)])
def test_twelve_bits_in_a_sixteen_bit_file_end_at_their_own_ceiling(top: int, share: float) -> None:
    image = np.full(HW, 900, np.uint16)
    image[:12] = top
    assert measure(image)["over_fraction"] == share


def test_eight_and_sixteen_bits_measure_alike() -> None:
    (image,) = drawn(1)
    fine, coarse = measure(image.astype(np.uint16) * 257), measure(image)
    for name in ("brightness_p50", "contrast", "sharpness_x", "sharpness_y", "noise", "green"):
        assert fine[name] == pytest.approx(coarse[name], rel=0.03), name
    thumbs = [np.frombuffer(found["thumb"], np.uint8).astype(int) for found in (fine, coarse)]
    assert np.abs(thumbs[0] - thumbs[1]).max() <= 1


@pytest.mark.parametrize("bad", [np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(HW)])
def test_other_arrays_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected \(H, W\) or \(H, W, 3\), uint8 or uint16; found"):
        measure(bad)


@pytest.mark.parametrize("image_hw", [(1, 1), (1, 300), (2, 2), (300, 3)])
def test_the_smallest_pictures_can_be_measured(image_hw: tuple[int, int]) -> None:
    found = measure(np.full(image_hw, 9, np.uint8))
    assert set(found) == set(COLUMNS)
    assert all(np.isfinite(value) for value in found.values() if isinstance(value, float))


def test_an_ideal_step_has_sharpness_two_and_a_wide_one_less() -> None:
    # few edge pixels beside the strongest 2 % would measure the plateaus, so there are many steps
    step = np.tile(np.where(np.arange(256) % 32 < 16, 60, 180).astype(np.uint8), (256, 1))
    assert measure(step)["sharpness_x"] == pytest.approx(2, abs=0.15)
    assert measure(blurred(2)(step))["sharpness_x"] == pytest.approx(np.sqrt(8 / 5), abs=0.1)


def test_sharpness_falls_with_blur_and_not_with_exposure() -> None:
    (image,) = drawn(1)
    values = [measure(blurred(sigma)(image))["sharpness_y"] for sigma in (0.3, 0.8, 1.5, 2.5)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.3
    assert measure(exposed(0.6)(image))["sharpness_y"] == pytest.approx(values[0], rel=0.05)


def test_motion_blurs_one_axis_only() -> None:
    (image,) = drawn(1)
    still, moved = measure(image), measure(cv2.blur(image, (9, 1)))
    assert moved["sharpness_x"] < 0.85 * still["sharpness_x"]
    assert moved["sharpness_y"] > 0.95 * still["sharpness_y"]


def test_an_even_surface_is_not_blurred() -> None:
    noise = np.random.default_rng(0).normal(120, 2, (200, 300)).round().astype(np.uint8)
    assert measure(noise)["sharpness_x"] > 2.5
    assert measure(np.zeros(HW, np.uint8))["sharpness_x"] == 4


def test_a_large_picture_is_measured_at_its_own_resolution() -> None:
    (small,) = drawn(1)
    large = np.tile(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (16, 16))
    assert measure(large)["sharpness_x"] == pytest.approx(measure(small)["sharpness_x"], rel=0.15)
    assert measure(large)["noise"] == pytest.approx(measure(small)["noise"], rel=0.3)


def test_noise_is_measured_beside_structure() -> None:
    rows = np.linspace(40, 200, 128)[:, None] + np.zeros((1, 160))
    rows[:, 80:] += 30
    noisy = rows + np.random.default_rng(0).normal(0, 5, rows.shape)
    assert measure(noisy.round().clip(0, 255).astype(np.uint8))["noise"] == pytest.approx(5 / 255, rel=0.1)


def _grey() -> np.ndarray:
    return cv2.cvtColor(drawn(1)[0], cv2.COLOR_RGB2GRAY)


def test_a_column_that_is_off_is_found_with_its_step() -> None:
    grey = _grey()
    grey[:, 33] += 12
    (axis, position, step, _), *others = find_lines(grey, 255)
    assert (axis, position, others) == ("column", 33, [])
    assert step == pytest.approx(12 / 255, abs=0.006)


def test_rows_and_constant_lines_are_found() -> None:
    grey = _grey()
    grey[50] = 130
    grey[:, 20] = 0
    assert {line[:2] for line in find_lines(grey, 255)} == {("row", 50), ("column", 20)}


def test_straight_structures_of_the_scene_are_no_lines() -> None:
    rng = np.random.default_rng(0)
    for edge in (40.0, 40.3, 40.5):
        columns = np.arange(128.0)
        bar = 80 / (1 + np.exp(-(columns - edge) / 0.5)) - 80 / (1 + np.exp(-(columns - edge - 3) / 0.5))
        image = 60 + bar[None] + rng.normal(0, 1, (96, 128))
        assert find_lines(image.round().clip(0, 255).astype(np.uint8), 255) == []


def test_a_line_over_half_of_the_picture_is_none_of_the_sensor() -> None:
    grey = _grey()
    grey[:48, 33] += 12
    assert find_lines(grey, 255) == []


def test_the_hash_survives_exposure_and_tells_pictures_apart() -> None:
    one, other = _grey(), cv2.cvtColor(drawn(1, "acf")[0], cv2.COLOR_RGB2GRAY)
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(perceptual_hash(image)), np.uint8)) for image in
            (one, exposed(0.8)(one), other)]  # fmt: skip
    assert (bits[0] != bits[1]).sum() <= 3
    assert (bits[0] != bits[2]).sum() > 12


def test_thumbs_of_pictures_cut_a_little_differently_have_one_scale() -> None:
    whole = np.zeros((300, 380), np.uint8)
    scales = {measure(image)["thumb_scale"] for image in (whole, whole[4:, 7:], whole[:, :360])}
    assert len(scales) == 1
    found = measure(whole)
    assert len(found["thumb"]) == found["thumb_h"] * found["thumb_w"]
    assert max(found["thumb_h"], found["thumb_w"]) <= 96


@pytest.fixture
def samples(tmp_path: Path) -> pd.DataFrame:
    table, _ = build_table(write_mvtec(tmp_path / "data"))
    return table


def test_the_table_has_a_row_for_each_sample_in_its_order(samples: pd.DataFrame, tmp_path: Path) -> None:
    shuffled = samples.sample(frac=1, random_state=1).reset_index(drop=True)
    found = statistics.table(shuffled, tmp_path / "cache.sqlite")
    assert found["sample_id"].tolist() == shuffled["sample_id"].tolist()
    assert list(found.columns) == ["sample_id", *COLUMNS]
    first = cv2.imread(shuffled["filepath"][0])[:, :, ::-1]
    assert found["phash"][0] == measure(np.ascontiguousarray(first))["phash"]
    assert isinstance(json.loads(found["lines"][0]), list)


def test_what_is_measured_is_not_decoded_again(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    before = statistics.table(samples, tmp_path / "cache.sqlite", done.append)
    assert sum(done) == len(samples)
    monkeypatch.setattr(statistics, "measure", lambda pixels: pytest.fail("measured again"))
    done.clear()
    after = statistics.table(samples, tmp_path / "cache.sqlite", done.append)
    pd.testing.assert_frame_equal(after, before)
    assert sum(done) == len(samples)


def test_files_that_cannot_be_read_have_no_row(samples: pd.DataFrame, tmp_path: Path) -> None:
    Path(samples["filepath"][3]).write_bytes(b"")
    found = statistics.table(samples, tmp_path / "cache.sqlite")
    assert found["sample_id"].tolist() == samples["sample_id"].drop(3).tolist()


def test_a_damaged_cache_or_one_of_another_version_is_begun_anew(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"not a database at all" * 99)
    before = statistics.table(samples, path)
    monkeypatch.setattr(statistics, "VERSION", 2)
    monkeypatch.setattr(statistics, "measure", lambda pixels: {**measure(pixels), "noise": 7.0})
    assert (statistics.table(samples, path)["noise"] == 7).all()
    assert (before["noise"] < 1).all()


def test_a_cache_that_another_program_holds_is_named_and_left(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement_cache, "WAIT_S", 0.1, raising=False)
    path = tmp_path / "cache.sqlite"
    statistics.table(samples, path)
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CurateError, match="is held by another program"):
            statistics.table(samples, path)
    assert path.read_bytes() == before


KILLED = """
import os, sys
from pathlib import Path
import pandas as pd
from curate import measurement_cache, statistics
measurement_cache.BATCH = 4
whole, left = statistics.measure, [36]
def dying(pixels):
    left[0] -= 1
    return whole(pixels) if left[0] else os._exit(9)
statistics.measure = dying
statistics.table(pd.read_pickle(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache.sqlite"
    samples, _ = build_table(write_mvtec(tmp_path / "more", n_train=40))
    samples.to_pickle(tmp_path / "samples.pkl")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "samples.pkl"), str(path)]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 9
    monkeypatch.setattr(statistics, "measure", lambda pixels: again.append(1) or measure(pixels))
    again: list[int] = []
    found = statistics.table(samples, path)
    assert len(found) == len(samples)
    assert 0 < len(again) <= len(samples) - 16
