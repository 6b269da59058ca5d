"""Where an anomaly map is strongest."""

import numpy as np
import pytest

from curate.hot_region import hottest


def test_the_region_with_the_highest_sum_wins_where_the_map_is_cut_off_at_its_top() -> None:
    shades = np.full((48, 64), 20, dtype=np.uint8)
    shades[4, 5] = 255  # a single pixel, as high
    shades[30:37, 40:50] = 255
    assert hottest(shades) == (40, 30, 50, 37)


@pytest.mark.parametrize("factor", [0.01, 1.0, 3000.0])
def test_scale_and_offset_do_not_matter(factor: float) -> None:
    rng = np.random.default_rng(0)
    anomaly_map = rng.random((48, 64))
    anomaly_map[10:20, 33:41] += 5
    assert hottest(anomaly_map * factor - 7) == hottest(anomaly_map) == (33, 10, 41, 20)


def test_a_flat_map_has_none() -> None:
    assert hottest(np.full((48, 64), 3.0)) is None
