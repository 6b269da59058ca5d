import numpy as np
import pytest

from detectors.blocks.scars import Scars, add_scars
from tests.helpers.tiny import normal_image


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return normal_image(rng), normal_image(rng)


def many(image, donor, n=40, **options) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [add_scars(image, donor, rng, Scars(**options)) for _ in range(n)]


def test_the_mask_is_exactly_where_pixels_changed_and_by_how_much_at_least(pair):
    image, donor = pair
    before = image.copy(), donor.copy()
    for scarred, mask in many(image, donor):
        change = np.abs(scarred.astype(int) - image).max(axis=2)
        assert scarred.dtype == np.uint8
        assert np.array_equal(mask, change > 0)
        assert mask.any()
        assert change[mask].min() >= 10
    assert np.array_equal(image, before[0])
    assert np.array_equal(donor, before[1])


def test_a_scar_shows_the_donor_in_another_brightness():
    image, donor = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), (100, 120, 140), np.uint8)
    for scarred, mask in many(image, donor, gains=(0.5, 0.5), offsets=(20.0, 20.0)):
        colours = {tuple(each) for each in scarred[mask].tolist()}
        assert colours <= {(70, 80, 90), (30, 40, 50)}


def test_strokes_have_the_length_and_width_asked_for():
    image, donor = np.zeros((96, 128, 3), np.uint8), np.full((96, 128, 3), 200, np.uint8)
    side = np.sqrt(96 * 128)
    options = {
        "n_more": 0.0, "stroke_lengths": (40 / side, 40 / side), "stroke_widths": (4 / side, 4 / side),
        "patch_lengths": (40 / side, 40 / side), "patch_ratios": (0.1, 0.1),
    }  # fmt: skip
    found = many(image, donor, 80, **options)
    assert max(mask.sum() for _, mask in found) == pytest.approx(40 * 4, rel=0.1)
    spans = [np.hypot(*(np.ptp(each) for each in np.nonzero(mask))) for _, mask in found]
    assert max(spans) == pytest.approx(40, rel=0.1)


def test_half_of_the_full_patches_are_round():
    image, donor = np.zeros((96, 128, 3), np.uint8), np.full((96, 128, 3), 200, np.uint8)
    options = {
        "n_more": 0.0, "stroke_lengths": (0.2, 0.2), "stroke_widths": (0.2, 0.2), "patch_lengths": (0.2, 0.2),
        "patch_ratios": (1.0, 1.0),
    }  # fmt: skip
    square = (0.2**2) * 96 * 128
    areas = np.array([mask.sum() for _, mask in many(image, donor, 200, **options)]) / square
    assert (np.abs(areas - 1) < 0.05).sum() > 30
    assert (np.abs(areas - np.pi / 4) < 0.05).sum() > 30


def test_the_same_seed_gives_the_same_scars(pair):
    first, again = many(*pair, 3), many(*pair, 3)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], first[1][0])


def test_scars_that_cannot_be_seen_and_donors_of_another_size_are_refused(pair):
    flat = np.full((48, 64, 3), 200, np.uint8)
    with pytest.raises(ValueError, match="Expected scars that can be seen"):
        many(flat, flat, 1, gains=(1.0, 1.0), offsets=(0.0, 0.0))
    with pytest.raises(ValueError, match=r"shape \(48, 64, 3\), found \(48, 60, 3\)"):
        many(flat, flat[:, :60], 1)
