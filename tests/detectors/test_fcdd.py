import io
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from detectors.base import Labeled
from detectors.blocks.fcdd_loss import (
    GaussianUpsampling,
)
from detectors.fcdd import Fcdd, FcddConfig
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "image_hw": (48, 64), "n_steps": 12, "train_batch": 8,
    "batch_size": 4, "runtime": "torch", "n_threads": 1,
}  # fmt: skip
KINDS = {
    "frozen": {},
    "contrast": {"contrast": True, "synthetic_masks": False},
    "linear": {"hidden": 0, "optimizer": "sgd"},
    "scratch": {"backbone": "none", "weights": "none", "contrast": True},
    "paper": {
        "backbone": "vgg11_bn", "hidden": 0, "contrast": True, "synthetic_masks": False, "optimizer": "sgd",
        "train_batch": 4, "n_steps": 4, "n_outputs": 1, "synthetic": "confetti",
    },
}  # fmt: skip


def tiny(**options) -> Fcdd:
    return Fcdd(FcddConfig.from_profile("cpu", **{**TINY, **options}))


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def defects() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [anomalous_image(rng) for _ in range(3)]


def maps(detector, images) -> list[np.ndarray]:
    return [prediction.map for prediction in detector.predict(images)]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = Fcdd(FcddConfig.from_profile("smoke", seed=seed), cache_folder=cache)
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    predicted = np.concatenate([each.ravel() for each in maps(detector, images)])
    truth = np.concatenate([each.ravel() for each in masks])
    assert roc_auc_score(truth, predicted) > 0.7


@pytest.mark.parametrize("kind", ["frozen", "linear", "scratch"])
def test_same_seed_gives_bit_equal_maps_and_another_seed_others(kind, normals):
    first, again, other = (tiny(**KINDS[kind], seed=seed) for seed in (0, 0, 1))
    for detector in (first, again, other):
        detector.fit(normals)
    assert equal(maps(first, normals), maps(again, normals))
    assert not equal(maps(first, normals), maps(other, normals))


@pytest.mark.parametrize("kind", ["contrast", "scratch", "paper"])
def test_saved_and_loaded_predicts_the_same(kind, normals, tmp_path):
    detector = tiny(**KINDS[kind])
    detector.fit(normals)
    detector.save(tmp_path / "saved")
    loaded = Fcdd.load(tmp_path / "saved")
    assert equal(maps(loaded, normals), maps(detector, normals))


@pytest.mark.parametrize("kind", ["frozen", "scratch", "paper"])
def test_a_fit_that_was_stopped_and_resumed_equals_one_that_was_not(kind, normals, defects, tmp_path):
    labelled = [Labeled(image, 1, mask) for image, mask in defects]
    whole = tiny(**KINDS[kind])
    whole.fit(normals, labelled)
    steps = []
    tiny(**KINDS[kind]).fit(
        normals,
        labelled,
        progress=lambda each: steps.append(each.step) if each.stage == "train" else None,
        should_stop=lambda: len(steps) >= 3,
        checkpoint=tmp_path / "kept",
    )
    assert len(steps) == 3
    resumed = tiny(**KINDS[kind])
    resumed.fit(
        normals,
        labelled,
        progress=lambda each: steps.append(each.step) if each.stage == "train" else None,
        checkpoint=tmp_path / "kept",
    )
    assert steps[3] == 4
    assert equal(maps(resumed, normals), maps(whole, normals))


def test_a_checkpoint_of_other_images_or_labels_is_not_used(normals, defects, tmp_path):
    tiny(n_steps=3).fit(normals, checkpoint=tmp_path / "kept")
    labelled = [Labeled(*defects[0][:1], 1, defects[0][1])]
    for images, anomalies in ((normals[1:], []), (normals, labelled)):
        steps = []
        tiny(n_steps=3).fit(
            images,
            anomalies,
            progress=lambda each, steps=steps: steps.append(each.step) if each.stage == "train" else None,
            checkpoint=tmp_path / "kept",
        )
        assert steps == [1, 2, 3]


def test_labelled_anomalies_change_the_fit_each_in_its_way(normals, defects):
    image, mask = defects[0]
    found = []
    for anomalies in (
        [], [Labeled(image, 1, mask)], [Labeled(image, 1)], [Labeled(defects[1][0], 1)], [Labeled(image, 0)],
    ):  # fmt: skip
        detector = tiny(seed=0)
        assert detector.fit(normals, anomalies).report.warnings == ()
        found.append(maps(detector, normals[:1])[0])
    assert len({each.tobytes() for each in found}) == len(found)


def test_a_mask_heats_the_kind_of_defect_that_confetti_misses(normals, defects):
    """Bright stains, which confetti never draws, are hot once some have been shown with their masks."""
    rng = np.random.default_rng(7)
    unseen = [anomalous_image(rng) for _ in range(6)]
    truth = np.concatenate([mask.ravel() for _, mask in unseen])
    found = []
    for anomalies in ([], [Labeled(image, 1, mask) for image, mask in defects]):
        detector = tiny(n_steps=60)
        detector.fit(normals, anomalies)
        predicted = maps(detector, [image for image, _ in unseen])
        found.append(roc_auc_score(truth, np.concatenate([each.ravel() for each in predicted])))
    assert found[1] > 0.9
    assert found[1] > found[0]


def test_score_of_the_paper_is_the_mean_heat_of_the_cells_on_the_picture(normals):
    detector = tiny(image_hw=(64, 64), score="mean")
    detector.fit(normals)
    prepared = detector.prepare(normals[0])
    with torch.inference_mode():
        grid = detector.scorer()(torch.from_numpy(prepared.pixels)[None])[0]
    assert grid.shape == (8, 8)
    (prediction,) = detector.predict(normals[:1])
    assert prediction.score == pytest.approx(grid[1:7].mean().item(), rel=1e-4)


def test_top_mean_of_the_cells_is_offered(normals):
    mean, top = tiny(score="mean"), tiny(score="top_mean", top_fraction=0.1)
    scores = [next(iter(each.fit(normals).predict(normals[:1]))).score for each in (mean, top)]
    assert scores[1] > scores[0]


@pytest.mark.parametrize("kind", KINDS)
def test_exported_scorer_gives_the_same_grid_in_onnxruntime(kind, normals):
    import onnxruntime

    detector = tiny(**KINDS[kind])
    detector.fit(normals)
    scorer, buffer = detector.scorer(), io.BytesIO()
    pixels = torch.from_numpy(detector.prepare(normals[0]).pixels)[None]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        expected = scorer(pixels).numpy()
        torch.onnx.export(scorer, (pixels,), buffer, dynamo=False, opset_version=17, input_names=["pixels"])
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for image in normals[:4]:
        pixels = torch.from_numpy(detector.prepare(image).pixels)[None]
        with torch.inference_mode():
            expected = scorer(pixels).numpy()
        (found,) = session.run(None, {"pixels": pixels.numpy()})
        assert found.shape == (1, *detector.facts_["grid_hw"])
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_paper_profile_trains_the_last_two_convolutions_and_leaves_four_alone(normals):
    detector = tiny(**KINDS["paper"])
    detector.fit(normals)
    head = detector.head_
    assert [each.out_channels for each in head.modules() if isinstance(each, torch.nn.Conv2d)] == [
        512,
        512,
        1,
    ]
    frozen = [each for each in detector.backbone_.net().modules() if isinstance(each, torch.nn.Conv2d)]
    assert [each.out_channels for each in frozen] == [64, 128, 256, 256]
    assert detector.facts_["grid_hw"] == [6, 8]  # stride 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lion"}, "optimizer as one of"),
        ({"synthetic": "rust"}, "synthetic as one of confetti, small"),
        ({"train_batch": 1}, "train_batch >= 2"),
        ({"n_outputs": 0}, "n_outputs >= 1"),
        ({"decay": 0.0}, r"decay in \(0, 1\]"),
        ({"labelled_share": 1.5}, "labelled_share"),
        ({"shift_fraction": 0.5}, "shift_fraction"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_map_of_one_hot_cell_is_nearly_the_receptive_field_gaussian(normals):
    detector = tiny(n_steps=1, sigma_fraction=12 / 56)
    detector.fit(normals)
    grid = np.zeros(detector.facts_["grid_hw"], np.float32)
    grid[3, 4] = 1
    found = detector.geometry.to_image(grid, (48, 64), detector.map_blur_sigma)
    expected = GaussianUpsampling(grid.shape, (48, 64), detector._sigma())(torch.from_numpy(grid)[None])[0]
    inner = np.s_[16:-16, 20:-20]  # the borders differ: mirrored there, a weighted mean here
    np.testing.assert_allclose(found[inner], expected.numpy()[inner], atol=0.15 * found.max())
