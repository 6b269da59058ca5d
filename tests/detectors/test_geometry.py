import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from detectors.geometry import Box, Geometry, choose_hw
from detectors.maps import bilinear_matrix, blur_matrix, edge_matrix

GRID_HW, INPUT_HW, IMAGE_HW = (12, 16), (48, 64), (90, 70)


@pytest.fixture
def grid() -> np.ndarray:
    return np.random.default_rng(0).random(GRID_HW).astype(np.float32)


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 12), (12, 5), (1, 4), (7, 7), (2, 3)])
def test_bilinear_matrix_equals_torch(n_in, n_out):
    values = torch.rand(1, 1, n_in, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = functional.interpolate(values, n_out, mode="linear", align_corners=False)[0, 0]
    np.testing.assert_allclose(bilinear_matrix(n_in, n_out) @ values[0, 0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_blur_equals_scipy_also_at_the_edges(sigma):
    noise = np.random.default_rng(1).random((48, 64))
    blurred = blur_matrix(48, sigma) @ noise @ blur_matrix(64, sigma).T
    np.testing.assert_allclose(blurred, gaussian_filter(noise, sigma, mode="mirror"), atol=1e-12)


def test_blur_wider_than_the_array_keeps_the_sum_of_weights():
    np.testing.assert_allclose(blur_matrix(3, 4.0).sum(axis=1), 1)
    np.testing.assert_allclose(blur_matrix(1, 4.0), [[1]])


def test_edge_matrix_centres_the_crop_and_repeats_its_border():
    assert (edge_matrix(3, 6) @ np.array([1.0, 2.0, 3.0])).tolist() == [1, 1, 2, 3, 3, 3]


def test_map_equals_upsampling_blurring_and_resizing_one_after_the_other(grid):
    found = Geometry(INPUT_HW, aspect="stretch").to_image(grid, IMAGE_HW, blur_sigma=2.0)
    upsampled = functional.interpolate(torch.from_numpy(grid)[None, None], INPUT_HW, mode="bilinear")
    blurred = gaussian_filter(upsampled[0, 0].numpy(), 2.0, mode="mirror")
    expected = functional.interpolate(torch.from_numpy(blurred)[None, None], IMAGE_HW, mode="bilinear")[0, 0]
    assert found.shape == IMAGE_HW
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_map_of_a_constant_grid_is_constant():
    found = Geometry((48, 64), crop_hw=(40, 40)).to_image(np.full((5, 5), 3, np.float32), (30, 200), 4.0)
    np.testing.assert_allclose(found, 3, rtol=1e-6)


def test_crop_takes_the_centre_and_its_map_covers_the_whole_image():
    image = np.zeros((48, 64, 3), np.uint8)
    image[20, 30] = 255
    geometry = Geometry((48, 64), crop_hw=(24, 32))
    prepared = geometry.prepare(image)
    assert prepared.pixels.shape == (24, 32, 3)
    assert prepared.image_hw == (48, 64)
    found = geometry.to_image(prepared.pixels[..., 0].astype(np.float32), (48, 64), blur_sigma=0)
    assert np.unravel_index(found.argmax(), found.shape) == (20, 30)


def test_an_image_of_the_input_size_passes_unchanged():
    image = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Geometry((48, 64)).prepare(image).pixels, image)


@pytest.mark.parametrize("image_hw", [(300, 20), (20, 300), (1, 1), (47, 65)])
def test_any_image_becomes_the_input_size_and_keeps_its_brightness(image_hw):
    prepared = Geometry((48, 64)).prepare(np.full((*image_hw, 3), 77, np.uint8))
    assert prepared.pixels.shape == (48, 64, 3)
    assert set(prepared.pixels.ravel().tolist()) == {77}


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.uint16), np.zeros((0, 5, 3), np.uint8)]
)
def test_prepare_names_what_is_wrong_with_an_image(image):
    with pytest.raises(ValueError, match=r"shape \(H, W, 3\) and type uint8, found"):
        Geometry((48, 64)).prepare(image)


@pytest.mark.parametrize("image_hw", [(48, 64), (50, 70)])
def test_a_read_only_image_can_be_prepared(image_hw):
    image = np.full((*image_hw, 3), 9, np.uint8)
    image.flags.writeable = False
    assert Geometry((48, 64)).prepare(image).pixels.flags.writeable


def test_an_image_of_another_aspect_ratio_is_padded_with_its_edge():
    image = np.zeros((40, 100, 3), np.uint8)
    image[0], image[-1] = 50, 200
    prepared = Geometry((80, 80)).prepare(image)
    assert prepared.pixels.shape == (80, 80, 3)
    assert (prepared.pixels[:24] == prepared.pixels[24]).all()
    assert (prepared.pixels[56:] == prepared.pixels[55]).all()


def test_a_circle_stays_a_circle():
    rows, columns = np.mgrid[0:60, 0:150]
    image = np.zeros((60, 150, 3), np.uint8)
    image[(rows - 30) ** 2 + (columns - 75) ** 2 < 20**2] = 255
    for aspect, same in (("keep", True), ("stretch", False)):
        shown = Geometry((96, 96), aspect=aspect).prepare(image).pixels[..., 0] > 127
        height, width = shown.any(axis=1).sum(), shown.any(axis=0).sum()
        assert (abs(int(height) - int(width)) <= 2) == same


def test_a_small_difference_of_the_aspect_ratio_is_stretched_not_padded():
    assert Geometry((64, 64)).box((100, 103)) == Box(0, 0, 64, 64)
    assert Geometry((64, 64)).box((100, 110)) == Box(3, 0, 58, 64)


@pytest.mark.parametrize("aspect", ["keep", "stretch"])
@pytest.mark.parametrize("crop_hw", [None, (64, 80)])
def test_a_hot_cell_comes_back_where_it_was_seen(aspect, crop_hw):
    geometry = Geometry((80, 96), crop_hw, aspect)
    image = np.zeros((50, 160, 3), np.uint8)
    image[30:34, 70:76] = 255
    prepared = geometry.prepare(image)
    grid = prepared.pixels[..., 0].astype(np.float32)
    found = geometry.to_image(grid, (50, 160), blur_sigma=1.0)
    assert found.shape == (50, 160)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 31.5) <= 2
    assert abs(column - 72.5) <= 2


def test_what_is_scored_on_repeated_edges_does_not_reach_the_map():
    geometry = Geometry((64, 64))
    inside = geometry.inside((16, 16), (32, 64))
    assert inside.sum() == 8 * 16
    grid = np.where(inside, 1, 1000).astype(np.float32)
    np.testing.assert_allclose(geometry.to_image(grid, (32, 64), blur_sigma=4.0), 1, rtol=1e-5)


def test_a_mask_keeps_a_single_pixel_when_it_shrinks():
    mask = np.zeros((200, 300), bool)
    mask[150, 20] = True
    small = Geometry((32, 48)).prepare_mask(mask)
    assert small.shape == (32, 48)
    assert small.sum() == 1
    assert small[24, 3]


@pytest.mark.parametrize(("hw", "expected"), [((500, 1250), (160, 408)), ((10, 1000), (32, 2560))])
def test_chosen_input_keeps_the_aspect_ratio_and_about_the_area(hw, expected):
    assert choose_hw([hw], 256) == expected


def test_chosen_input_follows_the_median_not_an_odd_image():
    assert choose_hw([(100, 200)] * 5 + [(500, 100)], 64) == choose_hw([(100, 200)], 64)


@pytest.mark.parametrize("image_hw", [(100, 60), (40, 50), (48, 64), (231, 632)])
def test_a_repeated_grey_is_prepared_as_if_it_were_colour(image_hw):
    grey = np.random.default_rng(0).integers(0, 256, image_hw, dtype=np.uint8)
    repeated = np.broadcast_to(grey[:, :, None], (*image_hw, 3))
    for geometry in (Geometry((48, 64)), Geometry((48, 64), (40, 40), "stretch")):
        expected = geometry.prepare(np.repeat(grey[:, :, None], 3, axis=2))
        np.testing.assert_array_equal(geometry.prepare(repeated).pixels, expected.pixels)
        assert geometry.prepare(repeated).pixels.flags.c_contiguous


def test_an_aspect_ratio_exactly_at_the_limit_is_stretched_at_any_size():
    assert all(Geometry((64, 64)).box((26 * n, 25 * n)) == Box(0, 0, 64, 64) for n in range(1, 200))
