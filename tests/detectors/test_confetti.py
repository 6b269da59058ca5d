import numpy as np
import pytest

from detectors.blocks.confetti import Confetti, add_confetti
from tests.helpers.tiny import normal_image


@pytest.fixture
def image() -> np.ndarray:
    return normal_image(np.random.default_rng(0))


def many(image: np.ndarray, n: int = 40, **options) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [add_confetti(image, rng, Confetti(**options)) for _ in range(n)]


def test_the_mask_is_exactly_where_pixels_changed(image):
    before = image.copy()
    for noisy, mask in many(image):
        assert noisy.dtype == np.uint8
        assert np.array_equal(mask, (noisy != image).any(axis=2))
        assert mask.any()
    assert np.array_equal(image, before)


def test_pixels_that_hardly_change_are_left_alone(image):
    for noisy, mask in many(image, least_change=10):
        change = np.abs(noisy.astype(int) - image).max(axis=2)
        assert np.array_equal(mask, change > 0)
        assert change[mask].min() >= 10
    assert min(np.abs(n.astype(int) - image).max(axis=2)[m].min() for n, m in many(image)) == 1


def test_every_image_gets_confetti_even_when_the_expected_number_is_tiny(image):
    assert all(mask.any() for _, mask in many(image, n_coloured=1e-9, n_dark=0.0))


def test_blur_of_a_square_is_scipys_gaussian_of_it(image):
    from scipy.ndimage import gaussian_filter

    grey = np.full((96, 128, 3), 200, np.uint8)
    sharp = {"n_coloured": 0.0, "n_dark": 1.0, "side_fractions": (0.1, 0.1), "dark": (-0.5, -0.5)}
    sigma = 3 / np.sqrt(96 * 128)
    for (hard, _), (soft, _) in zip(
        many(grey, 8, **sharp, blur_fraction=0.0), many(grey, 8, **sharp, blur_fraction=sigma), strict=True
    ):
        change = hard.astype(float) - 200
        expected = np.stack(
            [gaussian_filter(change[..., c], 3, mode="mirror", truncate=4) for c in range(3)], axis=2
        )
        assert np.abs(soft - 200.0 - expected).max() < 1.5  # both are rounded


def test_squares_have_the_sides_asked_for():
    grey = np.full((96, 128, 3), 200, np.uint8)
    side = 16 / np.sqrt(96 * 128)
    options = {"n_coloured": 0.0, "n_dark": 1e-9, "side_fractions": (side, side), "blur_fraction": 0.0}
    areas = [mask.sum() for _, mask in many(grey, **options)]
    assert max(areas) == pytest.approx(16 * 16, rel=0.1)


def test_dark_squares_darken_a_bright_image_and_brighten_a_black_one():
    options = {"n_coloured": 0.0, "n_dark": 1.0}
    bright, black = np.full((48, 64, 3), 220, np.uint8), np.zeros((48, 64, 3), np.uint8)
    assert all((noisy <= bright).all() for noisy, _ in many(bright, **options))
    assert all(noisy.max() > 0 for noisy, _ in many(black, **options))


def test_coloured_squares_change_channels_differently_and_dark_ones_alike():
    grey = np.full((48, 64, 3), 200, np.uint8)
    for coloured in (True, False):
        options = {"n_coloured": float(coloured), "n_dark": float(not coloured)}
        differ = [np.ptp(noisy.astype(int), axis=2).max() > 2 for noisy, _ in many(grey, 10, **options)]
        assert all(differ) if coloured else not any(differ)


def test_the_same_seed_gives_the_same_confetti(image):
    first, again = many(image, 3), many(image, 3)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], first[1][0])


def test_confetti_that_cannot_be_seen_is_refused(image):
    with pytest.raises(ValueError, match="Expected confetti that can be seen"):
        many(image, 1, coloured=(0.0, 0.0), dark=(0.0, 0.0))
