"""Tiling and several scales around any detector."""

import numpy as np
import pytest

import detectors
from curate.score_identity import identity
from detectors.backbones import runtimes
from detectors.blocks.spool import Spool
from detectors.memory import forecast_fit
from detectors.padim import Padim
from detectors.tiled import Tiled, n_tiles, spans, weights
from tests.detectors import smoke_scene

NAMES = [
    ("tiled:padim", {"tile_side": 32}),
    ("tiled:padim", {"tile_side": 32, "positions": "own"}),
    ("multiscale:padim", {"scales": [1.0, 1.5]}),
    ("multiscale:tiled:padim", {"tile_side": 40, "scales": [1.0, 1.5]}),
]
TINY = {"profile": "smoke", "backbone": "tiny", "weights": "random", "runtime": "torch", "n_channels": 20}


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    return [image[:48] for image in smoke_scene.normals(n=14)]


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [smoke_scene.tests()[0][0][:48], rng.integers(0, 256, (37, 91, 3), dtype=np.uint8)]


@pytest.mark.parametrize(("name", "options"), NAMES)
def test_maps_have_the_images_own_size_and_saving_changes_nothing(name, options, normals, images, tmp_path):
    detector = detectors.create(name, **TINY, **options).fit(normals)
    found = list(detector.predict(images))
    assert [each.map.shape for each in found] == [image.shape[:2] for image in images]
    assert all(np.isfinite(each.map).all() and np.isfinite(each.score) for each in found)
    assert len(detector.calibration.scores) == 1
    assert detector.report.n_normals == 14
    detector.save(tmp_path / "saved")
    loaded = detectors.load(tmp_path / "saved")
    assert loaded.name == name
    for before, after in zip(found, loaded.predict(images), strict=True):
        assert before.score == after.score
        np.testing.assert_array_equal(before.map, after.map)


@pytest.mark.parametrize(("name", "options"), NAMES)
def test_predict_depends_neither_on_order_nor_on_neighbours(name, options, normals, images):
    detector = detectors.create(name, **TINY, **options).fit(normals)
    together = [each.score for each in detector.predict(images)]
    alone = [next(iter(detector.predict([image]))).score for image in images]
    assert together == alone


@pytest.mark.parametrize(("name", "options"), NAMES)
def test_two_normals_are_enough_but_the_report_warns(name, options, normals, images):
    detector = detectors.create(name, **TINY, **options).fit(normals[:2])
    assert "Too few normals" in detector.report.warnings[0]
    assert all(np.isfinite(each.score) for each in detector.predict(images))


def test_one_tile_is_the_inner_detector_itself(normals, images):
    whole = detectors.create("padim", **TINY).fit(normals)
    tiled = detectors.create("tiled:padim", **TINY, tile_side=64).fit(normals)
    for a, b in zip(whole.predict(images), tiled.predict(images), strict=True):
        assert a.score == b.score
        np.testing.assert_array_equal(a.map, b.map)


def test_a_defect_is_found_in_the_tile_that_shows_it(normals):
    image = normals[0].copy()
    image[30:36, 50:56] = 255
    tiled = detectors.create("tiled:padim", **TINY, tile_side=24, positions="own").fit(normals)
    found = next(iter(tiled.predict([image]))).map
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 26 <= row <= 40
    assert 46 <= column <= 60


def test_the_score_is_reduced_from_the_joined_map(normals, images):
    tiled = detectors.create("tiled:padim", **TINY, tile_side=32).fit(normals)
    for each in tiled.predict(images):
        assert each.score == each.map.max()


@pytest.mark.parametrize("length", [7, 100, 257])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_tiles_cover_a_length_and_their_weights_sum_to_one(length, n, overlap):
    total = np.zeros(length)
    for (start, end), weight in zip(spans(length, n, overlap), weights(length, n, overlap), strict=True):
        assert 0 <= start < end <= length
        total[start:end] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_tiles_are_at_most_as_long_as_asked():
    for length in (256, 300, 1000, 4096):
        n = n_tiles(length, 256, 0.25)
        assert max(end - start for start, end in spans(length, n, 0.25)) <= 257


def test_progress_of_inner_fits_reaches_the_total(normals):
    seen = []
    tiled = detectors.create("tiled:padim", **TINY, tile_side=32, positions="own")
    tiled.fit(normals, progress=seen.append)
    fits = [event for event in seen if event.stage == "fit"]
    assert fits[-1].step == fits[-1].total
    assert [event.step for event in fits] == sorted(event.step for event in fits)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match=r"overlap in \[0, 0\.5\]"):
        detectors.create("tiled:padim", overlap=0.9)
    with pytest.raises(ValueError, match="two or more positive numbers"):
        detectors.create("multiscale:padim", scales=[1.0])
    with pytest.raises(ValueError, match='Unknown detector "padin"'):
        detectors.create("tiled:padin")


def test_a_spool_beyond_memory_reads_back_what_it_was_given():
    rng = np.random.default_rng(0)
    arrays = [rng.random((5, n)).astype(np.float32) for n in range(1, 9)]
    with Spool(in_memory=64) as spool:
        numbers = [spool.append(array) for array in arrays]
        for number, array in reversed(list(zip(numbers, arrays, strict=True))):
            np.testing.assert_array_equal(spool[number], array)


def test_a_fit_that_stops_among_the_places_reports_the_fewest_normals(normals):
    seen = []
    tiled = detectors.create("tiled:padim", **TINY, tile_side=32, positions="own", batch_size=2)
    tiled.fit(normals, progress=seen.append, should_stop=lambda: len(seen) > 9)
    counts = [inner.n_normals_ for inner in tiled.inner_]
    assert min(counts) < max(counts)
    assert tiled.report.n_normals == min(counts)
    assert tiled._train is None


def test_the_forecast_counts_every_held_out_tile():
    def needed(side: int) -> int:
        tiled = detectors.create("tiled:padim", **TINY, image_hw=(32, 32), tile_side=16)
        return forecast_fit(tiled, 200, [(side, side)]).fit_bytes

    n_tiles_more = 10 * n_tiles(160, 16, 0.25) ** 2 - 100  # ten images are held out at least
    n_positions, n_bytes = 8 * 8, 4 * (TINY["n_channels"] + 1)
    assert needed(160) - needed(16) >= n_tiles_more * n_positions * n_bytes


def test_a_wrapper_has_a_version_of_its_own_beside_those_it_wraps(monkeypatch):
    before = identity("tiled:multiscale:padim", TINY)
    monkeypatch.setattr(Padim, "version", 99)
    assert identity("tiled:multiscale:padim", TINY) != before
    monkeypatch.undo()
    monkeypatch.setattr(Tiled, "version", 99, raising=False)
    assert identity("tiled:multiscale:padim", TINY) != before


def test_a_note_of_the_runtime_reaches_the_report_once(normals, monkeypatch):
    agreeing = runtimes._agreeing

    def noted(*arguments):
        found = agreeing(*arguments)
        found.notes = ("a word",)
        return found

    monkeypatch.setattr(runtimes, "_agreeing", noted)
    monkeypatch.setattr(runtimes, "_kept", type(runtimes._kept)())
    tiled = detectors.create("tiled:padim", **TINY, tile_side=32, positions="own").fit(normals)
    assert tiled.report.warnings == ("a word",)
    assert tiled.runtime == "torch"
