"""Shapes have the area that geometry says, noise the spread that its name says."""

import numpy as np
import pytest

from curate import drawing

HW = (48, 64)


def test_a_stroke_between_pixel_borders_covers_its_exact_area() -> None:
    outline = drawing.stroke(np.array([[10.25, 5.0], [10.25, 45.0]]), 7.0)
    covered = drawing.coverage([outline], HW)
    # cv2 fills the outline's own fine pixels too: at most half a fine pixel on each side
    assert covered.sum() == pytest.approx(40 * 7.0, rel=0.05)
    rows, columns = np.nonzero(covered > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 13, 5, 44)


def test_a_bent_stroke_keeps_its_width_on_both_legs() -> None:
    outline = drawing.stroke(np.array([[10.0, -20.0], [10.0, 30.0], [60.0, 80.0]]), 6.0)
    covered = drawing.coverage([outline], HW)
    assert covered[:, 8].sum() == pytest.approx(6.0, abs=0.4)
    assert covered[25, :].sum() == pytest.approx(6.0 * np.sqrt(2), abs=0.5)


def test_a_rounded_rectangle_lacks_its_corners() -> None:
    sharp = drawing.coverage([drawing.rectangle((20, 30), (20, 30))], HW)
    round_ = drawing.coverage([drawing.rectangle((20, 30), (20, 30), 6)], HW)
    assert sharp[10, 15] > 0.9 and round_[10, 15] == 0
    assert sharp.sum() - round_.sum() == pytest.approx((4 - np.pi) * 36, abs=4)


def test_an_ellipse_is_not_mirrored_into_rows_and_columns() -> None:
    covered = drawing.coverage([drawing.ellipse((20, 30), (5, 12))], HW)
    rows, columns = np.nonzero(covered > 0.5)
    assert np.ptp(rows) == 9 and np.ptp(columns) == 23
    assert covered.sum() == pytest.approx(np.pi * 60, rel=0.05)


@pytest.mark.parametrize("scale_px", [1.5, 6.0, 20.0])
def test_smooth_noise_has_about_unit_deviation_at_each_scale(scale_px: float) -> None:
    rng = np.random.default_rng(0)
    deviations = [drawing.smooth_noise(rng, (200, 240), scale_px).std() for _ in range(4)]
    assert 0.85 < np.mean(deviations) < 1.1


def test_streaks_run_along_the_rows() -> None:
    noise = drawing.streaks(np.random.default_rng(0), (64, 96), 20)
    assert noise.shape == (64, 96)
    assert np.abs(np.diff(noise, axis=0)).mean() > 3 * np.abs(np.diff(noise, axis=1)).mean()
    assert 0.8 < noise.std() < 1.2


def test_a_ridge_is_bright_toward_the_light_and_dark_away_from_it() -> None:
    ridge = drawing.coverage([drawing.rectangle((24, 32), (20, 10))], HW)
    shade = drawing.relief(ridge, 0.0)
    assert shade[24, 26:28].sum() > 0.4 and shade[24, 36:38].sum() < -0.4
