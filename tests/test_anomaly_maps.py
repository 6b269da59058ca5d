import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from curate.anomaly_maps import decode_raw, encode_display, encode_raw, read_raw
from curate.errors import Missing, Unreadable
from curate.map_reductions import n_not_finite


def realistic_maps(n: int = 6) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Smooth maps of different ranges with a weak bump on each second one, and their masks."""
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for index in range(n):
        values = gaussian_filter(rng.normal(20, 60, (48, 64)), 4) * rng.uniform(0.8, 1.4) + 15
        mask = np.zeros((48, 64), bool)
        if index % 2:
            top, left = rng.integers(4, 30, size=2)
            mask[top : top + 9, left : left + 12] = True
            values += 25 * gaussian_filter(mask.astype(float), 3)
        maps.append(values.astype(np.float32))
        masks.append(mask)
    return maps, masks


@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, -3.0, 1.0])
def test_error_of_a_stored_map_is_within_half_a_step(scale, offset):
    values = ((np.random.default_rng(1).random((48, 64)) + offset) * scale).astype(np.float32)
    stored = decode_raw(encode_raw(values))
    half_step = (float(values.max()) - float(values.min())) / 131070
    rounding = np.spacing(np.abs(values).max())
    assert np.abs(stored.astype(float) - values).max() <= half_step + rounding


def test_smallest_and_largest_value_are_exact():
    for values in realistic_maps()[0]:
        stored = decode_raw(encode_raw(values))
        assert stored.min() == values.min()
        assert stored.max() == values.max()
        assert stored.dtype == np.float32
        assert stored.shape == values.shape


def test_no_order_is_reversed():
    values = realistic_maps()[0][0]
    stored = decode_raw(encode_raw(values))
    assert np.all(np.diff(stored.ravel()[np.argsort(values.ravel())]) >= 0)


def test_image_scores_and_their_thresholds_are_the_same_from_files():
    maps, masks = realistic_maps()
    labels = [mask.any() for mask in masks]
    scores = [float(each.max()) for each in maps]
    stored = [float(decode_raw(encode_raw(each)).max()) for each in maps]
    assert stored == scores
    assert roc_auc_score(labels, stored) == roc_auc_score(labels, scores)


def test_pixel_auroc_is_the_same_from_files():
    maps, masks = realistic_maps()
    truth = np.concatenate([mask.ravel() for mask in masks])
    exact = roc_auc_score(truth, np.concatenate([each.ravel() for each in maps]))
    stored = roc_auc_score(truth, np.concatenate([decode_raw(encode_raw(each)).ravel() for each in maps]))
    assert 0.6 < exact < 0.99
    assert stored == pytest.approx(exact, abs=1e-5)


def test_pixels_change_sides_only_within_half_a_step_of_a_threshold():
    maps, _ = realistic_maps()
    for values in maps:
        threshold = float(np.quantile(values, 0.95))
        stored = decode_raw(encode_raw(values))
        changed = (values >= threshold) != (stored >= threshold)
        step = (values.max() - values.min()) / 65535
        assert np.all(np.abs(values[changed] - threshold) <= 0.51 * step)


def test_a_constant_map_is_exact():
    values = np.full((48, 64), 3.25, np.float32)
    np.testing.assert_array_equal(decode_raw(encode_raw(values)), values)


def test_equal_maps_give_equal_bytes():
    values = realistic_maps()[0][0]
    assert encode_raw(values) == encode_raw(values.copy())
    assert encode_display(values, 0, 30) == encode_display(values.copy(), 0, 30)


def test_a_raw_map_is_an_ordinary_png_with_its_range_in_a_text_chunk(tmp_path):
    values = realistic_maps()[0][0]
    path = tmp_path / "raw.png"
    path.write_bytes(encode_raw(values))
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        assert image.size == (64, 48)
        lo, hi = image.text["curate:range"].split()
    assert (np.float32(lo), np.float32(hi)) == (values.min(), values.max())
    np.testing.assert_array_equal(read_raw(path), decode_raw(path.read_bytes()))


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 5, 1), np.float32),
        np.zeros((4, 5), np.float64),
        np.zeros((0, 5), np.float32),
        np.full((4, 5), np.nan, np.float32),
        np.full((4, 5), np.inf, np.float32),
    ],
)
def test_what_is_not_a_finite_float32_map_is_refused(values):
    with pytest.raises(ValueError, match="Expected a"):
        encode_raw(values)


def test_a_missing_raw_map_is_named(tmp_path):
    with pytest.raises(Missing, match=r"absent\.png does not exist"):
        read_raw(tmp_path / "absent.png")


def test_another_png_is_not_taken_for_a_raw_map(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.zeros((48, 64), np.uint16))
    with pytest.raises(Unreadable, match=r"photo\.png has no text chunk"):
        read_raw(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_a_raw_map_cut_short_is_unreadable(share):
    content = encode_raw(realistic_maps()[0][0])
    with pytest.raises(Unreadable):
        decode_raw(content[: int(share * len(content))])


def test_display_map_uses_one_fixed_range():
    values = np.array([[0, 10, 20, 30, 40]], np.float32)
    shown = cv2.imdecode(np.frombuffer(encode_display(values, 10, 30), np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.dtype == np.uint8
    assert shown.tolist() == [[0, 0, 128, 255, 255]]


def test_large_display_maps_are_shrunk_and_keep_their_aspect_ratio():
    values = np.zeros((900, 300), np.float32)
    shown = cv2.imdecode(np.frombuffer(encode_display(values, 0, 1), np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (512, 171)
    small = cv2.imdecode(np.frombuffer(encode_display(values[:48], 0, 1), np.uint8), cv2.IMREAD_UNCHANGED)
    assert small.shape == (48, 300)


@pytest.mark.parametrize(("lo", "hi"), [(1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))])
def test_an_empty_display_range_is_refused(lo, hi):
    with pytest.raises(ValueError, match="lo < hi"):
        encode_display(np.zeros((4, 5), np.float32), lo, hi)


def test_values_whose_sum_is_too_large_for_their_type_are_finite_all_the_same() -> None:
    huge = np.full((9, 9), 3e38, np.float32)
    huge[0] = 0
    assert decode_raw(encode_raw(huge)).max() == np.float32(3e38)
    assert n_not_finite(huge) == 0
    huge[1, :2] = np.inf, -np.inf
    assert n_not_finite(huge) == 2
