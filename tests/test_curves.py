"""Curves of a report: which points stay, and what the area does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.curves import MAX_POINTS, Curve, thin, thinned


def rising(seed: int, n: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """A noisy curve from (0, 0) to (1, 1)."""
    rng = np.random.default_rng(seed)
    x, y = (np.append(0, np.cumsum(rng.exponential(size=n) ** power)) for _ in range(2))
    return x / x[-1], y / y[-1]


@given(st.integers(0, 99), st.integers(2, 5000), st.floats(0.5, 6))
def test_few_points_keep_the_area_of_a_rising_curve(seed: int, n: int, power: float) -> None:
    x, y = rising(seed, n, power)
    few = thinned(Curve(x, y))
    assert len(few.x) <= MAX_POINTS
    assert few.area == pytest.approx(Curve(x, y).area, abs=1e-3)


def test_corners_stay_and_points_on_a_line_go() -> None:
    x = np.array([0.0, 0.0, 0.0, 0.1, 0.2, 1.0])
    y = np.array([0.0, 0.4, 0.8, 0.8, 0.8, 1.0])
    assert thin(x, y).tolist() == [0, 2, 4, 5]


def test_areas_on_both_sides_of_a_chord_do_not_cancel() -> None:
    x = np.linspace(0, 1, 101)
    assert len(thin(x, x + np.sin(2 * np.pi * x) / 8)) > 10


def test_the_band_is_thinned_with_the_line() -> None:
    x, y = rising(1, 3000, 1)
    few = thinned(Curve(x, y, y - 0.1, y + 0.1), n_points=9)
    assert len(few.x) == 9 and few.low is not None and few.high is not None
    np.testing.assert_allclose(few.y - few.low, 0.1)
    np.testing.assert_allclose(few.high - few.y, 0.1)
    assert few.x[0] == 0 and few.y[-1] == 1


def test_the_scale_of_an_axis_changes_nothing() -> None:
    x, y = rising(2, 3000, 2)
    assert thin(x, y).tolist() == thin(x * 1e6, 5 - 1e-3 * (5 - y)).tolist()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_what_is_short_already_stays(n: int) -> None:
    assert thin(np.arange(n), np.ones(n)).tolist() == list(range(n))


def test_wrong_curves_are_refused() -> None:
    one = np.zeros(3)
    with pytest.raises(ValueError, match="at position 2"):
        Curve(np.array([0.0, 2.0, 1.0]), one)
    with pytest.raises(ValueError, match="at position 2"):
        thin(np.array([0.0, 2.0, 1.0]), one)
    with pytest.raises(ValueError, match="both ends of a band"):
        Curve(one, one, low=one)
    with pytest.raises(ValueError, match="one length"):
        Curve(one, np.zeros(4))
    with pytest.raises(ValueError, match="finite"):
        thin(one, np.array([0.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="n_points 1"):
        thin(one, one, n_points=1)
