import numpy as np
import pytest

from detectors.calibration import Calibration, calibrate

SCORES = tuple(float(value) for value in range(1, 21))


@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.05, 0.1, 0.29, 0.5, 1.0])
def test_threshold_keeps_the_false_positive_rate_and_is_the_lowest_that_does(fpr):
    threshold = Calibration(SCORES, None, None).threshold(fpr)
    reached = np.mean(np.array(SCORES) >= threshold)
    lower = np.mean(np.array(SCORES) >= np.nextafter(threshold, -np.inf))
    assert reached <= fpr
    assert lower > fpr or reached == 1


def test_threshold_counts_tied_scores():
    assert Calibration((1.0, 5.0, 5.0, 5.0), None, None).threshold(0.25) > 5.0


@pytest.mark.parametrize("fpr", [-0.1, 1.1, float("nan")])
def test_threshold_refuses_a_rate_outside_of_0_to_1(fpr):
    with pytest.raises(ValueError, match="false-positive rate"):
        Calibration(SCORES, None, None).threshold(fpr)


def test_display_range_leaves_most_normal_pixels_clean_and_goes_beyond_their_top():
    values = np.linspace(0, 1, 10_001, dtype=np.float32).reshape(1, -1)
    calibration = calibrate([(1.0, values)])
    assert calibration.display_range == pytest.approx((0.95, 1.5 * 0.999), abs=1e-3)


def test_display_range_of_constant_maps_is_not_empty():
    lo, hi = calibrate([(0.0, np.zeros((4, 6), np.float32))]).display_range
    assert lo < hi


def test_large_maps_are_sampled_evenly():
    large = np.random.default_rng(0).random((700, 900)).astype(np.float32)
    assert calibrate([(1.0, large)]).pixel_low == pytest.approx(0.95, abs=0.02)


def test_detector_without_maps_has_no_display_range():
    with pytest.raises(ValueError, match="no anomaly maps"):
        _ = calibrate([(1.0, None)]).display_range


def test_json_gives_the_same_calibration_back():
    calibration = Calibration((0.1, 0.2), 0.3, 0.4, held_out=False)
    assert Calibration.from_json(calibration.to_json()) == calibration
