import dataclasses
import io
import json
import re
import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import detectors
from detectors import memory
from detectors.base import split_normals
from detectors.blocks.merging import feature_shapes
from detectors.memory import TooLarge
from detectors.padim import Padim, PadimConfig, choose_channels
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {"backbone": "tiny", "weights": "random", "n_channels": 20, "image_hw": (48, 64), "batch_size": 4}


def tiny(**options) -> Padim:
    detector = detectors.create("padim", **{**TINY, **options})
    assert isinstance(detector, Padim)
    return detector


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def fitted(normals) -> Padim:
    detector = tiny()
    detector.fit(normals)
    return detector


def maps(detector, images) -> list[np.ndarray]:
    return [prediction.map for prediction in detector.predict(images)]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create("padim", profile="smoke", seed=seed, cache_folder=cache)
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


def test_map_equals_the_mahalanobis_distance_written_out(fitted, normals):
    prepared = fitted.prepare(normals[0])
    net = fitted.backbone_.net()
    layers = net(torch.from_numpy(prepared.pixels)[None])
    grid_hw = layers[0].shape[-2:]
    wide = [torch.nn.functional.interpolate(each, grid_hw, mode="nearest") for each in layers]
    vectors = torch.cat(wide, dim=1)[0, fitted.channels_].flatten(1).T.double()
    delta = vectors - fitted.gaussian_.mean.double()
    whitened = torch.einsum("pd,pde->pe", delta, fitted.gaussian_.whitener.double())
    grid = whitened.norm(dim=1).reshape(grid_hw).float().numpy()
    expected = fitted.geometry.to_image(grid, (48, 64), blur_sigma=4.0)
    np.testing.assert_allclose(maps(fitted, normals[:1])[0], expected, rtol=1e-4)


def test_bilinear_merging_equals_torchs_interpolation(normals):
    detector = tiny(merge="bilinear", runtime="torch", seed=3).fit(normals)
    layers = detector.backbone_.net()(torch.from_numpy(detector.prepare(normals[0]).pixels)[None])
    grid_hw = layers[0].shape[-2:]
    wide = [torch.nn.functional.interpolate(each, grid_hw, mode="bilinear") for each in layers]
    expected = torch.cat(wide, dim=1)[0, detector.channels_].flatten(1).T
    _, features = next(detector._embedder().stream([detector.prepare(normals[0])], 1))
    np.testing.assert_allclose(features[:, 0], expected, atol=1e-5)
    assert not equal(maps(detector, normals[:1]), maps(tiny(seed=3).fit(normals), normals[:1]))


def test_an_unknown_way_to_merge_is_refused():
    with pytest.raises(ValueError, match='merge as one of nearest, bilinear, found "fold"'):
        tiny(merge="fold")


def test_paper_profile_is_the_papers():
    config = PadimConfig.from_profile("paper")
    assert (config.image_hw, config.crop_hw, config.n_channels) == ((256, 256), (224, 224), 550)
    assert (config.backbone, config.epsilon, config.blur_sigma) == ("wide_resnet50_2", 0.01, 4.0)
    shapes = feature_shapes("wide_resnet50_2", ("layer1", "layer2", "layer3"), (224, 224))
    assert shapes == [(256, 56, 56), (512, 28, 28), (1024, 14, 14)]


def test_resnet18_is_a_matter_of_options(normals):
    detector = tiny(backbone="resnet18", image_hw=(64, 96), crop_hw=(48, 64), n_channels=30, runtime="torch")
    detector.fit(normals[:6])
    assert detector.gaussian_.mean.shape == (12 * 16, 30)
    assert all(np.isfinite(each).all() for each in maps(detector, normals[:2]))


@pytest.mark.parametrize("merge", ["nearest", "bilinear"])
def test_the_exported_graph_gives_predicts_grid(normals, merge):
    import onnxruntime

    detector = tiny(merge=merge, runtime="torch").fit(normals)
    image = anomalous_image(np.random.default_rng(1))[0]
    pixels, buffer = torch.from_numpy(detector.prepare(image).pixels)[None], io.BytesIO()
    scorer = detector.scorer()
    assert not any(each.requires_grad for each in scorer.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(scorer, (pixels,), buffer, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    grid = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})[0]
    assert grid.shape == (1, 12, 16)
    _, features = next(detector._embedder().stream([detector.prepare(image)], 1))
    expected = detector.gaussian_.distances(features.contiguous())[0].reshape(1, 12, 16)
    np.testing.assert_allclose(grid, expected, rtol=1e-4)
    np.testing.assert_allclose(scorer(pixels), expected, rtol=1e-4)
    drawn = detector.geometry.to_image(grid[0], image.shape[:2], detector.map_blur_sigma)
    np.testing.assert_allclose(drawn, maps(detector, [image])[0], rtol=1e-4)


def test_a_fit_that_would_not_fit_is_refused_quickly_with_settings_that_do(normals, monkeypatch):
    free = 300 << 20
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    seen, started = [], time.monotonic()
    with pytest.raises(TooLarge, match="not with the images") as refusal:
        detectors.create("padim", image_hw=(256, 256)).fit(normals, progress=seen.append)
    assert time.monotonic() - started < 5
    assert seen == []
    message = str(refusal.value)
    n_channels = int(re.search(r"Set n_channels to (\d+): 0\.\d GiB", message)[1])
    side = int(re.search(r"Set image_hw to \((\d+), \d+\): 0\.\d GiB", message)[1])
    assert "tiled:padim" in message
    for options in ({"n_channels": n_channels, "image_hw": (256, 256)}, {"image_hw": (side, side)}):
        detector = detectors.create("padim", **options)
        detector._settle([(256, 256)])
        assert detector.forecast(10).fit_bytes <= free
    detectors.create("padim", image_hw=(64, 64), n_channels=20).fit(normals)


def test_forecast_does_not_grow_with_the_images(fitted):
    assert fitted.forecast(10) == fitted.forecast(100_000)


def test_forecast_tells_the_size_of_the_state(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    told = fitted.forecast(12).state_bytes
    backbone = sum(each.numel() * each.element_size() for each in fitted.backbone_.state.values())
    assert (tmp_path / "saved" / "state.pt").stat().st_size - backbone == pytest.approx(told, rel=0.1)


def test_score_is_the_maximum_of_the_map(fitted, normals):
    assert all(each.score == each.map.max() for each in fitted.predict(normals[:3]))


def test_same_seed_gives_bit_equal_maps(fitted, normals):
    again = tiny()
    again.fit(normals)
    assert equal(maps(again, normals), maps(fitted, normals))


def test_another_seed_chooses_other_channels(fitted, normals):
    other = tiny(seed=1)
    other.fit(normals)
    assert not torch.equal(other.channels_, fitted.channels_)


@pytest.mark.parametrize("n_together", [1, 3, 4, 5, 12])
def test_maps_do_not_depend_on_what_comes_together(fitted, normals, n_together):
    whole = maps(fitted, normals)
    parts = [
        each
        for start in range(0, 12, n_together)
        for each in maps(fitted, normals[start : start + n_together])
    ]
    assert equal(parts, whole)


def test_maps_of_the_real_backbone_do_not_depend_on_order_or_batch(tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create("padim", image_hw=(96, 128), cache_folder=cache)
    images = smoke_scene.normals(n=20)
    detector.fit(images)
    order = np.random.default_rng(0).permutation(20)
    straight = maps(detector, images)
    assert equal(maps(detector, [images[index] for index in order]), [straight[index] for index in order])
    assert equal(maps(detector, images[7:8]), straight[7:8])


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_agree(normals, runtime):
    reference, other = tiny(runtime="torch"), tiny(runtime=runtime)
    for detector in (reference, other):
        detector.fit(normals)
    for a, b in zip(maps(reference, normals), maps(other, normals), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_loaded_detector_predicts_the_same_bits(fitted, normals, tmp_path):
    fitted.save(tmp_path / "saved", note="kept")
    loaded = detectors.load(tmp_path / "saved")
    assert equal(maps(loaded, normals), maps(fitted, normals))
    assert loaded.calibration == fitted.calibration
    assert loaded.config == dataclasses.replace(fitted.config, runtime=fitted.runtime)
    meta = json.loads((tmp_path / "saved" / "meta.json").read_text())
    assert meta["backbone_weights"] == "random"
    assert meta["note"] == "kept"


def test_saving_twice_gives_the_same_bytes(fitted, tmp_path):
    for name in ("a", "b"):
        fitted.save(tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_saving_replaces_an_older_folder_and_leaves_nothing_else(fitted, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "stray.txt").write_text("old")
    fitted.save(tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "config.json", "calibration.json", "meta.json", "state.pt",
    }  # fmt: skip


def test_failed_save_keeps_the_older_folder(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    with pytest.raises(TypeError):
        fitted.save(tmp_path / "saved", fact=object())
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    detectors.load(tmp_path / "saved")


def test_loading_with_other_backbone_weights_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    meta = tmp_path / "saved" / "meta.json"
    meta.write_text(meta.read_text().replace('"backbone_hash": "', '"backbone_hash": "0000'))
    with pytest.raises(ValueError, match="Give the weights that the detector was fitted with"):
        detectors.load(tmp_path / "saved")


def test_two_normals_are_enough_but_the_report_warns(normals):
    report = tiny().fit(normals[:2]).report
    assert (report.n_normals, report.n_calibration) == (2, 2)
    assert "biased low" in report.warnings[0]


def test_three_normals_hold_one_out(normals):
    report = tiny().fit(normals[:3]).report
    assert (report.n_normals, report.n_calibration, report.warnings) == (3, 1, ())


def test_fit_can_be_stopped_and_the_result_is_usable(normals):
    detector = tiny()
    report = detector.fit(normals, should_stop=lambda: True).report
    assert report.stopped
    assert report.n_normals == 5  # a batch of 4, and the one that was held out
    assert next(detector.predict(normals[:1])).score > 0


def test_time_budget_ends_the_fit(normals):
    assert tiny(time_budget_s=0.0).fit(normals).report.stopped


def test_progress_counts_images_up_to_the_total(normals):
    seen = []
    tiny().fit(normals, progress=seen.append)
    assert [(each.step, each.total) for each in seen if each.stage == "fit"] == [(4, 11), (8, 11), (11, 11)]
    assert [(each.step, each.total) for each in seen if each.stage == "calibrate"] == [(1, 1)]


def test_smaller_and_larger_images_get_maps_of_their_own_size(fitted):
    rng = np.random.default_rng(3)
    sizes = [(30, 200), (301, 17), (1, 1), (600, 800)]
    images = [rng.integers(0, 256, (*hw, 3), dtype=np.uint8) for hw in sizes]
    assert [each.shape for each in maps(fitted, images)] == sizes


def test_more_channels_than_the_backbone_has_are_refused(normals):
    with pytest.raises(ValueError, match="between 1 and the backbone's 48, found 49"):
        tiny(n_channels=49).fit(normals)


def test_all_channels_are_their_own_order():
    assert choose_channels(7, 7, seed=3).tolist() == list(range(7))


def test_calibration_scores_come_from_before_the_held_out_images_were_learned(normals):
    detector = tiny()
    detector.fit(normals)
    _, held_out = split_normals(len(normals), 0.1, seed=0)
    scores = detector.calibration.scores
    own = [each.score for each in detector.predict([normals[index] for index in held_out])]
    assert min(scores) > max(own)  # seen afterwards, so closer now
    assert len(scores) == len(held_out)


def test_at_most_a_hundred_images_are_held_out():
    train, held_out = split_normals(5000, 0.1, seed=0)
    assert (len(train), len(held_out)) == (4900, 100)


def test_a_time_limit_that_passes_while_it_is_calibrated_has_stopped_no_fit():
    stages = []
    detector = detectors.create("padim", **TINY)
    detector.fit(
        smoke_scene.normals(n=8),
        progress=lambda event: stages.append(event.stage),
        should_stop=lambda: "calibrate" in stages,
    )
    assert "calibrate" in stages
    assert not detector.report.stopped
    assert detector.report.warnings == ()
