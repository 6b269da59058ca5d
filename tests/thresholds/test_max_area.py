"""The rule max_area, and the levels it chooses from, beside the area opening of scikit-image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.morphology import area_opening

from curate.max_area import highest_level, region_levels
from curate.threshold_evidence import Evidence
from curate.thresholds import max_area


@given(st.integers(0, 10**6), st.integers(0, 60), st.booleans())
def test_highest_level_is_the_maximum_of_the_area_opening(seed: int, area: int, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 6, (8, 11)).astype(np.float32) if flat else rng.random((8, 11), dtype=np.float32)
    ranks = np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int32)
    opened = area_opening(ranks, area + 1, connectivity=2).max()
    assert highest_level(found, area) == np.unique(found)[opened]


@given(st.integers(0, 10**6), st.integers(0, 60))
def test_a_region_is_found_by_large_components_that_touch_it(seed: int, area: int) -> None:
    rng = np.random.default_rng(seed)
    found, labels = rng.integers(0, 6, (8, 11)).astype(np.float32), rng.integers(0, 3, (8, 11))
    labels[0, :2] = 1, 2
    opened = area_opening(found.astype(np.int32), area + 1, connectivity=2)
    assert region_levels(found, labels, 2, area) == [opened[labels == number].max() for number in (1, 2)]


def test_a_small_region_is_found_by_a_large_component() -> None:
    anomaly_map = np.array([[1, 1, 1, 1, 1, 1], [1, 8, 9, 8, 1, 7]], dtype=np.float32)
    labels = np.zeros((2, 6), dtype=np.int32)
    labels[1, 2], labels[1, 5] = 1, 2
    assert region_levels(anomaly_map, labels, 2, max_area_px=2) == [8.0, 1.0]
    assert region_levels(anomaly_map, 0 * labels, 0, max_area_px=2) == [8.0]


def test_highest_level_refuses_an_area_of_the_whole_map() -> None:
    with pytest.raises(ValueError, match="area of 0 to 5 pixels; found 6"):
        highest_level(np.zeros((2, 3)), 6)
    with pytest.raises(ValueError, match="finite"):
        highest_level(np.array([[np.nan]]), 0)


def test_max_area_lies_above_the_highest_level() -> None:
    evidence = Evidence.of(np.array([0.5, 0.25]), np.zeros(2, dtype=bool), level="region")
    cut = max_area.choose(evidence, max_area_px=4)
    assert 0.5 < cut.threshold < 0.500001
    assert "more than 4 pixels" in cut.claim
