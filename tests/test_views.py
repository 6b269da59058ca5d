"""Copies for the browser: which images need one, and what it shows."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import views
from curate.images import ImageFacts, inspect


def saved(path: Path, pixels: np.ndarray, **options: object) -> tuple[ImageFacts, np.ndarray]:
    Image.fromarray(pixels).save(path, **options)
    return inspect(path)


def shown(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


RAMP = np.tile(np.linspace(100, 900, 64).astype(np.uint16), (48, 1))
GREY = np.tile(np.arange(64, dtype=np.uint8), (48, 1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_what_a_browser_shows_needs_no_copy(tmp_path: Path, suffix: str) -> None:
    facts, _ = saved(tmp_path / f"a.{suffix}", GREY)
    assert not views.is_needed(facts)


def test_a_tiff_is_copied_pixel_for_pixel(tmp_path: Path) -> None:
    facts, pixels = saved(tmp_path / "a.tif", GREY)
    assert views.is_needed(facts)
    assert np.array_equal(shown(views.encoded(pixels, facts)), GREY)


def test_ten_bits_in_sixteen_are_stretched_to_be_seen(tmp_path: Path) -> None:
    facts, pixels = saved(tmp_path / "a.png", RAMP)
    assert views.is_needed(facts)
    copy = shown(views.encoded(pixels, facts))
    assert copy.dtype == np.uint8 and copy.shape == (48, 64)
    assert copy.min() == 0 and copy.max() == 255
    assert (np.diff(copy[0].astype(int)) >= 0).all()


def test_a_turned_photograph_gets_a_copy_that_lies_as_its_mask_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    facts, pixels = saved(tmp_path / "a.jpg", GREY, exif=exif)
    assert views.is_needed(facts)
    copy = Image.open(io.BytesIO(views.encoded(pixels, facts)))
    assert copy.size == (64, 48) and 274 not in copy.getexif()


def test_a_very_large_picture_is_made_smaller_with_its_proportions(tmp_path: Path) -> None:
    pixels = np.zeros((6000, 12000), np.uint8)
    pixels[:, 6000:] = 200
    facts, pixels = saved(tmp_path / "a.png", pixels, compress_level=1)
    assert views.is_needed(facts)
    assert views.file_name("0" * 16, facts).endswith(".jpg")
    copy = shown(views.encoded(pixels, facts))
    assert copy.shape == (4096, 8192)
    assert copy[:, :4000].max() < 5 and abs(int(copy[2000, 6000]) - 200) < 5


def test_the_name_changes_with_the_picture(tmp_path: Path) -> None:
    first, _ = saved(tmp_path / "a.tif", GREY)
    second, _ = saved(tmp_path / "a.tif", 255 - GREY)
    assert views.file_name("0" * 16, first) != views.file_name("0" * 16, second)
