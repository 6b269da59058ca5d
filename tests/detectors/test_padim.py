import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import detectors
from detectors.base import split_normals
from detectors.padim import Padim, choose_channels
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
    assert loaded.config == fitted.config
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
