import dataclasses
import io
import warnings

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import nn

import detectors
from detectors.backbones import BACKBONES
from detectors.base import split_normals
from detectors.blocks.pca import moments, n_components
from detectors.dfr import VGG_LAYERS, Dfr, Gather, area_matrix, autoencoder
from detectors.loop import Loop
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "image_hw": (48, 64), "batch_size": 4, "n_positions": 40,
    "n_vectors": 64, "n_steps": 60, "n_threads": 1,
}  # fmt: skip


def tiny(**options) -> Dfr:
    detector = detectors.create("dfr", **{**TINY, **options})
    assert isinstance(detector, Dfr)
    return detector


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def fitted(normals) -> Dfr:
    return tiny().fit(normals)


def maps(detector, images) -> list[np.ndarray]:
    return [prediction.map for prediction in detector.predict(images)]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# the parts


def as_convolutions(mlp: nn.Sequential) -> nn.Sequential:
    """The same network as 1x1 convolutions over maps."""
    layers = []
    for layer in mlp:
        if isinstance(layer, nn.Linear):
            conv = nn.Conv2d(layer.in_features, layer.out_features, 1)
            conv.load_state_dict({"weight": layer.weight[:, :, None, None], "bias": layer.bias})
            layers.append(conv)
        elif isinstance(layer, nn.BatchNorm1d):
            norm = nn.BatchNorm2d(layer.num_features)
            norm.load_state_dict(layer.state_dict())
            layers.append(norm)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("training", [True, False])
def test_the_autoencoder_on_vectors_equals_1x1_convolutions_on_maps(training):
    mlp = autoencoder(n_channels=14, n_latent=3)
    mlp(noise(50, 14))  # so that the running statistics are not the initial ones
    conv = as_convolutions(mlp)
    mlp.train(training)
    conv.train(training)
    images = noise(2, 14, 5, 7, seed=1)
    vectors = images.permute(0, 2, 3, 1).reshape(-1, 14)
    expected = mlp(vectors).reshape(2, 5, 7, 14).permute(0, 3, 1, 2)
    torch.testing.assert_close(conv(images), expected, rtol=1e-5, atol=1e-5)


def test_the_autoencoder_has_the_widths_of_the_paper_and_a_bare_latent_and_output():
    layers = list(autoencoder(n_channels=3456, n_latent=200))
    widths = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    assert widths == [1928, 400, 200, 400, 1928, 3456]
    assert [type(layer).__name__ for layer in layers] == [
        "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear",
        "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n_vectors", [300, 9000])  # one chunk, and three
def test_the_latent_size_is_the_count_of_sklearns_pca(share, n_vectors):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n_vectors, 20)) * np.geomspace(1, 0.05, 20) + 30
    vectors = vectors @ np.linalg.qr(rng.normal(size=(20, 20)))[0]
    expected = PCA(n_components=share, svd_solver="full").fit(vectors).n_components_
    _, covariance = moments(torch.from_numpy(vectors).float())
    assert n_components(covariance, share) == expected


def test_moments_are_those_of_numpy():
    vectors = noise(5000, 6) * 3 + 1000
    mean, covariance = moments(vectors)
    np.testing.assert_allclose(mean, vectors.double().mean(dim=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(vectors.double().T, bias=True), rtol=1e-9, atol=1e-9)


def test_moments_of_no_vectors_are_refused():
    with pytest.raises(ValueError, match="at least one vector"):
        moments(torch.zeros(0, 3))


def test_constant_features_have_one_component():
    assert n_components(torch.zeros(5, 5, dtype=torch.float64), 0.9) == 1


def test_gathering_equals_enlarging_to_the_input_and_pooling_each_cell():
    found = [noise(1, 3, 24, 32), noise(1, 5, 6, 8, seed=1), noise(1, 2, 48, 64, seed=2)]
    enlarged = [
        nn.functional.interpolate(each, (48, 64), mode="bilinear", align_corners=False) for each in found
    ]
    expected = nn.functional.avg_pool2d(torch.cat(enlarged, dim=1), 4)
    gather = Gather([each.shape[1:] for each in found], (48, 64), (12, 16))
    vectors = gather(found)
    assert vectors.shape == (12 * 16, 10)
    torch.testing.assert_close(vectors.T.reshape(1, 10, 12, 16), expected, rtol=1e-4, atol=1e-5)


def test_cells_of_a_grid_that_does_not_divide_the_input_weigh_the_same():
    matrix = area_matrix(10, 3)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix.sum(axis=0), 0.3)
    np.testing.assert_allclose(matrix[1, 3:7], [0.2, 0.3, 0.3, 0.2])


# the detector


def test_the_shapes_are_those_that_the_backbone_gives(fitted, normals):
    found = next(fitted.features([fitted.prepare(normals[0])]))
    assert fitted.facts_["shapes"] == [list(each.shape) for each in found]


def test_the_papers_layers_are_twelve_with_3456_channels():
    detector = detectors.create("dfr", profile="paper", weights="random", image_hw=(48, 64))
    detector._settle([(48, 64)])
    assert len(VGG_LAYERS) == 12
    shapes = detector._shapes()
    assert sum(shape[0] for shape in shapes) == 3456
    assert [tuple(shape) for shape in (shapes[0], shapes[-1])] == [(64, 48, 64), (512, 6, 8)]


def test_the_papers_features_go_in_as_they_are_and_its_score_is_the_maximum(normals):
    config = detectors.create("dfr", profile="paper").config
    assert not config.standardize
    detector = tiny(standardize=config.standardize, score=config.score, n_steps=5).fit(normals)
    for prediction in detector.predict(normals[:2]):
        assert prediction.score == prediction.map.max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create("dfr", profile="smoke", seed=seed, cache_folder=cache)
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    predicted = np.concatenate([each.ravel() for each in maps(detector, images)])
    truth = np.concatenate([each.ravel() for each in masks])
    assert roc_auc_score(truth, predicted) > 0.7


def test_defective_images_score_above_all_held_out_normals(fitted):
    rng = np.random.default_rng(5)
    threshold = fitted.calibration.threshold(fpr=0)
    assert all(
        each.score >= threshold for each in fitted.predict([anomalous_image(rng)[0] for _ in range(4)])
    )


@pytest.mark.parametrize("standardize", [True, False])
def test_a_linear_autoencoder_as_wide_as_the_features_learns_to_rebuild_everything(normals, standardize):
    options = {"linear": True, "standardize": standardize, "layers": ("stage1",), "learning_rate": 0.01}
    narrow = tiny(**options, variance_share=0.5, n_steps=800).fit(normals)
    wide = tiny(**options, variance_share=1.0, n_steps=800).fit(normals)
    assert wide.facts_["n_latent"] == 12
    assert narrow.facts_["n_latent"] < 12
    left = max(each.max() for each in maps(wide, normals)) / max(each.max() for each in maps(narrow, normals))
    assert left < 0.1


def test_map_equals_the_reconstruction_error_written_out(fitted, normals):
    net, head = fitted.backbone_.net(), fitted.head_
    layers = net(torch.from_numpy(fitted.prepare(normals[0]).pixels)[None])
    enlarged = [nn.functional.interpolate(each, (48, 64), mode="bilinear") for each in layers]
    grid = nn.functional.avg_pool2d(torch.cat(enlarged, dim=1), 4)
    scaled = (grid - head.mean[:, None, None]) * head.scale[:, None, None]
    rebuilt = as_convolutions(head.cae).eval()(scaled)
    error = (rebuilt - scaled).square().mean(dim=1)[0].detach().numpy()
    expected = fitted.geometry.to_image(error, (48, 64), blur_sigma=0)
    prediction = next(fitted.predict(normals[:1]))
    np.testing.assert_allclose(prediction.map, expected, rtol=1e-3)
    highest = np.sort(prediction.map.ravel())[-round(0.05 * 48 * 64) :]
    assert prediction.score == pytest.approx(highest.mean(), rel=1e-4)


def test_features_are_standardised_over_the_positions_that_were_kept(normals):
    detector = tiny(standardize=True, n_positions=10_000)  # every cell
    detector.fit(normals)
    used = [image for index, image in enumerate(normals) if index not in held_out_of(detector, normals)]
    gather = detector.head_.gather
    vectors = torch.cat(
        [gather([torch.from_numpy(each)[None] for each in found])
         for found in detector.features([detector.prepare(image) for image in used])]
    )  # fmt: skip
    scaled = (vectors - detector.head_.mean) * detector.head_.scale
    np.testing.assert_allclose(scaled.mean(dim=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(dim=0, correction=0), 1, atol=1e-3)


def held_out_of(detector: Dfr, normals: list[np.ndarray]) -> set[int]:
    return set(split_normals(len(normals), detector.config.val_fraction, detector.config.seed)[1])


def test_without_standardising_features_go_in_as_they_are(normals):
    head = tiny(standardize=False).fit(normals).head_
    assert torch.equal(head.mean, torch.zeros(48))
    assert torch.equal(head.scale, torch.ones(48))


def test_repeated_edges_are_not_learned_from(normals):
    flat = np.concatenate([normals[0][:8], normals[1][:8]])  # 16 x 64 in 48 x 64: two thirds are edges
    detector = tiny(n_positions=10_000)
    detector.fit([flat] * 4)
    seen = detector._vectors([detector.prepare(flat)], Loop())
    assert len(seen) == 16 // 4 * 64 // 4


def test_same_seed_gives_bit_equal_maps_and_another_seed_others(fitted, normals):
    assert equal(maps(tiny().fit(normals), normals), maps(fitted, normals))
    assert not equal(maps(tiny(seed=1).fit(normals), normals), maps(fitted, normals))


@pytest.mark.parametrize("n_together", [1, 3, 5])
def test_maps_do_not_depend_on_what_comes_together(fitted, normals, n_together):
    parts = [
        each
        for start in range(0, 12, n_together)
        for each in maps(fitted, normals[start : start + n_together])
    ]
    assert equal(parts, maps(fitted, normals))


def test_a_stopped_and_resumed_fit_equals_an_uninterrupted_one(fitted, normals, tmp_path):
    steps = []

    def stop() -> bool:
        return len(steps) >= 25

    first = tiny().fit(
        normals,
        checkpoint=tmp_path / "state",
        should_stop=stop,
        progress=lambda at: steps.append(at) if at.stage == "train" else None,
    )
    assert first.report.stopped
    assert not equal(maps(first, normals), maps(fitted, normals))
    done = []
    again = tiny().fit(
        normals,
        checkpoint=tmp_path / "state",
        progress=lambda at: done.append(at.step) if at.stage == "train" else None,
    )
    assert done == list(range(26, 61))
    assert equal(maps(again, normals), maps(fitted, normals))


def test_a_checkpoint_of_other_images_is_not_used(normals, tmp_path):
    tiny().fit(normals, checkpoint=tmp_path / "state")
    done = []
    tiny().fit(
        [image[::-1] for image in normals],
        checkpoint=tmp_path / "state",
        progress=lambda at: done.append(at.step) if at.stage == "train" else None,
    )
    assert done == list(range(1, 61))


def test_a_fit_stopped_while_reading_says_how_many_images_it_saw(normals):
    detector = tiny()
    report = detector.fit(normals, should_stop=lambda: True).report
    assert (report.stopped, report.n_normals) == (True, 1)
    assert np.isfinite(next(detector.predict(normals[:1])).score)


def test_loaded_detector_predicts_the_same_bits(fitted, normals, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = detectors.load(tmp_path / "saved")
    assert equal(maps(loaded, normals), maps(fitted, normals))
    assert dataclasses.replace(loaded.config, runtime="auto") == fitted.config


def test_layers_can_be_chosen_and_are_kept_by_saving(normals, tmp_path):
    detector = tiny(layers=("stage0", "stage2"), n_steps=5).fit(normals)
    assert [shape[0] for shape in detector.facts_["shapes"]] == [8, 16]
    detector.save(tmp_path / "saved")
    loaded = detectors.load(tmp_path / "saved")
    assert loaded.config.layers == ("stage0", "stage2")
    assert equal(maps(loaded, normals), maps(detector, normals))


def test_constant_images_can_be_learned(normals):
    detector = tiny(n_steps=5).fit([np.full((48, 64, 3), 90, np.uint8)] * 4)
    assert all(np.isfinite(each.map).all() for each in detector.predict([normals[0], normals[0] * 0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride >= 1"),
        ({"n_positions": 0}, "n_positions >= 1"),
        ({"n_vectors": 1}, "n_vectors >= 2"),
        ({"variance_share": 0.0}, r"variance_share in \(0, 1\], found 0"),
        ({"variance_share": 1.1}, r"variance_share in \(0, 1\], found 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_forecast_counts_the_kept_vectors():
    detector = tiny()
    detector._settle([(48, 64)])
    n_channels = sum((12, 16, 20))
    more = detector.forecast(1000).fit_bytes - detector.forecast(0).fit_bytes
    assert more == 1000 * (2 * 40 * n_channels * 4 + 48 * 64 * 3)
    assert "n_positions=10" in detector.forecast(1000).remedies[0]


@pytest.mark.parametrize("which", ["tiny", "smoke"])
def test_exported_scorer_gives_the_same_grid(which, normals, tmp_path_factory):
    import onnxruntime

    cache = tmp_path_factory.getbasetemp() / "exports"
    detector, images = tiny(), normals
    if which == "smoke":
        detector = detectors.create("dfr", profile="smoke", cache_folder=cache)
        images = smoke_scene.normals()
    detector.fit(images)
    pixels = torch.from_numpy(detector.prepare(anomalous_image(np.random.default_rng(1))[0]).pixels)[None]
    before = maps(detector, images[:1])
    scorer, file = detector.scorer(), io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # sizes become constants
        torch.onnx.export(scorer, (pixels,), file, dynamo=False, opset_version=17, input_names=["pixels"])
        expected = scorer(pixels).numpy()
    assert equal(maps(detector, images[:1]), before)  # exporting leaves the detector as it was
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels.numpy()})
    assert found.shape == expected.shape == (1, *detector.facts_["grid_hw"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_every_backbone_can_tell_its_shapes():
    for name in BACKBONES:
        detector = detectors.create("dfr", backbone=name, weights="random", image_hw=(64, 96))
        detector._settle([(64, 96)])
        shapes = detector._shapes()
        assert len(shapes) == len(BACKBONES[name].layers)
        assert all(len(shape) == 3 and min(shape) > 0 for shape in shapes)
