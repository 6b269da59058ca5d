import numpy as np
import pytest
import torch

from detectors.blocks.dense_teacher import Lessons, dense_lessons, jittered_views, target_stride
from detectors.blocks.patch_learning import Learner
from detectors.blocks.patch_nets import PATCH_LAYERS, PatchNet, reach
from detectors.blocks.patch_teacher import Distillation, correlation_loss

SIDES = tuple(PATCH_LAYERS)


def noise(n: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 48, 64, 3), dtype=torch.uint8, generator=generator)


def rows_and_columns() -> torch.Tensor:
    """One image whose red tells the row and whose green tells the column."""
    image = torch.zeros(1, 48, 64, 3, dtype=torch.uint8)
    image[..., 0] = torch.arange(48)[:, None]
    image[..., 1] = torch.arange(64)
    return image


class Pooling:
    """A runner whose maps are means over squares of 4 and 8 pixels, and one of 16."""

    runtime = "torch"

    def run(self, images, take):
        for index, image in enumerate(images):
            planes = torch.from_numpy(image).permute(2, 0, 1).float()[None]
            take(index, [torch.nn.functional.avg_pool2d(planes, n)[0].numpy() for n in (4, 8, 16)])


def test_views_are_seeded_and_differ():
    first, again = (jittered_views(noise(), 40, torch.Generator().manual_seed(4)) for _ in range(2))
    other = jittered_views(noise(), 40, torch.Generator().manual_seed(5))
    assert first.shape == (40, 48, 64, 3)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(torch.unique(first.flatten(1), dim=0)) == 40


def test_views_keep_the_proportions_of_what_they_show():
    height, width = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    inside = (height - 24).square() + (width - 32).square() < 12**2
    disc = (inside * 200 + 20).to(torch.uint8)[None, :, :, None].expand(1, 48, 64, 3)
    seen = 0
    for view in jittered_views(disc, 200, torch.Generator().manual_seed(1)):
        bright = (view.float().mean(dim=2) > 120).numpy()
        rows, columns = (np.flatnonzero(bright.any(axis=axis)) for axis in (1, 0))
        if len(rows) < 5 or rows[0] == 0 or rows[-1] == 47 or columns[0] == 0 or columns[-1] == 63:
            continue
        tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        if abs(bright.sum() / (np.pi / 4 * tall * wide) - 1) < 0.03:  # no blot has cut it
            seen += 1
            assert abs(tall - wide) <= 2
    assert seen >= 5


@pytest.mark.parametrize("side", SIDES)
def test_features_lie_around_the_middles_of_their_patches(side):
    stride = target_stride(side)
    lessons = dense_lessons(Pooling(), rows_and_columns(), side)
    n_features = lessons.features.shape[1]
    assert n_features == {17: 3, 33: 6, 65: 6}[side]
    cells = torch.stack(
        torch.meshgrid(torch.arange(48 // stride), torch.arange(64 // stride), indexing="ij")
    ).float()
    windows, found = Lessons(lessons.views, cells[None], side).draw(9, 20, torch.Generator().manual_seed(1))
    n_cells = 20 // stride + 1
    assert found.shape == (9, 2, n_cells, n_cells)
    assert windows.shape == (9, 3, *[(n_cells - 1) * stride + reach(side)] * 2)
    pixels = (windows + 1) * 127.5
    middle = (reach(side) - 1) / 2
    for index in range(n_cells):
        at = [int(np.floor(middle)) + index * stride, int(np.ceil(middle)) + index * stride]
        for channel in (0, 1):
            place = pixels[:, channel][:, at][:, :, at].mean(dim=(1, 2))
            cell = found[:, channel, index, index]
            assert (place - (cell * stride + (stride - 1) / 2)).abs().max() <= 0.51
    assert len(found.flatten(1).unique(dim=0)) > 1


def test_lessons_are_standardised_and_in_order():
    lessons = dense_lessons(Pooling(), noise(5), 33)
    assert lessons.features.shape == (5, 6, 12, 16)
    assert lessons.features.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (lessons.features.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    means = torch.nn.functional.avg_pool2d(noise(5).permute(0, 3, 1, 2).float(), 4)
    correlation = torch.corrcoef(torch.stack([means.flatten(), lessons.features[:, :3].flatten()]))[0, 1]
    assert correlation > 0.99


def test_windows_are_at_most_the_whole_view():
    lessons = dense_lessons(Pooling(), noise(2), 33)
    windows, features = lessons.draw(2, 999, torch.Generator().manual_seed(0))
    assert features.shape == (2, 6, 12, 16)
    assert windows.shape == (2, 3, 11 * 4 + 32, 15 * 4 + 32)


@pytest.mark.parametrize("side", SIDES)
def test_a_folded_learner_is_the_plain_network(side):
    torch.manual_seed(side)
    net = PatchNet(side, 1 / 16, 6)
    learner = Learner(net)
    images = torch.randn(2, 3, 80, 91)
    for _ in range(3):
        learner(images, 8)
    for norm in learner.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.normal_(norm.bias)
    learner.eval()
    with torch.inference_mode():
        plain, wanted = net(images, 8), learner(images, 8)
        learner.fold()
        folded = net(images, 8)
    assert not torch.allclose(plain, wanted, atol=1e-2)
    torch.testing.assert_close(folded, wanted, rtol=1e-4, atol=1e-4)
    learner.fold()
    assert torch.equal(net(images, 8), folded)


def test_a_learner_without_normalisation_leaves_the_network_as_it_is():
    net = PatchNet(17, 1 / 16, 6)
    before = [each.clone() for each in net.parameters()]
    learner = Learner(net, normed=False)
    assert len(list(learner.parameters())) == len(before)
    learner.fold()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))


def test_distillation_is_distance_plus_weighted_correlation():
    torch.manual_seed(0)
    windows, features = torch.randn(4, 3, 25, 29), torch.randn(4, 7, 3, 4)
    pupil = Distillation(PatchNet(17, 1 / 16, 5), 5, 7, compactness=0.5)
    descriptors = pupil.teacher.net(windows, 4).permute(0, 2, 3, 1).reshape(-1, 5)
    wanted = features.permute(0, 2, 3, 1).reshape(-1, 7)
    distance = (pupil.decoder(descriptors) - wanted).square().sum() / len(wanted)
    expected = distance + 0.5 * correlation_loss(descriptors)
    torch.testing.assert_close(pupil.loss(windows, features, 4), expected)
