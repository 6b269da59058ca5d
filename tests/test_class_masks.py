"""Masks of class numbers: palette indices, rules with an upper limit, masks inside of other files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import ground_truth
from curate.images import decode_mask, encode_png, read_indices, read_stored
from curate.masks import limits, read_mask
from tests.helpers.tables import row

CLASSES = np.zeros((48, 64), np.uint8)
CLASSES[3:9, 5:17], CLASSES[20:22, 30:40] = 2, 255


def palette(path: Path) -> Path:
    """CLASSES as a palette image whose colours are brighter than its indices."""
    picture = Image.fromarray(CLASSES)
    picture.putpalette([200, 255 - 100, 90] * 256)
    picture.save(path)
    return path


def test_a_palette_image_gives_its_indices_where_they_are_classes(tmp_path: Path) -> None:
    path = palette(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_indices(path), CLASSES)
    assert read_stored(path).shape == (48, 64, 3)
    Image.fromarray(CLASSES == 2).save(tmp_path / "bit.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "bit.png"), CLASSES == 2)
    Image.fromarray(CLASSES).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "grey.png"), CLASSES)


def test_a_rule_may_have_an_upper_limit(tmp_path: Path) -> None:
    Image.fromarray(CLASSES).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png", "1..254"), CLASSES == 2)
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png", "255..255"), CLASSES == 255)


@pytest.mark.parametrize("rule", ["5..4", "0..9", "1...9", "-1..4", "1..", "> 65535"])
def test_a_rule_that_takes_everything_or_nothing_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="mask rule"):
        limits(rule)


def test_the_truth_of_a_palette_mask_leaves_out_its_void_border(tmp_path: Path) -> None:
    known = {"gt_mask_path": str(palette(tmp_path / "p.png")), "mask_rule": "1..254", "shapes": None}
    truth = ground_truth.read(row("a", "anomalous", mask_kind="classes", mask_channels=None, **known))
    np.testing.assert_array_equal(truth.mask, CLASSES == 2)
    assert truth.values == {2: 72, 255: 20}


def test_a_mask_inside_of_another_file_has_the_expected_size_or_is_refused() -> None:
    mask = np.zeros((5, 9), bool)
    mask[1, 3:6] = True
    np.testing.assert_array_equal(decode_mask(encode_png(mask), (5, 9)), mask)
    with pytest.raises(ValueError, match="has 9 x 5 px, expected 5 x 9"):
        decode_mask(encode_png(mask), (9, 5))
    with pytest.raises(ValueError, match="not an image"):
        decode_mask(b"no picture", (5, 9))
