import io
import json
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import roc_auc_score

import detectors
from detectors.backbones import Backbone
from detectors.base import Prediction, split_normals
from detectors.uninformed_students import UninformedStudents, UninformedStudentsConfig
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "runtime": "torch", "image_hw": (48, 64), "n_threads": 1,
    "patch_sides": (17, 33), "width": 1 / 32, "n_descriptor": 5, "n_crops": 64, "n_teacher_steps": 6,
    "n_steps": 8, "n_windows": 4, "n_views": 12,
}  # fmt: skip


def tiny(**options) -> UninformedStudents:
    detector = detectors.create("uninformed_students", profile="smoke", **{**TINY, **options})
    assert isinstance(detector, UninformedStudents)
    return detector


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(10)]


@pytest.fixture(scope="module")
def fitted(normals) -> UninformedStudents:
    return tiny().fit(normals)


def predictions(detector, images) -> list[Prediction]:
    return list(detector.predict(images))


def same_state(a: UninformedStudents, b: UninformedStudents) -> bool:
    first, second = a._state(), b._state()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create("uninformed_students", profile="smoke", seed=seed, cache_folder=cache)
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    maps = np.concatenate([each.map.ravel() for each in detector.predict(images)])
    assert roc_auc_score(np.concatenate([each.ravel() for each in masks]), maps) > 0.7


def test_two_fits_are_equal_bit_for_bit_and_another_seed_is_not(fitted, normals):
    again, other = tiny().fit(normals), tiny(seed=1).fit(normals)
    assert same_state(fitted, again)
    assert fitted.calibration == again.calibration
    assert not same_state(fitted, other)


@pytest.mark.parametrize("n_trainings", [1, 2, 3, 4])
def test_a_stopped_and_resumed_fit_equals_an_uninterrupted_one(fitted, normals, n_trainings, tmp_path):
    starts = []

    def count(progress):
        if progress.stage == "train" and progress.step == 3:
            starts.append(progress)

    def stop() -> bool:
        return len(starts) == n_trainings

    stopped = tiny().fit(normals, progress=count, should_stop=stop, checkpoint=tmp_path / "kept")
    assert stopped.report.stopped
    assert not same_state(stopped, fitted)
    assert all(np.isfinite(each.map).all() for each in predictions(stopped, normals[:2]))
    resumed = tiny().fit(normals, checkpoint=tmp_path / "kept")
    assert not resumed.report.stopped
    assert same_state(resumed, fitted)


@pytest.mark.parametrize("n_trainings", [1, 2])
def test_a_fit_as_in_the_paper_can_be_resumed_too(normals, n_trainings, tmp_path):
    options = {"n_views": 0, "batch_norm": False, "cosine": False, "patch_sides": (17,)}
    whole = tiny(**options).fit(normals)
    starts = []

    def count(progress):
        if progress.stage == "train" and progress.step == 3:
            starts.append(progress)

    def stop() -> bool:
        return len(starts) == n_trainings

    assert tiny(**options).fit(normals, progress=count, should_stop=stop, checkpoint=tmp_path).report.stopped
    assert same_state(tiny(**options).fit(normals, checkpoint=tmp_path), whole)
    assert not same_state(tiny(**{**options, "n_views": 12}).fit(normals), whole)


def test_a_checkpoint_of_other_images_is_not_used(normals, tmp_path):
    tiny().fit(normals, checkpoint=tmp_path / "kept")
    rng = np.random.default_rng(1)
    others = [normal_image(rng) for _ in range(10)]
    assert same_state(tiny().fit(others, checkpoint=tmp_path / "kept"), tiny().fit(others))


def test_a_checkpoint_is_of_the_same_images_and_settings_on_any_number_of_threads():
    backbone = Backbone("tiny", "random")
    images = torch.zeros(2, 48, 64, 3, dtype=torch.uint8)
    key = tiny()._key(images, backbone)
    assert tiny(n_threads=2, time_budget_s=9.0)._key(images, backbone) == key
    assert tiny()._key(images + 1, backbone) != key
    assert tiny(n_steps=9)._key(images, backbone) != key


def test_students_leave_the_teacher_alone(fitted, normals):
    longer = tiny(n_steps=16).fit(normals)
    first, second = fitted._state(), longer._state()
    teacher = [key for key in first if ".teacher." in key or "target" in key]
    assert len(teacher) == 2 * (2 * 4 + 2)
    assert all(torch.equal(first[key], second[key]) for key in teacher)
    students = [key for key in first if ".students." in key]
    assert not any(torch.equal(first[key], second[key]) for key in students)


def test_a_teacher_learns_from_the_backbone(fitted, normals):
    untaught = tiny(n_teacher_steps=1, teacher_learning_rate=1e-12).fit(normals)
    first, second = fitted._state(), untaught._state()
    weights = [key for key in first if ".teacher." in key]
    assert not any(torch.equal(first[key], second[key]) for key in weights)
    losses: list[float] = []
    tiny(n_teacher_steps=60, n_steps=1, patch_sides=(17,)).fit(
        normals, progress=lambda p: losses.append(p.loss) if p.stage == "train" and p.total == 60 else None
    )
    assert losses[-1] < 0.9 * losses[0]


def test_map_statistics_are_those_of_held_out_normals(fitted, normals):
    _, held_out = split_normals(len(normals), fitted.config.val_fraction, fitted.config.seed)
    grids = [
        fitted.head_(torch.from_numpy(fitted.prepare(normals[index]).pixels)[None]) for index in held_out
    ]
    assert abs(torch.cat(grids).mean().item()) < 1e-4
    assert fitted.calibration.scores == tuple(
        sorted(each.score for each in predictions(fitted, [normals[index] for index in held_out]))
    )


def test_map_statistics_leave_out_what_repeats_an_edge(normals):
    narrow = [image[:, :30] for image in normals]
    detector = tiny(patch_sides=(17,)).fit(narrow)
    _, held_out = split_normals(len(narrow), detector.config.val_fraction, detector.config.seed)
    grids = [
        detector.head_(torch.from_numpy(detector.prepare(narrow[index]).pixels)[None]) for index in held_out
    ]
    inside = detector.geometry.inside(grids[0].shape[1:], (48, 30))
    assert not inside.all()
    assert abs(np.mean([grid[0].numpy()[inside] for grid in grids])) < 1e-4
    assert abs(np.mean([grid.numpy() for grid in grids])) > 1e-3


def test_without_held_out_normals_the_statistics_come_from_the_others(normals):
    detector = tiny().fit(normals[:2])
    assert not detector.calibration.held_out
    grids = [detector.head_(torch.from_numpy(image)[None]) for image in normals[:2]]
    assert abs(torch.cat(grids).mean().item()) < 1e-4


def test_score_is_the_maximum_of_the_map(fitted, normals):
    assert all(each.score == each.map.max() for each in predictions(fitted, normals[:3]))


def test_defective_images_score_above_normal_ones(normals):
    detector = tiny(n_steps=80, n_teacher_steps=40, patch_sides=(17,)).fit(normals)
    rng = np.random.default_rng(5)
    threshold = detector.calibration.threshold(fpr=0)
    defective = [anomalous_image(rng)[0] for _ in range(4)]
    assert all(each.score > threshold for each in predictions(detector, defective))


def test_saved_detector_names_the_backbone_but_needs_none(fitted, normals, tmp_path, monkeypatch):
    fitted.save(tmp_path / "saved")
    meta = json.loads((tmp_path / "saved" / "meta.json").read_text())
    assert (meta["backbone"], meta["backbone_weights"]) == ("tiny", "random")
    assert len(meta["backbone_hash"]) == 64

    def refuse(*_):
        raise AssertionError("a backbone was built")

    monkeypatch.setattr("detectors.backbones.nets.Backbone.net", refuse)
    loaded = detectors.load(tmp_path / "saved")
    for before, after in zip(predictions(fitted, normals[:2]), predictions(loaded, normals[:2]), strict=True):
        assert np.array_equal(before.map, after.map)
    loaded.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "meta.json").read_text()) == meta


@pytest.mark.parametrize("map_stride", [1, 4])
def test_scorer_runs_the_same_in_onnxruntime(normals, map_stride):
    detector = tiny(map_stride=map_stride, patch_sides=(17, 33, 65), n_steps=2, n_teacher_steps=2).fit(
        normals
    )
    pixels = torch.from_numpy(normals[3])[None]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            detector.scorer(), (pixels,), buffer, dynamo=False, opset_version=17, input_names=["pixels"]
        )
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"pixels": pixels.numpy()})[0]
    assert found.shape == (1, 48 // map_stride, 64 // map_stride)
    np.testing.assert_allclose(found, detector.head_(pixels).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_sides": (16,)}, "patch_sides out of 17, 33 and 65"),
        ({"patch_sides": ()}, "patch_sides out of"),
        ({"patch_sides": (17, 17)}, "each once"),
        ({"map_stride": 3}, "map_stride as 1, 2, 4 or 8"),
        ({"width": 0.0}, "width in"),
        ({"n_students": 1}, "at least 2 students"),
        ({"n_crops": 1}, "n_crops >= 2"),
        ({"n_views": -1}, "n_views, compactness and variance_weight"),
        ({"variance_weight": -0.1}, "n_views, compactness and variance_weight"),
        ({"n_windows": 1, "window_margin": 0}, "batch_norm needs"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UninformedStudentsConfig.from_profile("smoke", **options)


def test_forecast_grows_with_the_images_and_leaves_random_numbers_alone(fitted):
    before = torch.get_rng_state()
    few, many = fitted.forecast(10), fitted.forecast(1010)
    assert torch.equal(torch.get_rng_state(), before)
    assert many.fit_bytes - few.fit_bytes == 2 * 3 * 48 * 64 * 1000
    assert few.state_bytes == 4 * fitted.n_parameters()
