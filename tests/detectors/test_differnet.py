import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import detectors
from detectors import memory
from detectors.blocks import trainer
from detectors.blocks.pooled import Pooler, repeated
from detectors.blocks.rotations import rotate
from detectors.differnet import Differnet, DiffernetConfig
from detectors.loop import Loop
from detectors.memory import TooLarge
from tests.helpers.tiny import anomalous_image, normal_image

TINY = {
    "profile": "smoke", "backbone": "tiny", "weights": "random", "image_hw": (48, 64), "batch_size": 4,
    "n_steps": 30, "hidden": 16, "runtime": "torch", "n_threads": 1,
}  # fmt: skip


def tiny(**options) -> Differnet:
    detector = detectors.create("differnet", **{**TINY, **options})
    assert isinstance(detector, Differnet)
    return detector


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def stained() -> tuple[np.ndarray, np.ndarray]:
    return anomalous_image(np.random.default_rng(5))


@pytest.fixture(scope="module")
def fitted(normals) -> Differnet:
    return tiny().fit(normals)


def answers(detector, images) -> list[tuple[float, bytes]]:
    return [(each.score, each.map.tobytes()) for each in detector.predict(images)]


def state(detector) -> dict[str, torch.Tensor]:
    return detector._state()


def equal_states(a, b) -> bool:
    return state(a).keys() == state(b).keys() and all(
        torch.equal(v, state(b)[k]) for k, v in state(a).items()
    )


def pooler(detector) -> Pooler:
    return detector._ready_pooler()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stained_images_score_higher_than_normal_ones(seed):
    rng = np.random.default_rng(seed)
    detector = tiny(seed=seed, n_steps=100).fit([normal_image(rng) for _ in range(24)])
    images = [normal_image(rng) for _ in range(8)] + [anomalous_image(rng)[0] for _ in range(8)]
    scores = [each.score for each in detector.predict(images)]
    assert roc_auc_score([0] * 8 + [1] * 8, scores) > 0.8


def test_score_is_the_mean_of_z_squared_over_the_saved_rotations_written_out(fitted, stained):
    image, _ = stained
    density = fitted.density_
    net = fitted.backbone_.net()
    assert len(density.test_degrees) == 2
    squares = []
    for angle in density.test_degrees:
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        turned = rotate(x, angle[None], "edge")
        half = turned.reshape(1, 3, 24, 2, 32, 2).mean(dim=(3, 5))
        rows = []
        for scale in (turned, half):
            with torch.inference_mode():
                rows += [each.mean(dim=(2, 3)) for each in net(scale.round().byte().permute(0, 2, 3, 1))]
        with torch.inference_mode():
            z, _ = density.flow((torch.cat(rows, dim=1) - density.centre) / density.spread)
        squares.append(z.square())
    (found,) = fitted.predict([image])
    assert found.score == pytest.approx(float(torch.stack(squares).mean()), rel=1e-4)


def test_features_with_a_graph_are_those_of_the_score_but_for_rounding(fitted, normals):
    degrees = torch.tensor([0.0, 77.0])
    with torch.inference_mode():
        exact = pooler(fitted).differentiable(rotate(repeated(normals[0], 2), degrees, "edge"))
    rounded = pooler(fitted).rows(normals[0], degrees)
    assert rounded.shape == (2, 2 * (12 + 16 + 20)) == (2, pooler(fitted).n_features())
    n = 12 + 16 + 20  # the first scale of the unturned image needs no rounding
    assert torch.allclose(exact[0, :n], rounded[0, :n], atol=1e-3)
    assert torch.allclose(exact, rounded, atol=0.1)
    assert not torch.allclose(rounded[0], rounded[1], atol=0.1)


def test_map_is_the_gradient_of_the_score_by_finite_differences(normals, stained):
    """Unturned and unblurred, so that each value is one pixel's own."""
    detector = tiny(rotations=0, blur_sigma=0.0).fit(normals)
    density = detector.density_
    (prediction,) = detector.predict([stained[0]])

    def score(pixels: torch.Tensor) -> float:
        with torch.inference_mode():
            z, _ = density(pooler(detector).differentiable(pixels))
            return float(z.double().square().mean())

    for row, column in ((10, 12), (24, 33), (40, 50)):
        slopes = []
        for channel in range(3):
            ends = []
            for step in (4.0, -4.0):
                pixels = repeated(stained[0], 1)
                pixels[0, channel, row, column] += step
                ends.append(score(pixels))
            slopes.append(255 * (ends[0] - ends[1]) / 8)
        expected = np.mean(np.abs(slopes)) ** 2
        assert prediction.map[row, column] == pytest.approx(expected, rel=0.25)


def test_map_averages_rotations_turned_back(normals, stained):
    quarter = tiny(map_rotations=4, blur_sigma=0.0, fill="black", image_hw=(64, 64)).fit(normals)
    pixels = quarter.prepare(stained[0]).pixels
    degrees = quarter.density_.map_degrees
    assert degrees.tolist() == [0, 90, 180, 270]
    parts = []
    for n, angle in enumerate(degrees):
        turned = rotate(repeated(pixels, 1), angle[None], "black").requires_grad_()
        z, _ = quarter.density_(pooler(quarter).differentiable(turned))
        (gradient,) = torch.autograd.grad(z.square().mean(), turned)
        parts.append(np.rot90(255 * gradient[0].abs().mean(dim=0).numpy(), -n))
    expected = np.mean(parts, axis=0) ** 2
    found = quarter._sensitivity(pixels, quarter.density_)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.01 * expected.max())


def test_pixels_that_few_rotations_show_are_not_darker_for_it(normals):
    detector = tiny(map_rotations=2, max_degrees=90.0, blur_sigma=0.0).fit(normals)
    detector.density_.map_degrees = torch.tensor([0.0, 90.0])
    both = detector._sensitivity(normals[0], detector.density_)
    detector.density_.map_degrees = torch.tensor([0.0])
    alone = detector._sensitivity(normals[0], detector.density_)
    np.testing.assert_allclose(both[:, :7], alone[:, :7], rtol=1e-3)  # the ends are lost when upright
    assert not np.allclose(both[:, 20:30], alone[:, 20:30], rtol=1e-3)


def test_maps_come_whatever_mode_torch_is_in(fitted, stained):
    expected = answers(fitted, [stained[0]])
    with torch.inference_mode():
        assert answers(fitted, [stained[0]]) == expected
    with torch.no_grad():
        assert answers(fitted, [stained[0]]) == expected


def test_a_fast_runtime_leaves_gradients_possible(normals):
    detector, reference = tiny(runtime="onnxruntime").fit(normals), tiny().fit(normals)
    for a, b in zip(detector.predict(normals[:3]), reference.predict(normals[:3]), strict=True):
        assert a.score == pytest.approx(b.score, rel=1e-2)
        assert a.map.max() > 0


@pytest.mark.parametrize("off", [{"rotations": 0}, {"max_degrees": 0.0}])
def test_rotations_can_be_switched_off(normals, off):
    detector = tiny(**off).fit(normals)
    assert detector.density_.test_degrees.tolist() == detector.density_.map_degrees.tolist() == [0]
    image, _ = anomalous_image(np.random.default_rng(1))
    (straight,), (turned,) = detector.predict([image]), detector.predict([image[::-1, ::-1].copy()])
    assert straight.score != pytest.approx(turned.score, rel=1e-3)


def test_turns_stay_within_the_most_allowed(normals):
    detector = tiny(max_degrees=12.0, test_rotations=6, map_rotations=3).fit(normals)
    assert detector.density_.test_degrees.abs().max() <= 12
    assert detector.density_.map_degrees.tolist() == [-12, 0, 12]


def test_each_training_image_has_rotations_of_its_own(normals):
    detector = tiny(rotations=3).fit(normals)
    seen = []
    original = pooler(detector).rows
    detector._pooler.rows = lambda pixels, degrees: (seen.append(degrees), original(pixels, degrees))[1]
    features = detector._training_features(map(detector.prepare, normals[:4]), 4, Loop())
    assert features.shape == (4, 3, 96)
    assert len({tuple(each.tolist()) for each in seen}) == 4


def test_features_are_standardised_by_the_training_images_unless_told_not_to(fitted, normals):
    assert float(fitted.density_.spread.min()) > 0
    assert not torch.equal(fitted.density_.spread, torch.ones_like(fitted.density_.spread))
    plain = tiny(standardise=False).fit(normals).density_
    assert torch.equal(plain.centre, torch.zeros_like(plain.centre))
    assert torch.equal(plain.spread, torch.ones_like(plain.spread))


def test_same_seed_gives_bit_equal_answers_and_another_seed_other_ones(fitted, normals):
    assert answers(tiny().fit(normals), normals[:3]) == answers(fitted, normals[:3])
    assert answers(tiny(seed=1).fit(normals), normals[:3]) != answers(fitted, normals[:3])


def test_maps_do_not_depend_on_order_or_company(fitted, normals):
    straight = answers(fitted, normals)
    assert answers(fitted, normals[::-1]) == straight[::-1]
    assert answers(fitted, normals[5:6]) == straight[5:6]


def test_permutations_and_rotations_are_saved_and_a_loaded_detector_answers_the_same_bits(
    fitted, normals, tmp_path
):
    fitted.save(tmp_path / "saved")
    kept = torch.load(tmp_path / "saved" / "state.pt", weights_only=True)
    for number, block in enumerate(fitted.density_.flow.blocks):
        assert torch.equal(kept[f"head.flow.blocks.{number}.permutation"], block.permutation)
    assert torch.equal(kept["head.test_degrees"], fitted.density_.test_degrees)
    loaded = detectors.load(tmp_path / "saved")
    assert answers(loaded, normals[:3]) == answers(fitted, normals[:3])
    assert json.loads((tmp_path / "saved" / "meta.json").read_text())["backbone_weights"] == "random"


def test_a_stopped_and_resumed_fit_equals_an_uninterrupted_one(fitted, normals, tmp_path):
    def stop_in_training(progress) -> None:
        stop.append(progress.stage == "train" and progress.step == 11)

    stop: list[bool] = []
    first = tiny()
    first.fit(
        normals, progress=stop_in_training, should_stop=lambda: bool(stop and stop[-1]), checkpoint=tmp_path
    )
    assert first.report.stopped
    assert not equal_states(first, fitted)
    steps: list[int] = []
    second = tiny().fit(
        normals, progress=lambda each: steps.append(each.step) if each.stage == "train" else None,
        checkpoint=tmp_path,
    )  # fmt: skip
    assert steps == list(range(12, 31))
    assert equal_states(second, fitted)
    assert answers(second, normals[:2]) == answers(fitted, normals[:2])


def test_a_checkpoint_of_other_images_is_not_used(normals, tmp_path):
    tiny().fit(normals, checkpoint=tmp_path)
    others = [image[::-1].copy() for image in normals]
    assert equal_states(tiny().fit(others, checkpoint=tmp_path), tiny().fit(others))


def test_a_fit_stopped_while_extracting_can_be_used(normals):
    stopped = tiny().fit(normals, should_stop=lambda: True)
    assert stopped.report.stopped
    assert stopped.n_normals_ == 2
    assert all(np.isfinite(each.score) for each in stopped.predict(normals[:2]))


def test_a_loss_that_diverges_ends_the_fit(normals):
    with pytest.raises(trainer.Diverged, match=r"differnet is (nan|inf) at step .* learning rate 1e"):
        tiny(learning_rate=1e12).fit(normals)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_images_give_finite_answers(fitted, value):
    (prediction,) = fitted.predict([np.full((30, 90, 3), value, np.uint8)])
    assert np.isfinite(prediction.score)
    assert prediction.map.shape == (30, 90)
    assert np.isfinite(prediction.map).all()


def test_it_says_why_it_cannot_be_one_graph(fitted):
    with pytest.raises(NotImplementedError, match="gradient of its score"):
        fitted.scorer()


def test_forecast_grows_with_images_and_rotations(monkeypatch, normals):
    few, many = tiny(), tiny(rotations=8)
    for detector in (few, many):
        detector._settle([(48, 64)])
    state_bytes = few.forecast(10).state_bytes
    assert few.forecast(1010).fit_bytes - few.forecast(10).fit_bytes == 1000 * 4 * 96 * 4 * 2
    assert many.forecast(10).fit_bytes > few.forecast(10).fit_bytes
    assert state_bytes == 4 * sum(each.numel() for each in few.fit(normals).density_.flow.parameters())
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(TooLarge, match="rotations to 1"):
        tiny().fit(normals)


def test_scales_too_small_for_the_backbone_are_refused_with_what_to_change(normals):
    with pytest.raises(ValueError, match=r"4 scales has 6 x 8 pixels.*alexnet.*fewer n_scales"):
        tiny(backbone="alexnet", n_scales=4).fit(normals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_scales": 0}, "n_scales of at least 1"),
        ({"rotations": -1}, "rotations >= 0"),
        ({"max_degrees": 200.0}, "between 0 and 180"),
        ({"fill": "white"}, "edge, black"),
        ({"clamp": 0.0}, "clamp > 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_paper_profile_is_the_papers():
    config = DiffernetConfig.from_profile("paper")
    assert (config.backbone, config.weights, config.image_hw) == ("alexnet", "torchvision", (448, 448))
    assert (config.n_blocks, config.hidden, config.clamp) == (8, 2048, 3.0)
    assert (config.learning_rate, config.weight_decay, config.batch_size) == (2e-4, 1e-5, 24)
    assert (config.test_rotations, config.map_rotations, config.rotations_per_step) == (64, 64, 4)
    random = dataclasses.replace(config, weights="random")
    detector = Differnet(random)
    detector._settle([(448, 448)])
    assert detector._new_pooler().n_features() == 768
    assert detector.forecast(1).state_bytes / 4e6 == pytest.approx(172, abs=0.5)


def test_by_default_nothing_is_turned(normals):
    config = DiffernetConfig.from_profile("cpu")
    options = {"rotations": config.rotations, "rotations_per_step": config.rotations_per_step, "n_steps": 5}
    density = tiny(**options).fit(normals).density_
    assert density.test_degrees.tolist() == density.map_degrees.tolist() == [0.0]
