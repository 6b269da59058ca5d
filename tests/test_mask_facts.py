"""What is measured in masks agrees with counting region by region."""

import numpy as np
import pytest

from curate.mask_facts import measure
from tests.helpers.mask_facts import facts


@pytest.mark.parametrize("density", [0.0, 0.002, 0.02, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_random_masks_are_measured_as_they_are_counted(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((24, 37)) < density
    expected = facts("0", mask, [3, 255])
    measured = measure(mask, [255, 3])
    assert measured["smallest_px"] == (expected.pop("smallest_px") or 0)
    assert {key: measured[key] for key in expected if key != "sample_id"} == {
        key: value for key, value in expected.items() if key != "sample_id"
    }


def test_a_region_of_five_pixels_is_no_speck_and_one_of_four_is() -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[9, 4:8] = mask[20, 4:9] = True
    assert (measure(mask)["n_regions"], measure(mask)["n_specks"]) == (2, 1)


@pytest.mark.parametrize("pixel", [(0, 7), (47, 7), (9, 0), (9, 63)])
def test_a_pixel_at_each_border_touches_it(pixel: tuple[int, int]) -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[pixel] = mask[20:25, 20:29] = True
    assert measure(mask)["n_border"] == 1
