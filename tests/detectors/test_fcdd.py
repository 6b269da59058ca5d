import io
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from detectors.base import Labeled
from detectors.blocks.contrast import Contrast
from detectors.blocks.fcdd_batches import Batches
from detectors.blocks.fcdd_loss import GaussianUpsampling, anomalous_loss, heat, image_losses, pixel_losses
from detectors.fcdd import Fcdd, FcddConfig
from tests.detectors import smoke_scene
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "backbone": "tiny", "weights": "random", "image_hw": (48, 64), "n_steps": 12, "train_batch": 8,
    "batch_size": 4, "runtime": "torch", "n_threads": 1,
}  # fmt: skip
KINDS = {
    "frozen": {},
    "contrast": {"contrast": True, "confetti_masks": False},
    "linear": {"hidden": 0, "optimizer": "sgd"},
    "scratch": {"backbone": "none", "weights": "none", "contrast": True},
    "paper": {
        "backbone": "vgg11_bn", "hidden": 0, "contrast": True, "confetti_masks": False, "optimizer": "sgd",
        "train_batch": 4, "n_steps": 4,
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


# the heat and its losses


def test_heat_is_zero_at_zero_never_negative_and_convex():
    phi = torch.linspace(-6, 6, 401, dtype=torch.float64)
    values = heat(phi)
    assert heat(torch.zeros(1)).item() == 0
    assert (values >= 0).all()
    assert (values[2:] - 2 * values[1:-1] + values[:-2] > 0).all()
    torch.testing.assert_close(values, (phi**2 + 1).sqrt() - 1)


def test_anomalous_loss_falls_with_the_mean_heat_and_is_finite_everywhere():
    means = torch.cat([torch.zeros(1), torch.logspace(-5, 1.1, 60)]).requires_grad_()
    losses = anomalous_loss(means)
    losses.sum().backward()
    assert (losses[1:] < losses[:-1]).all()
    assert torch.isfinite(losses).all()
    assert torch.isfinite(means.grad).all()
    assert anomalous_loss(torch.tensor(200.0)).item() == 0
    expected = -np.log(1 - np.exp(-means[20:].detach().double().numpy()))
    np.testing.assert_allclose(losses[20:].detach().numpy(), expected, rtol=2e-2)


def test_image_loss_is_the_mean_heat_of_normal_images():
    heats = torch.tensor([[[1.0, 3.0]], [[1.0, 3.0]]])
    losses = image_losses(heats, torch.tensor([False, True]))
    assert losses.tolist() == pytest.approx([2.0, -np.log(1 - np.exp(-2))], rel=1e-5)


def test_pixel_loss_equals_the_paper_written_out():
    heats = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:7] = True
    a, g = heats[0].numpy().astype(float), masks[0].numpy()
    expected = (a * (1 - g)).mean() - np.log(1 - np.exp(-(a * g).mean()))
    assert pixel_losses(heats, masks).tolist() == pytest.approx([expected, heats[1].mean().item()], rel=1e-4)


def test_anomalous_part_does_not_reach_cells_outside_of_the_mask():
    phi = torch.full((1, 12, 16), 0.5, requires_grad=True)
    upsample = GaussianUpsampling((12, 16), (48, 64), sigma=2.0)  # reaches 5.2 px
    masks = torch.zeros(1, 48, 64, dtype=torch.bool)
    masks[0, 16:28, 24:40] = True
    hot = upsample(heat(phi)) * masks
    anomalous_loss(hot.flatten(1).mean(dim=1)).sum().backward()
    reached = phi.grad[0] != 0
    rows, columns = np.nonzero(reached.numpy())
    assert rows.min() >= (16 - 6) // 4
    assert rows.max() <= (28 + 5) // 4
    assert columns.min() >= (24 - 6) // 4
    assert columns.max() <= (40 + 5) // 4
    assert reached[4:7, 6:10].all()


# from cells to pixels


def test_upsampling_of_one_hot_cell_is_a_gaussian_around_its_centre():
    cells = torch.zeros(1, 28, 28)
    cells[0, 12, 17] = 1
    found = GaussianUpsampling((28, 28), (224, 224), sigma=12.0)(cells)[0].double().numpy()
    rows, columns = np.mgrid[0:224, 0:224] + 0.5
    centre = [(found * axis).sum() / found.sum() for axis in (rows, columns)]
    assert centre == pytest.approx([12.5 * 8, 17.5 * 8], abs=1)
    gaussian = np.exp(-((rows - 100) ** 2 + (columns - 140) ** 2) / (2 * 12**2))
    near = (abs(rows - 100) < 30) & (abs(columns - 140) < 30)
    ratio = (found / gaussian)[near]
    assert ratio.max() / ratio.min() < 1.1  # truncated where the receptive field ends
    assert found[(abs(rows - 100) > 31.5)].max() == 0


def test_upsampling_equals_a_transposed_convolution_up_to_scale_away_from_the_border():
    grid = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    offsets = torch.arange(-30, 30) + 0.5  # of pixels from a cell's centre
    kernel = torch.exp(-0.5 * (offsets / 11.6) ** 2)
    kernel = (kernel[:, None] * kernel[None])[None, None]
    plain = torch.nn.functional.conv_transpose2d(grid, kernel, stride=8, padding=26)[0, 0]
    ours = GaussianUpsampling((20, 24), (160, 192), 11.6)(grid[0])[0]
    assert plain.shape == ours.shape
    ratio = (plain / ours)[40:-40, 40:-40]
    assert ratio.max() / ratio.min() < 1.02


def test_upsampling_keeps_a_constant_up_to_the_border():
    ones = GaussianUpsampling((6, 8), (48, 64), 0.5)(torch.ones(1, 6, 8))
    assert ones[0].numpy() == pytest.approx(1, abs=1e-6)


def test_map_of_one_hot_cell_is_nearly_the_receptive_field_gaussian(normals):
    detector = tiny(n_steps=1, sigma_fraction=12 / 56)
    detector.fit(normals)
    grid = np.zeros(detector.facts_["grid_hw"], np.float32)
    grid[3, 4] = 1
    found = detector.geometry.to_image(grid, (48, 64), detector.map_blur_sigma)
    expected = GaussianUpsampling(grid.shape, (48, 64), detector._sigma())(torch.from_numpy(grid)[None])[0]
    inner = np.s_[16:-16, 20:-20]  # the borders differ: mirrored there, a weighted mean here
    np.testing.assert_allclose(found[inner], expected.numpy()[inner], atol=0.15 * found.max())


# contrast


def test_contrast_forgets_exposure_and_gain_but_not_the_picture(normals):
    contrast = Contrast()
    contrast.measure(normals)
    one = torch.from_numpy(normals[0])[None]
    darker = (one.double() * 0.5 + 20).round().to(torch.uint8)
    assert (contrast(one).int() - contrast(darker).int()).abs().max() <= 3
    assert (contrast(one).int() - contrast(torch.from_numpy(normals[1])[None]).int()).abs().max() > 20


def test_contrast_of_the_normals_fills_the_range_and_leaves_room(normals):
    contrast = Contrast()
    contrast.measure(normals)
    levels = contrast(torch.from_numpy(np.stack(normals)))
    assert levels.dtype == torch.uint8
    assert (levels.amin().item(), levels.amax().item()) == (32, 223)


def test_contrast_of_a_flat_image_is_flat():
    contrast = Contrast()
    assert contrast(torch.full((1, 48, 64, 3), 255, dtype=torch.uint8)).unique().numel() == 1


# batches


def test_a_batch_is_half_normal_and_has_confetti_and_labelled_anomalies(normals, defects):
    config = FcddConfig(train_batch=8, labelled_share=0.5, shift_fraction=0.0)
    batches = Batches(normals, [defects[0], (defects[1][0], None)], config)
    batch = batches.draw(np.random.default_rng(0))
    assert batch.anomalous.tolist() == [False] * 4 + [True] * 4
    known = [any(np.array_equal(image, each) for each in normals) for image in batch.pixels]
    assert known == [True] * 4 + [False] * 4
    assert batch.located.tolist()[:6] == [False] * 4 + [True] * 2
    assert sorted(batch.located.tolist()[6:]) == [False, True]
    at = 6 + batch.located.tolist()[6:].index(True)
    assert np.array_equal(batch.masks[at].numpy(), defects[0][1])
    assert np.array_equal(batch.pixels[at], defects[0][0])


def test_every_labelled_anomaly_is_drawn_as_often_as_another(normals, defects):
    batches = Batches(normals, defects, FcddConfig(train_batch=12, labelled_share=0.5, shift_fraction=0.0))
    drawn = batches.draw(np.random.default_rng(0)).pixels[9:]
    assert all(sum(np.array_equal(image, each) for each in drawn) == 1 for image, _ in defects)


def test_image_and_mask_are_shifted_together(normals, defects):
    image = np.repeat(defects[0][1][..., None] * np.uint8(255), 3, axis=2)
    settings = FcddConfig(train_batch=4, labelled_share=1.0, shift_fraction=0.2)
    batches = Batches(normals, [(image, defects[0][1])], settings)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(6):
        batch = batches.draw(rng)
        assert np.array_equal(batch.pixels[-1][..., 0] == 255, batch.masks[-1].numpy())
        seen.add(batch.pixels[-1].tobytes())
    assert len(seen) == 6


def test_an_empty_mask_of_a_labelled_anomaly_does_not_make_it_normal(normals, defects):
    image = defects[0][0]
    batch = Batches(normals, [(image, np.zeros((48, 64), bool))], FcddConfig(train_batch=4)).draw(
        np.random.default_rng(0)
    )
    assert batch.anomalous[-1]
    assert not batch.located[-1]


# the detector


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = Fcdd(FcddConfig.from_profile("smoke", seed=seed), cache_folder=cache)
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    predicted = np.concatenate([each.ravel() for each in maps(detector, images)])
    truth = np.concatenate([each.ravel() for each in masks])
    assert roc_auc_score(truth, predicted) > 0.7


@pytest.mark.parametrize("kind", KINDS)
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


def test_score_is_the_mean_heat_of_the_cells_on_the_picture(normals):
    detector = tiny(image_hw=(64, 64))
    detector.fit(normals)
    prepared = detector.prepare(normals[0])
    with torch.inference_mode():
        grid = detector.scorer()(torch.from_numpy(prepared.pixels)[None])[0]
    assert grid.shape == (8, 8)
    (prediction,) = detector.predict(normals[:1])
    assert prediction.score == pytest.approx(grid[1:7].mean().item(), rel=1e-4)


def test_top_mean_of_the_cells_is_offered(normals):
    mean, top = tiny(), tiny(score="top_mean", top_fraction=0.1)
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
        ({"train_batch": 1}, "train_batch >= 2"),
        ({"decay": 0.0}, r"decay in \(0, 1\]"),
        ({"labelled_share": 1.5}, "labelled_share"),
        ({"shift_fraction": 0.5}, "shift_fraction"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)
