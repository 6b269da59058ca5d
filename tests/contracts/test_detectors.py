"""Every registered detector keeps the promises of detectors/base.py."""

from pathlib import Path

import numpy as np
import pytest
import torch

import detectors
from detectors import DETECTORS, PREFIXES
from detectors.base import Config, Detector, Labeled
from tests.detectors import smoke_scene

NOT_DETECTORS = {
    "__init__",
    "base",
    "calibration",
    "config",
    "devices",
    "export",
    "geometry",
    "headed",
    "loop",
    "maps",
    "memory",
    "normals",
    "prefetch",
    "records",
    "reductions",
    "saving",
    "threads",
    "wrapping",
}


@pytest.fixture(scope="module", params=DETECTORS)
def fitted(request, tmp_path_factory) -> Detector:
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create(request.param, profile="smoke", cache_folder=cache)
    detector.fit(smoke_scene.normals())
    return detector


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [image[:48] for image, _ in smoke_scene.tests()[:3]] + [
        np.full((48, 64, 3), 128, np.uint8),
        rng.integers(0, 256, (37, 91, 3), dtype=np.uint8),
    ]


def test_every_detector_file_is_registered():
    folder = Path(detectors.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - NOT_DETECTORS
    entries = [*DETECTORS.values(), *PREFIXES.values()]
    assert files == {entry.target.partition(":")[0].removeprefix("detectors.") for entry in entries}


@pytest.mark.parametrize("name", DETECTORS)
def test_entry_loads_and_has_a_summary(name):
    found = DETECTORS[name].load()
    assert issubclass(found, Detector)
    assert found.name == name
    assert DETECTORS[name].summary
    assert found.supervision in ("normal", "normal+labels", "normal+masks")
    assert found.map_kind in ("native", "derived", "none")


@pytest.mark.parametrize("name", DETECTORS)
def test_profiles_are_valid_settings(name):
    found = DETECTORS[name].load()
    assert issubclass(found.config_class, Config)
    for profile in ("paper", "cpu", "smoke"):
        assert found.config_class.from_profile(profile).profile == profile


@pytest.mark.parametrize("name", DETECTORS)
def test_unknown_options_and_profiles_are_refused(name):
    with pytest.raises(ValueError, match=r'Unknown option "sed".*Did you mean "seed"'):
        detectors.create(name, sed=1)
    with pytest.raises(ValueError, match='Unknown profile "gpu"'):
        detectors.create(name, profile="gpu")
    with pytest.raises(ValueError, match="image_hw as"):
        detectors.create(name, image_hw=256)


@pytest.mark.parametrize("name", [*DETECTORS, "tiled:padim"])
@pytest.mark.parametrize("device", ["gpu", "cuda:77", "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_runs(name, device):
    with pytest.raises(ValueError, match=device):
        detectors.create(name, profile="smoke", device=device)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_normals_are_refused(name, n):
    with pytest.raises(ValueError, match=f"at least 2 normal images to fit on, found {n}"):
        detectors.create(name, profile="smoke").fit(smoke_scene.normals(n=n))


@pytest.mark.parametrize("name", DETECTORS)
def test_an_unfitted_detector_says_so(name, tmp_path):
    detector = detectors.create(name, profile="smoke")
    for use in (
        lambda: list(detector.predict(smoke_scene.normals(n=1))),
        lambda: detector.save(tmp_path / "x"),
    ):
        with pytest.raises(ValueError, match="not fitted"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_scores_are_finite_and_maps_have_the_images_own_size(fitted, images):
    for image, prediction in zip(images, fitted.predict(images), strict=True):
        assert isinstance(prediction.score, float)
        assert np.isfinite(prediction.score)
        assert (prediction.map is None) == (fitted.map_kind == "none")
        if prediction.map is not None:
            assert prediction.map.shape == image.shape[:2]
            assert prediction.map.dtype == np.float32
            assert np.isfinite(prediction.map).all()


def test_predict_does_not_depend_on_order(fitted, images):
    straight = [each.score for each in fitted.predict(images)]
    assert [each.score for each in fitted.predict(images[::-1])] == straight[::-1]


def test_predictions_taken_in_turns_leave_torchs_threads_alone(fitted, images):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        first, second = fitted.predict(images), fitted.predict(images)
        for _ in zip(first, second, strict=True):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_predict_leaves_images_alone(fitted, images):
    before = [image.copy() for image in images]
    list(fitted.predict(images))
    assert all(np.array_equal(a, b) for a, b in zip(before, images, strict=True))


def test_predict_of_no_images_is_empty(fitted):
    assert list(fitted.predict([])) == []


def test_saved_state_is_plain_tensors_and_predicts_the_same(fitted, images, tmp_path):
    fitted.save(tmp_path / "saved")
    state = torch.load(tmp_path / "saved" / "state.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    loaded = detectors.load(tmp_path / "saved", cache_folder=fitted.cache_folder)
    assert [each.score for each in loaded.predict(images)] == [each.score for each in fitted.predict(images)]


def test_the_same_seed_gives_the_same_maps_bit_for_bit(fitted, images):
    again = detectors.create(fitted.name, profile="smoke", cache_folder=fitted.cache_folder)
    again.fit(smoke_scene.normals())
    assert again.calibration == fitted.calibration
    for a, b in zip(fitted.predict(images), again.predict(images), strict=True):
        assert a.score == b.score
        if a.map is not None:
            np.testing.assert_array_equal(a.map, b.map)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_stopped_fit_can_be_used_and_saved_and_says_that_it_was_stopped(name, tmp_path_factory, tmp_path):
    stages: dict[str, list[int]] = {}

    def note(event):
        assert 0 <= event.step <= event.total
        stages.setdefault(event.stage, []).append(event.step)

    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create(name, profile="smoke", cache_folder=cache)
    detector.fit(smoke_scene.normals(n=6), progress=note, should_stop=lambda: True)
    assert detector.report.stopped
    assert all(steps == sorted(steps) for steps in stages.values())
    detector.save(tmp_path / "saved")
    loaded = detectors.load(tmp_path / "saved", cache_folder=cache)
    assert np.isfinite(next(iter(loaded.predict(smoke_scene.normals(n=1)))).score)


def test_calibration_comes_from_held_out_normals(fitted):
    assert fitted.calibration.held_out
    assert len(fitted.calibration.scores) == 2  # a tenth of 24
    if fitted.map_kind != "none":
        lo, hi = fitted.calibration.display_range
        assert lo < hi


@pytest.mark.parametrize("name", DETECTORS)
def test_anomalies_are_ignored_with_a_warning_by_detectors_of_normals(name, tmp_path_factory):
    found = DETECTORS[name].load()
    if found.supervision != "normal" or found.accepts_anomalies:
        return
    image, mask = smoke_scene.tests()[0]
    detector = detectors.create(
        name, profile="smoke", cache_folder=tmp_path_factory.getbasetemp() / "exports"
    )
    report = detector.fit(smoke_scene.normals(n=6), [Labeled(image, 1, mask)]).report
    assert "1 anomalous images were ignored" in report.warnings[0]


def test_native_map_finds_the_defects(fitted):
    if fitted.map_kind != "native":
        return
    images, masks = zip(*smoke_scene.tests(), strict=True)
    maps = [each.map for each in fitted.predict(images)]
    inside = np.concatenate([each[mask] for each, mask in zip(maps, masks, strict=True)])
    outside = np.concatenate([each[~mask] for each, mask in zip(maps, masks, strict=True)])
    below = np.searchsorted(np.sort(outside), inside).mean() / len(outside)
    assert below > 0.7
