import numpy as np
import pytest
import torch

from detectors.blocks.rotations import drawn, evenly_spaced, halved_hw, halvings, rotate


def noise(height: int = 48, width: int = 64, n: int = 1) -> torch.Tensor:
    return 255 * torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


def degrees(*values: float) -> torch.Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize("fill", ["edge", "black"])
def test_no_turn_changes_nothing(fill):
    assert torch.allclose(rotate(noise(), degrees(0), fill), noise(), atol=0.05)


def test_quarter_turns_of_a_square_are_numpys():
    square = noise(48, 48)
    for n in (1, 2, 3):
        found = rotate(square, degrees(90.0 * n), "black")
        expected = np.rot90(square.numpy(), n, axes=(2, 3))
        np.testing.assert_allclose(found.numpy(), expected, atol=0.05)


def test_half_turn_of_a_wide_image_shows_all_of_it():
    assert torch.allclose(rotate(noise(), degrees(180), "black"), noise().flip(2, 3), atol=0.05)


def test_pixels_stay_square_when_a_wide_image_is_turned_upright():
    found = rotate(noise(48, 64), degrees(90), "black")
    inner = np.rot90(noise(48, 64).numpy()[..., 8:-8], 1, axes=(2, 3))
    np.testing.assert_allclose(found.numpy()[..., 8:-8], inner, atol=0.05)
    assert (found[..., :7] == 0).all()
    assert (found[..., -7:] == 0).all()


def test_corners_repeat_the_edge_or_are_black():
    flat = torch.full((1, 3, 48, 64), 200.0)
    assert torch.allclose(rotate(flat, degrees(45), "edge"), flat, atol=0.01)
    black = rotate(flat, degrees(45), "black")
    assert float(black[0, 0, 0, 0]) == 0
    assert float(black[0, 0, 24, 32]) == pytest.approx(200)


def test_each_image_has_its_own_turn():
    found = rotate(noise(n=3), degrees(0, 30, 180), "edge")
    for index, angle in enumerate((0, 30, 180)):
        alone = rotate(noise(n=3)[index : index + 1], degrees(angle), "edge")
        assert torch.equal(found[index : index + 1], alone)


def test_turning_back_restores_the_middle():
    smooth = torch.sin(torch.arange(64) / 5).expand(1, 3, 48, 64) * 100
    back = rotate(rotate(smooth, degrees(25), "edge"), degrees(-25), "edge")
    assert torch.allclose(back[..., 14:-14, 16:-16], smooth[..., 14:-14, 16:-16], atol=2)


@pytest.mark.parametrize(("n", "most"), [(1, 180.0), (4, 180.0), (8, 10.0)])
def test_drawn_turns_lie_one_in_each_part_and_follow_the_generator(n, most):
    found = drawn(n, most, torch.Generator().manual_seed(5))
    edges = torch.linspace(-most, most, n + 1)
    assert ((edges[:-1] <= found) & (found <= edges[1:])).all()
    assert torch.equal(found, drawn(n, most, torch.Generator().manual_seed(5)))
    assert not torch.equal(found, drawn(n, most, torch.Generator().manual_seed(6)))


@pytest.mark.parametrize(("n", "most"), [(0, 180.0), (8, 0.0)])
def test_nothing_to_turn_by_is_one_turn_of_zero(n, most):
    assert drawn(n, most, torch.Generator()).tolist() == [0]


def test_evenly_spaced_turns():
    assert evenly_spaced(4, 180).tolist() == [0, 90, 180, 270]
    assert evenly_spaced(5, 20).tolist() == [-20, -10, 0, 10, 20]
    assert evenly_spaced(1, 180).tolist() == evenly_spaced(4, 0).tolist() == [0]


def test_halvings_are_means_of_two_by_two_pixels():
    whole, half, quarter = halvings(noise(), 3)
    assert torch.equal(whole, noise())
    expected = noise().reshape(1, 3, 24, 2, 32, 2).mean(dim=(3, 5))
    assert torch.allclose(half, expected)
    assert torch.allclose(quarter, expected.reshape(1, 3, 12, 2, 16, 2).mean(dim=(3, 5)), atol=1e-4)


@pytest.mark.parametrize("image_hw", [(48, 64), (37, 91), (1, 5)])
def test_halved_sizes_are_those_of_the_halvings(image_hw):
    for n, image in enumerate(halvings(noise(*image_hw), 3)):
        assert tuple(image.shape[2:]) == halved_hw(image_hw, n)
