import numpy as np
import pytest
import torch

from detectors.blocks.patches import (
    DIRECTIONS,
    cut,
    grid_hw,
    jittered_corners,
    mean_image,
    neighbour_corners,
    spread_matrix,
)

HW = (48, 64)
SIDE = 16


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def within(corners: torch.Tensor, image_hw: tuple[int, int], side: int) -> bool:
    return bool((corners >= 0).all() and (corners + side <= torch.tensor(image_hw)).all())


def test_the_opposite_of_direction_n_is_7_minus_n():
    for n, (row, column) in enumerate(DIRECTIONS):
        assert DIRECTIONS[7 - n] == (-row, -column)
    assert len(set(DIRECTIONS)) == 8


def test_the_label_tells_where_the_second_patch_lies_and_swapped_ones_have_the_opposite():
    first, second, direction = neighbour_corners(HW, SIDE, 2000, generator())
    moves = torch.tensor(DIRECTIONS)
    assert torch.equal((second - first).sign(), moves[direction])
    assert torch.equal((first - second).sign(), moves[7 - direction])


def test_neighbours_are_within_the_image_at_the_stated_distances():
    first, second, direction = neighbour_corners(HW, SIDE, 4000, generator())
    assert within(first, HW, SIDE)
    assert within(second, HW, SIDE)
    away = (second - first).abs()
    assert away[away > 0].unique().tolist() == [12, 13, 14, 15]
    assert direction.unique().tolist() == list(range(8))
    assert torch.bincount(direction).min() > 400


def test_patches_at_every_border_take_part():
    first, second, _ = neighbour_corners(HW, SIDE, 8000, generator())
    for corners in (first, second):
        assert corners.min(dim=0).values.tolist() == [0, 0]
        assert corners.max(dim=0).values.tolist() == [HW[0] - SIDE, HW[1] - SIDE]


def test_narrow_images_have_the_directions_that_fit():
    first, second, direction = neighbour_corners((20, 64), SIDE, 500, generator())
    assert {DIRECTIONS[n] for n in direction.tolist()} == {(0, -1), (0, 1)}
    assert within(first, (20, 64), SIDE)
    assert within(second, (20, 64), SIDE)


def test_images_with_some_room_have_the_distances_that_fit():
    _, second, direction = neighbour_corners((29, 64), SIDE, 2000, generator())
    assert within(second, (29, 64), SIDE)
    assert direction.unique().tolist() == list(range(8))


def test_images_without_a_neighbour_are_refused():
    with pytest.raises(ValueError, match=r"two neighbouring patches of 16 pixels, found \(20, 27\)"):
        neighbour_corners((20, 27), SIDE, 1, generator())


@pytest.mark.parametrize("most", [1, 2])
def test_jitter_is_never_zero_and_reaches_all_places(most):
    first, second = jittered_corners(HW, SIDE, most, 4000, generator())
    shifts = {tuple(each) for each in (second - first).tolist()}
    reach = range(-most, most + 1)
    assert shifts == {(row, column) for row in reach for column in reach} - {(0, 0)}
    assert within(first, HW, SIDE)
    assert within(second, HW, SIDE)


def test_jitter_stays_within_an_image_that_has_room_along_one_axis_only():
    first, second = jittered_corners((16, 64), SIDE, 1, 200, generator())
    assert (first[:, 0] == 0).all()
    assert (second[:, 0] == 0).all()
    assert (first != second).any(dim=1).all()


@pytest.mark.parametrize("image_hw", [(16, 16), (12, 64)])
def test_images_without_room_for_jitter_are_refused(image_hw):
    with pytest.raises(ValueError, match="larger than a patch of 16 pixels"):
        jittered_corners(image_hw, SIDE, 1, 4, generator())


def test_a_seed_decides_the_patches():
    for draw in (
        lambda seed: neighbour_corners(HW, SIDE, 50, generator(seed)),
        lambda seed: jittered_corners(HW, SIDE, 2, 50, generator(seed)),
    ):
        assert all(torch.equal(a, b) for a, b in zip(draw(1), draw(1), strict=True))
        assert not torch.equal(draw(1)[0], draw(2)[0])


def test_cut_equals_slices():
    images = torch.arange(2 * 3 * 48 * 64).reshape(2, 3, *HW)
    index, corners = torch.tensor([0, 1, 1]), torch.tensor([[0, 0], [32, 48], [5, 7]])
    patches = cut(images, index, corners, SIDE)
    for patch, n, (row, column) in zip(patches, index.tolist(), corners.tolist(), strict=True):
        assert torch.equal(patch, images[n, :, row : row + SIDE, column : column + SIDE])


def test_mean_image_equals_numpy():
    images = np.random.default_rng(0).integers(0, 256, (5, *HW, 3), dtype=np.uint8)
    expected = (images / 255).mean(axis=0).transpose(2, 0, 1)
    assert np.allclose(mean_image(torch.from_numpy(images)).numpy(), expected, atol=1e-6)


def map_of(scores: torch.Tensor, image_hw: tuple[int, int], side: int, stride: int) -> torch.Tensor:
    rows, columns = (spread_matrix(n, side, stride) for n in image_hw)
    return rows @ scores @ columns.T


def slow_map(scores: torch.Tensor, image_hw: tuple[int, int], side: int, stride: int) -> torch.Tensor:
    """Mean of the patches over each pixel; NaN where there is none."""
    total, count = torch.zeros(image_hw), torch.zeros(image_hw)
    for row in range(scores.shape[0]):
        for column in range(scores.shape[1]):
            place = np.s_[row * stride : row * stride + side, column * stride : column * stride + side]
            total[place] += scores[row, column]
            count[place] += 1
    return total / count


@pytest.mark.parametrize(("side", "stride"), [(16, 4), (16, 16), (32, 16), (8, 5)])
def test_spread_scores_equal_the_mean_over_patches(side, stride):
    scores = torch.rand(grid_hw(HW, side, stride), generator=generator())
    expected = slow_map(scores, HW, side, stride)
    covered = ~expected.isnan()
    assert covered.float().mean() > 0.85
    found = map_of(scores, HW, side, stride)
    assert torch.allclose(found[covered], expected[covered], atol=1e-6)
    assert not found.isnan().any()


@pytest.mark.parametrize(("side", "stride"), [(16, 4), (32, 16), (20, 12)])
def test_equal_scores_spread_to_a_constant_map(side, stride):
    found = map_of(torch.full(grid_hw(HW, side, stride), 3.5), HW, side, stride)
    assert torch.allclose(found, torch.full(HW, 3.5), atol=1e-6)


def test_pixels_beyond_the_last_patch_take_its_value():
    matrix = spread_matrix(21, side=8, stride=8)
    assert matrix.shape == (21, 2)
    assert torch.equal(matrix[16:], matrix[15:16].expand(5, 2))
