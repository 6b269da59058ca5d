import pytest
import torch

from detectors.blocks.patch_nets import (
    PATCH_LAYERS,
    PatchNet,
    normalized,
    own_stride,
    patch_borders,
    reach,
    with_borders,
)
from detectors.blocks.patch_teacher import correlation_loss, jittered_crops
from detectors.blocks.student_ensemble import Ensemble, Students, random_windows

SIDES = tuple(PATCH_LAYERS)


def net(side: int) -> PatchNet:
    torch.manual_seed(side)
    return PatchNet(side, width=1 / 16, n_descriptor=6).eval()


def picture(height: int = 70, width: int = 83) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def patches(image: torch.Tensor, side: int, stride: int) -> tuple[torch.Tensor, tuple[int, int]]:
    """Every patch cut out, one a row, and how many there are along each axis."""
    cut = image.unfold(2, side, stride).unfold(3, side, stride)
    return cut[0].permute(1, 2, 0, 3, 4).flatten(0, 1), (cut.shape[2], cut.shape[3])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_dense_descriptors_equal_those_of_patches_one_by_one(side, stride):
    cut, grid_hw = patches(picture(), reach(side), stride)
    with torch.inference_mode():
        one_by_one = net(side)(cut)
        dense = net(side)(picture(), stride)
    assert one_by_one.shape[2:] == (1, 1)
    assert dense.shape[2:] == grid_hw
    torch.testing.assert_close(dense[0].flatten(1).T, one_by_one.flatten(1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_a_patch_of_the_nominal_side_is_seen_up_to_its_reach(side):
    patch = picture(side, side)
    with torch.inference_mode():
        whole = net(side)(patch, own_stride(side))
        reached = net(side)(patch[:, :, : reach(side), : reach(side)], own_stride(side))
        shorter = patch.clone()
        shorter[:, :, reach(side) - 1, : reach(side)] += 1
        changed = net(side)(shorter, own_stride(side))
    assert torch.equal(whole, reached)
    assert not torch.equal(whole, changed)


def test_unknown_patch_sides_and_strides_are_refused():
    with pytest.raises(ValueError, match="patch side of 17, 33, 65, found 21"):
        PatchNet(21, 1.0, 8)
    with pytest.raises(ValueError, match="stride of 1, 2, 4, 8 pixels, found 3"):
        net(17)(picture(), 3)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("n", [8, 37, 64])
def test_borders_make_as_many_descriptors_as_there_are_cells(side, stride, n):
    with torch.inference_mode():
        found = net(side)(with_borders(picture(n, 40), side, stride), stride)
    assert found.shape[2:] == (max(1, int(n / stride + 0.5)), 40 // stride)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("stride", [1, 4])
def test_a_cell_is_the_middle_of_its_patch(side, stride):
    before, _ = patch_borders(side, stride, 64)
    middle_of_patch = -before + (reach(side) - 1) / 2
    assert abs(middle_of_patch - (stride - 1) / 2) <= 0.5


def test_borders_repeat_the_edge():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    bordered = with_borders(image, 17, 1)
    assert bordered.shape == (1, 1, 19, 20)
    assert torch.equal(bordered[:, :, 8:11, 8:12], image)
    assert bordered[0, 0, 0, 0] == 0
    assert bordered[0, 0, -1, -1] == 11


def test_windows_are_cut_from_the_bordered_image():
    images = torch.randint(0, 256, (1, 20, 26, 3), dtype=torch.uint8)
    bordered = with_borders(normalized(images), 17, 1)
    whole = random_windows(images, 17, 99, 2, torch.Generator().manual_seed(0))
    assert torch.equal(whole[:1], bordered)
    windows = random_windows(images, 17, 21, 5, torch.Generator().manual_seed(0))
    cut, _ = patches(bordered, 21, 1)
    assert all((cut == window).flatten(1).all(dim=1).any() for window in windows)
    assert len({window.sum().item() for window in windows}) == 5


def ensemble(n_students: int = 3) -> Ensemble:
    torch.manual_seed(2)
    return Ensemble(17, width=1 / 16, n_descriptor=6, n_students=n_students).eval().requires_grad_(False)


def test_the_variance_is_that_of_the_students_and_never_negative():
    found = ensemble()
    answers = torch.stack([student(picture(), 4) for student in found.students])
    mean = answers.mean(dim=0)
    expected = answers.square().sum(dim=2).mean(dim=0) - mean.square().sum(dim=1)
    error, variance = found.error_and_variance(picture(), 4)[0]
    assert (variance > 0).all()
    torch.testing.assert_close(variance[None], expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(error[None], (mean - found.target(picture(), 4)).square().sum(dim=1))


def test_identical_students_have_no_variance():
    found = ensemble()
    for student in found.students[1:]:
        student.load_state_dict(found.students[0].state_dict())
    assert (found.error_and_variance(picture(), 4)[:, 1] == 0).all()


def test_standardised_targets_have_mean_zero_and_variance_one():
    found = ensemble()
    windows = [picture(40, 50), picture(33, 29)]
    found.standardize_targets(windows)
    targets = torch.cat([found.target(each, 1).movedim(1, 0).flatten(1) for each in windows], dim=1)
    torch.testing.assert_close(targets.mean(dim=1), torch.zeros(6), rtol=0, atol=1e-4)
    torch.testing.assert_close(targets.var(dim=1, correction=0), torch.ones(6), rtol=1e-4, atol=0)


def test_a_perfect_student_has_no_loss():
    found = ensemble(2)
    for student in found.students:
        student.load_state_dict(found.teacher.state_dict())
    assert found.loss(picture(), 1) == 0
    assert ensemble(2).loss(picture(), 1) > 0


def test_standardised_maps_of_normals_have_mean_zero_and_sum_of_two_deviations():
    head = Students([ensemble()], stride=4)
    pixels = torch.randint(0, 256, (1, 48, 64, 3), dtype=torch.uint8)
    parts = head.parts(pixels)
    head.standardize_maps([parts.numpy()])
    error, variance = parts[0, 0].double()
    expected = (error - error.mean()) / error.std(correction=0)
    expected = expected + (variance - variance.mean()) / variance.std(correction=0)
    assert head(pixels).shape == (1, 12, 16)
    torch.testing.assert_close(head(pixels)[0].double(), expected, rtol=0, atol=1e-4)


def test_the_variance_counts_as_much_as_its_weight():
    torch.manual_seed(3)
    head = Students([ensemble(), ensemble()], stride=4, variance_weight=0.25)
    parts = torch.rand(1, 2, 2, 5, 7)
    expected = (parts[:, :, 0] + parts[:, :, 1] / 4).mean(dim=1)
    torch.testing.assert_close(head.combined(parts), expected)


def test_correlation_loss_is_over_dimensions_not_samples():
    rng = torch.Generator().manual_seed(0)
    orthogonal = torch.linalg.qr(torch.randn(40, 5, generator=rng) - 0)[0]
    centred = orthogonal - orthogonal.mean(dim=0)
    independent = torch.linalg.qr(centred)[0]
    assert correlation_loss(independent + 3) < 1e-6
    same = torch.randn(40, 1, generator=rng).expand(40, 5)
    torch.testing.assert_close(correlation_loss(same * torch.arange(1, 6)), torch.tensor(20.0))
    some = torch.randn(30, 4, generator=rng)
    matrix = torch.corrcoef(some.T)
    torch.testing.assert_close(correlation_loss(some), matrix.square().sum() - 4)


def test_crops_are_seeded_and_differ():
    images = torch.randint(0, 256, (3, 48, 64, 3), dtype=torch.uint8)
    first, again = (jittered_crops(images, 70, 17, torch.Generator().manual_seed(4)) for _ in range(2))
    other = jittered_crops(images, 70, 17, torch.Generator().manual_seed(5))
    assert first.shape == (70, 17, 17, 3)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(torch.unique(first.flatten(1), dim=0)) == 70
