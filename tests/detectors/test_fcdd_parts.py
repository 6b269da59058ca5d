import numpy as np
import pytest
import torch

from detectors.blocks import fcdd_batches
from detectors.blocks.contrast import Contrast
from detectors.blocks.fcdd_batches import Batches
from detectors.blocks.fcdd_loss import (
    GaussianUpsampling,
    anomalous_loss,
    heat,
    image_losses,
    joint_heat,
    pixel_losses,
)
from detectors.blocks.fcdd_net import Joined
from detectors.fcdd import FcddConfig
from tests.helpers.tiny import anomalous_image, normal_image


@pytest.fixture(scope="module")
def normals() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(12)]


@pytest.fixture(scope="module")
def defects() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [anomalous_image(rng) for _ in range(3)]


# the heat and its losses


def test_heat_is_zero_at_zero_never_negative_and_convex():
    phi = torch.linspace(-6, 6, 401, dtype=torch.float64)
    values = heat(phi)
    assert heat(torch.zeros(1)).item() == 0
    assert (values >= 0).all()
    assert (values[2:] - 2 * values[1:-1] + values[:-2] > 0).all()
    torch.testing.assert_close(values, (phi**2 + 1).sqrt() - 1)


def test_joint_heat_is_the_heat_of_the_vectors_lengths():
    phi = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(joint_heat(phi), heat(phi.norm(dim=1)))
    torch.testing.assert_close(joint_heat(phi[:, :1]), heat(phi[:, 0]))


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


def test_pixel_loss_of_each_pixel_does_not_forget_small_or_cold_ones():
    heats = torch.full((3, 6, 8), 0.7)
    heats[2, 1, 2] = 0.001
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 1, 2] = True
    masks[1:, 1:5, 2:7] = True
    losses = pixel_losses(heats, masks, each_pixel=True) - (heats * ~masks).mean(dim=(1, 2))
    one, cold = (-np.log(1 - np.exp(-value)) for value in (0.7, 0.001))
    assert losses.tolist() == pytest.approx([one, one, (19 * one + cold) / 20], rel=1e-3)
    assert torch.isfinite(pixel_losses(heats, torch.zeros_like(masks), each_pixel=True)).all()


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


# features


def test_features_of_the_normals_are_whitened_and_joined_on_the_second_grid():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5)) * np.array([[1.0], [10.0], [0.1], [3.0], [1.0]])
    images = []
    for _ in range(20):
        cells = np.einsum("ij,jhw->ihw", mixing, rng.normal(size=(5, 6, 8))) + 7
        first = np.repeat(np.repeat(cells[:2], 2, axis=1), 2, axis=2)
        images.append([first.astype(np.float32), cells[2:].astype(np.float32)])
    joined = Joined([2, 3])
    joined.measure(images)
    batch = [torch.from_numpy(np.stack(layer)) for layer in zip(*images, strict=True)]
    white = joined(batch)
    assert white.shape == (20, 5, 6, 8)
    values = white.permute(1, 0, 2, 3).flatten(1)
    assert values.mean(dim=1).abs().max() < 1e-3
    found = torch.cov(values)
    assert (found - torch.diag(found.diagonal())).abs().max() < 0.2
    assert 0.5 < found.diagonal().min() <= found.diagonal().max() < 1.001


def test_a_channel_that_is_constant_on_the_normals_stays_finite():
    joined = Joined([3])
    joined.measure([[np.full((3, 6, 8), 2.0, np.float32)]])
    assert torch.isfinite(joined([torch.full((1, 3, 6, 8), 3.0)])).all()


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


def test_small_anomalies_are_scars_and_confetti_in_turn_with_exact_masks(normals, monkeypatch):
    used = []
    for name in ("add_confetti", "add_scars"):
        original = getattr(fcdd_batches, name)
        monkeypatch.setattr(
            fcdd_batches, name, lambda *args, f=original, n=name: (used.append((n, *args[3:])), f(*args))[1]
        )
    for synthetic, expected in (("small", 4), ("confetti", 0)):
        used.clear()
        settings = FcddConfig(train_batch=16, synthetic=synthetic, shift_fraction=0.0)
        batch = Batches(normals[:1], [], settings).draw(np.random.default_rng(0))
        assert sum(name == "add_scars" for name, *_ in used) == expected
        assert len(used) == 8
        for image, mask in zip(batch.pixels[8:], batch.masks[8:].numpy(), strict=True):
            assert np.array_equal((image != normals[0]).any(axis=2), mask)
            assert mask.any()


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
