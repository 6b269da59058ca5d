import io
import itertools
import warnings

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.metrics import roc_auc_score

import detectors
from detectors import memory
from detectors.memory import TooLarge
from detectors.npad import Npad, z_statistics
from detectors.padim import Padim, PadimConfig
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "n_channels": 20, "image_hw": (48, 64), "batch_size": 4,
    "runtime": "torch", "n_clusters": 12, "n_sampled": 400, "window": 3,
    "search": "own", "centre_weight": 1.0,
}  # fmt: skip


def tiny(**options) -> Npad:
    detector = detectors.create("npad", **{**TINY, **options})
    assert isinstance(detector, Npad)
    return detector


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def fitted(normals) -> Npad:
    return tiny().fit(normals)


def maps(detector, images) -> list[np.ndarray]:
    return [prediction.map for prediction in detector.predict(images)]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def exported(detector, image) -> np.ndarray:
    """The score grid of the exported graph."""
    import onnxruntime

    pixels, buffer = torch.from_numpy(detector.prepare(image).pixels)[None], io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(detector.scorer(), (pixels,), buffer, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels.numpy()})[0]


def map_of(detector, grid, image) -> np.ndarray:
    return detector.geometry.to_image(grid[0], image.shape[:2], detector.map_blur_sigma)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create("npad", profile="smoke", seed=seed, cache_folder=cache)
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    predicted = np.concatenate([each.ravel() for each in maps(detector, images)])
    assert roc_auc_score(np.concatenate([each.ravel() for each in masks]), predicted) > 0.7


def test_defective_images_score_above_all_held_out_normals(fitted):
    rng = np.random.default_rng(5)
    threshold = fitted.calibration.threshold(fpr=0)
    assert all(
        each.score >= threshold for each in fitted.predict([anomalous_image(rng)[0] for _ in range(4)])
    )


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        ({}, [(0, 0)]),
        ({"search": "all"}, list(itertools.product((-1, 0, 1), repeat=2))),
        ({"search": "cross", "window": 5}, [(0, 0), (0, 2), (0, -2), (2, 0), (-2, 0)]),
    ],
)
def test_map_is_the_sum_of_two_distances_written_out(normals, options, offsets):
    detector = tiny(centre_weight=0.7, **options).fit(normals)
    height, width = detector._grid_hw()
    pixels = torch.from_numpy(detector.prepare(normals[0]).pixels)[None]
    vectors = detector._merged()(pixels).double().numpy()
    gaussian, centres = detector.gaussian_, detector.centres_
    mean, whitener = gaussian.mean.double().numpy(), gaussian.whitener.double().numpy()
    near = np.full(height * width, np.inf)
    for p in range(height * width):
        for q in range(height * width):
            if (q // width - p // width, q % width - p % width) in offsets:
                distance = mahalanobis(vectors[p], mean[q], whitener[q] @ whitener[q].T)
                near[p] = min(near[p], distance)
    scaled = (vectors - centres.offset.numpy()) * centres.scale.numpy()
    to_centre = cdist(scaled, centres.centres).min(axis=1)
    (mean_m, deviation_m), (mean_e, deviation_e) = detector.z_.tolist()
    grid = (near - mean_m) / deviation_m + 0.7 * (to_centre - mean_e) / deviation_e
    expected = map_of(detector, grid.reshape(1, height, width), normals[0])
    np.testing.assert_allclose(maps(detector, normals[:1])[0], expected, atol=2e-4)


def test_a_window_of_one_without_centres_orders_maps_as_padim_does(normals):
    same = {key: value for key, value in TINY.items() if hasattr(PadimConfig, key)}
    padim = detectors.create("padim", **same)
    assert isinstance(padim, Padim)
    padim.fit(normals)
    single = tiny(window=1, centre_weight=0.0).fit(normals)
    np.testing.assert_allclose(single.gaussian_.mean, padim.gaussian_.mean, rtol=1e-6)
    np.testing.assert_allclose(single.gaussian_.whitener, padim.gaussian_.whitener, rtol=2e-3, atol=1e-3)
    (mean, deviation), _ = single.z_.tolist()
    for ours, theirs in zip(maps(single, normals), maps(padim, normals), strict=True):
        np.testing.assert_allclose(ours * deviation + mean, theirs, rtol=1e-3)


def test_the_least_distance_over_the_window_is_at_most_the_centres(normals, fitted):
    nearest = tiny(search="all", centre_weight=0.0).fit(normals)
    plain = tiny(centre_weight=0.0).fit(normals)
    for image in normals:
        pixels = torch.from_numpy(nearest.prepare(image).pixels)[None]
        least, own = (each.scorer()(pixels) * each.z_[0, 1] + each.z_[0, 0] for each in (nearest, plain))
        assert (least <= own * (1 + 1e-4)).all()
        assert (least < own).any()


def interior(grid: torch.Tensor) -> torch.Tensor:
    return grid[0, 3:-3, 3:-3]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_shift_by_one_pixel_changes_the_interior_less_than_padims(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    images = smoke_scene.normals(seed)
    changes = {}
    for name, options in (
        ("padim", {}),
        ("npad", {"window": 3, "search": "own", "centre_weight": 0.0}),  # the pooling alone
    ):
        detector = detectors.create(name, profile="smoke", cache_folder=cache, **options).fit(images)
        scorer = detector.scorer()
        before, after = (
            torch.stack([interior(scorer(torch.from_numpy(each)[None])) for each in pictures])
            for pictures in (images, [np.roll(each, 1, axis=1) for each in images])
        )
        changes[name] = float((after - before).abs().mean() / before.std())
    assert changes["npad"] < 0.9 * changes["padim"]


def test_z_scores_of_the_held_out_normals_have_mean_0_and_deviation_1(normals):
    detector = tiny(blur_sigma=0.0, centre_weight=0.0, score="mean", val_fraction=0.4)
    detector.fit(normals)
    assert np.mean(detector.calibration.scores) == pytest.approx(0, abs=0.2)  # of maps, not of grids
    assert detector.z_.shape == (2, 2)
    pairs = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(z_statistics(pairs), [[2, (2 / 3) ** 0.5], [5, 1]], rtol=1e-6)


def test_calibration_scores_come_from_before_the_held_out_images_were_learned(normals):
    detector = tiny(centre_weight=0.0).fit(normals)
    _, held_out = detectors.base.split_normals(len(normals), 0.1, seed=0)
    own = [each.score for each in detector.predict([normals[index] for index in held_out])]
    assert min(detector.calibration.scores) > max(own)
    assert detector.n_normals_ == len(normals)


@pytest.mark.parametrize("n_together", [1, 3, 5])
@pytest.mark.parametrize("search", ["own", "cross"])
def test_maps_do_not_depend_on_what_comes_together(normals, n_together, search):
    detector = tiny(search=search).fit(normals)
    parts = [
        each
        for start in range(0, 12, n_together)
        for each in maps(detector, normals[start : start + n_together])
    ]
    assert equal(parts, maps(detector, normals))


def test_same_seed_gives_bit_equal_maps_and_another_seed_others(fitted, normals):
    assert equal(maps(tiny().fit(normals), normals), maps(fitted, normals))
    assert not equal(maps(tiny(seed=1).fit(normals), normals), maps(fitted, normals))


def test_the_fit_does_not_depend_on_the_number_of_threads(fitted, normals):
    assert equal(maps(tiny(n_threads=1).fit(normals), normals), maps(fitted, normals))


def test_loaded_detector_predicts_the_same_bits(fitted, normals, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = detectors.load(tmp_path / "saved")
    assert equal(maps(loaded, normals), maps(fitted, normals))
    assert loaded.calibration == fitted.calibration


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"search": "all"},
        {"search": "cross", "window": 5},
        {"merge": "bilinear"},
    ],
)
def test_the_exported_graph_gives_predicts_map(normals, options):
    detector = tiny(**options).fit(normals)
    image = anomalous_image(np.random.default_rng(1))[0]
    expected = maps(detector, [image])[0]
    found = map_of(detector, exported(detector, image), image)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_two_normals_give_finite_maps_and_a_warning(normals):
    detector = tiny().fit(normals[:2])
    assert "biased low" in detector.report.warnings[0]
    assert all(np.isfinite(each).all() for each in maps(detector, normals))


def test_constant_normals_give_finite_maps():
    grey = [np.full((48, 64, 3), 90, np.uint8)] * 5
    detector = tiny().fit(grey)
    assert all(np.isfinite(each).all() for each in maps(detector, [*grey, smoke_scene.normals(n=1)[0][:48]]))


def test_a_stopped_fit_is_usable(normals):
    report = (detector := tiny()).fit(normals, should_stop=lambda: True).report
    assert report.stopped
    assert np.isfinite(next(detector.predict(normals[:1])).score)


def test_a_fit_that_would_not_fit_is_refused_before_anything_is_read(monkeypatch, normals):
    monkeypatch.setattr(memory, "available_bytes", lambda: 200 << 20)
    seen = []
    with pytest.raises(TooLarge, match=r"(?s)Fitting npad would need .* Set n_channels to \d+: 0\.\d GiB"):
        detectors.create("npad").fit(normals, progress=seen.append)
    assert seen == []


@pytest.mark.parametrize(
    "options", [{"window": 2}, {"window": 0}, {"search": "none"}, {"n_clusters": 0}, {"centre_weight": -1.0}]
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="Expected"):
        tiny(**options)
