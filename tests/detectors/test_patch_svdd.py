import io
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import roc_auc_score

import detectors
from detectors.base import split_normals
from detectors.blocks.hierarchy import HierarchicalEncoder
from detectors.blocks.patches import cut, grid_hw
from detectors.patch_svdd import Losses, PatchSvdd, PatchSvddConfig
from tests.detectors import smoke_scene
from tests.helpers.tiny import normal_image

TINY = {
    "image_hw": (48, 64), "patch_side": 32, "n_dimensions": 8, "n_steps": 6, "n_pairs": 8, "bank_size": 50,
    "learning_rate": 1e-3, "n_threads": 1,
}  # fmt: skip


def tiny(**options) -> PatchSvdd:
    return PatchSvdd(PatchSvddConfig.from_profile("cpu", **{**TINY, **options}))


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(6)]


@pytest.fixture(scope="module")
def fitted(normals) -> PatchSvdd:
    return tiny().fit(normals)


def encoder(small_side: int = 16, n_dimensions: int = 8) -> HierarchicalEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return HierarchicalEncoder(small_side, n_dimensions).requires_grad_(False)


def pictures(n: int, image_hw: tuple[int, int] = (48, 64)) -> torch.Tensor:
    return torch.rand(n, 3, *image_hw, generator=torch.Generator().manual_seed(1))


def all_patches(image: torch.Tensor, side: int, stride: int) -> torch.Tensor:
    rows, columns = grid_hw((image.shape[1], image.shape[2]), side, stride)
    corners = torch.cartesian_prod(stride * torch.arange(rows), stride * torch.arange(columns))
    return cut(image[None], torch.zeros(len(corners), dtype=torch.int64), corners, side)


def same_state(a: PatchSvdd, b: PatchSvdd) -> bool:
    first, second = a._state(), b._state()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smoke_profile_finds_the_defects_of_the_smoke_scene(seed):
    detector = PatchSvdd(PatchSvddConfig.from_profile("smoke", seed=seed))
    detector.fit(smoke_scene.normals(seed))
    images, masks = zip(*smoke_scene.tests(seed + 100), strict=True)
    predicted = np.concatenate([each.map.ravel() for each in detector.predict(images)])
    assert roc_auc_score(np.concatenate([each.ravel() for each in masks]), predicted) > 0.7


@pytest.mark.parametrize("small_side", [8, 16, 32])
def test_a_large_patch_is_embedded_from_its_four_quadrants(small_side):
    net, side = encoder(small_side), small_side
    patches = pictures(3, (2 * side, 2 * side))
    quadrants = [
        net.small(patches[:, :, row : row + side, column : column + side])
        for row in (0, side)
        for column in (0, side)
    ]
    tiled = torch.stack(quadrants, dim=2).reshape(3, -1, 2, 2)
    expected = net.last(torch.nn.functional.leaky_relu(net.joined(tiled), 0.1)).tanh()[:, :, 0, 0]
    assert net.large(patches).shape == (3, 8)
    assert torch.allclose(net.large(patches), expected, atol=1e-6)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_whole_image_gives_the_embeddings_of_its_patches_alone(stride):
    net, image = encoder(16), pictures(1, (51, 64))
    small = net.small_map(image, stride)
    assert small.shape[2:] == grid_hw((51, 64), 16, stride)
    expected = net.small(all_patches(image[0], 16, stride))
    assert torch.allclose(small[0].flatten(1).T, expected, atol=1e-6)
    assert expected.std(dim=0).min() > 1e-4  # patches that differ have embeddings that differ
    large = net.large_map(small, stride, 8)
    assert large.shape[2:] == grid_hw((51, 64), 32, 8)
    assert torch.allclose(large[0].flatten(1).T, net.large(all_patches(image[0], 32, 8)), atol=1e-6)


def losses(**options) -> tuple[Losses, torch.Tensor]:
    config = PatchSvddConfig.from_profile("cpu", **{**TINY, **options})
    torch.manual_seed(0)
    module = Losses(config, HierarchicalEncoder(config.patch_side // 2, config.n_dimensions))
    return module, (255 * pictures(4)).byte()


def test_every_layer_gets_a_gradient_also_the_last_of_the_classifiers():
    module, images = losses()
    module(images, torch.zeros(3, 48, 64), torch.Generator().manual_seed(0)).backward()
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in module.parameters())
    assert len(module.classifiers) == 2


def test_the_last_layers_of_the_classifiers_change_in_training():
    module, images = losses()
    adam = torch.optim.Adam(module.parameters(), 1e-2)
    before = [each[-1].weight.detach().clone() for each in module.classifiers]
    module(images, torch.zeros(3, 48, 64), torch.Generator().manual_seed(0)).backward()
    adam.step()
    for each, old in zip(module.classifiers, before, strict=True):
        assert (each[-1].weight - old).abs().min() > 1e-4


def test_identical_patches_give_finite_gradients():
    module, images = losses(svdd_weight=1.0)
    flat = torch.full_like(images, 128)
    module(flat, torch.zeros(3, 48, 64), torch.Generator().manual_seed(0)).backward()
    assert all(each.grad.isfinite().all() for each in module.parameters())


def test_svdd_weight_scales_the_part_that_draws_near_patches_together():
    values = []
    for weight in (0.0, 1.0, 3.0):
        module, images = losses(svdd_weight=weight)
        mean = torch.zeros(3, 48, 64)
        values.append(float(module(images, mean, torch.Generator().manual_seed(0)).detach()))
    assert values[1] > values[0]
    assert values[2] - values[0] == pytest.approx(3 * (values[1] - values[0]), rel=1e-3)


def test_training_teaches_the_directions():
    module, _ = losses(patch_side=16, svdd_weight=0.0)
    ramps = torch.zeros(1, 3, 48, 64, dtype=torch.uint8)  # colours that tell the row and the column
    ramps[:, 0] = 4 * torch.arange(48)[:, None]
    ramps[:, 1] = 3 * torch.arange(64)
    adam = torch.optim.Adam(module.parameters(), 3e-3)
    values = []
    for number in range(60):
        adam.zero_grad()
        loss = module(ramps, torch.zeros(3, 48, 64), torch.Generator().manual_seed(number))
        loss.backward()
        adam.step()
        values.append(float(loss.detach()))
    assert np.mean(values[:5]) > 3.5  # chance is 2 ln 8
    assert np.mean(values[-5:]) < 1.5


def test_training_images_score_zero_with_the_full_bank(normals):
    detector = tiny(bank_size=None, val_fraction=0.2).fit(normals)
    train, held_out = split_normals(len(normals), 0.2, detector.config.seed)
    for index in train:
        (prediction,) = detector.predict([normals[index]])
        assert prediction.map.max() == 0
    (prediction,) = detector.predict([normals[held_out[0]]])
    assert prediction.map.max() > 0


def test_the_bank_has_no_more_vectors_than_asked_for(fitted):
    assert [len(each) for each in fitted.head_.banks()] == [50, 50]
    assert fitted.facts_ == {"n_kept": [50, 50]}


def test_candidates_bound_what_is_kept(normals):
    detector = tiny(n_candidates=90, bank_size=80).fit(normals)
    # of 5 images 18 patches each at most, and there are but 3 x 5 large ones
    assert [len(each) for each in detector.head_.banks()] == [80, 75]


def test_the_mean_training_image_is_subtracted(fitted, normals):
    train, _ = split_normals(len(normals), fitted.config.val_fraction, fitted.config.seed)
    mean = np.mean([normals[index] / 255 for index in train], axis=0)
    rest = torch.from_numpy((normals[0] / 255 - mean).astype(np.float32)).permute(2, 0, 1)
    small, large = fitted.head_.vectors(torch.from_numpy(normals[0])[None])
    for found, embed, side, stride in (
        (small, fitted.head_.encoder.small, 16, 4),
        (large, fitted.head_.encoder.large, 32, 8),
    ):
        assert torch.allclose(found, embed(all_patches(rest, side, stride)), atol=1e-5)


def test_a_map_is_the_product_of_both_sizes(fitted, normals):
    head, pixels = fitted.head_, torch.from_numpy(normals[0])[None]
    expected = torch.ones(48, 64)
    for vectors, kept, side, stride in zip(head.vectors(pixels), head.banks(), (16, 32), (4, 8), strict=True):
        scores = torch.cdist(vectors, kept).min(dim=1).values.reshape(grid_hw((48, 64), side, stride))
        total, count = torch.zeros(48, 64), torch.zeros(48, 64)
        for (row, column), score in np.ndenumerate(scores.numpy()):
            place = np.s_[row * stride : row * stride + side, column * stride : column * stride + side]
            total[place] += float(score)
            count[place] += 1
        expected = expected * total / count
    assert torch.allclose(head(pixels)[0], expected, rtol=1e-2, atol=1e-4)


def test_an_interrupted_fit_goes_on_to_the_same_end(normals, fitted, tmp_path):
    first = tiny()
    seen = []

    def stop() -> bool:
        return len(seen) >= 3

    first.fit(normals, progress=seen.append, should_stop=stop, checkpoint=tmp_path)
    assert first.report.stopped
    assert list(tmp_path.glob("*.pt"))
    steps = []
    second = tiny().fit(normals, progress=steps.append, checkpoint=tmp_path)
    assert [each.step for each in steps if each.stage == "train"] == [4, 5, 6]
    assert same_state(second, fitted)
    assert not same_state(first, fitted)


def test_a_checkpoint_of_other_images_is_not_used(normals, tmp_path):
    tiny().fit(normals, checkpoint=tmp_path)
    steps = []
    others = [255 - each for each in normals]
    tiny().fit(others, progress=steps.append, checkpoint=tmp_path)
    assert [each.step for each in steps if each.stage == "train"] == [1, 2, 3, 4, 5, 6]


def test_a_fit_that_is_stopped_at_once_has_a_full_bank(normals):
    detector = tiny().fit(normals, should_stop=lambda: True)
    assert [len(each) for each in detector.head_.banks()] == [50, 50]
    assert np.isfinite([each.score for each in detector.predict(normals)]).all()


def test_the_same_seed_gives_the_same_bits(normals, fitted):
    assert same_state(tiny().fit(normals), fitted)
    assert not same_state(tiny(seed=1).fit(normals), fitted)


def test_the_scorer_runs_as_onnx(fitted, normals):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            fitted.scorer(), (torch.zeros(1, 48, 64, 3, dtype=torch.uint8),), buffer, dynamo=False,
            opset_version=17, input_names=["pixels"], output_names=["scores"],
        )  # fmt: skip
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(7).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for image in [*normals, noise]:
        expected = fitted.scorer()(torch.from_numpy(image)[None])
        (found,) = session.run(None, {"pixels": image[None]})
        assert found.shape == (1, 48, 64)
        assert np.abs(found - expected.numpy()).max() < 1e-3 * float(expected.max())


def test_forecast_grows_with_images_only_as_far_as_the_candidates_allow(fitted):
    assert fitted.forecast(50).state_bytes == 4 * 8 * 100
    full = tiny(bank_size=None)
    full.geometry_ = fitted.geometry
    few, many = full.forecast(100), full.forecast(10_000)
    assert many.state_bytes == 100 * few.state_bytes == 10_000 * 4 * 8 * (9 * 13 + 3 * 5)
    assert "bank_size" in many.remedies[0]
    pixels = 6 * 10_000 * 48 * 64
    assert fitted.forecast(20_000).fit_bytes - fitted.forecast(10_000).fit_bytes <= pixels
    assert full.forecast(20_000).fit_bytes - many.fit_bytes == pixels + 2 * many.state_bytes


def test_an_input_smaller_than_a_patch_is_refused(normals):
    with pytest.raises(ValueError, match=r"at least 32 pixels \(patch_side\) each way, found \(24, 64\)"):
        tiny(image_hw=(24, 64)).fit(normals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_side": 48}, r"patch_side as one of \[16, 32, 64\], found 48"),
        ({"stride_small": 3}, "even stride_small"),
        ({"stride_small": 6}, "even stride_small that divides 16"),
        ({"stride_small": 8, "stride_large": 12}, "found 8 and 12"),
        ({"bank_size": 0}, "bank_size of at least 1, found 0"),
        ({"svdd_weight": -1.0}, "svdd_weight of at least 0"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PatchSvddConfig.from_profile("cpu", **options)


def test_it_is_registered():
    assert detectors.detector_class("patch_svdd") is PatchSvdd
