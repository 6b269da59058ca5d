"""Image files that claim more than they hold are refused before they cost time and memory."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import decoding
from curate.errors import Unreadable
from curate.images import probe, read_indices, read_pages, read_stored
from tests.helpers.tiny import normal_image


def test_a_head_that_claims_more_than_the_bytes_can_hold_is_refused_before_decoding(tmp_path: Path) -> None:
    """Decoders would fill gigabytes first, and then say that the file is cut short, or take it as it is."""
    jpeg, bmp = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (64, 48)).save(jpeg, "JPEG")
    Image.new("L", (64, 48)).save(bmp, "BMP")
    wide_jpeg, wide_bmp = bytearray(jpeg.getvalue()), bytearray(bmp.getvalue())
    struct.pack_into(">HH", wide_jpeg, wide_jpeg.find(b"\xff\xc0") + 5, 30_000, 30_000)
    struct.pack_into("<ii", wide_bmp, 18, 30_000, 30_000)
    for name, content in (("a.jpg", wide_jpeg), ("b.bmp", wide_bmp)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unreadable, match=f"claims 30000 x 30000 pixels, which its {len(content)} bytes"):
            probe(tmp_path / name)


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path: Path) -> None:
    """Each scan costs a pass over all pixels."""
    file = io.BytesIO()
    Image.new("L", (4000, 4000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan = content[content.rfind(b"\xff\xda") : content.rfind(b"\xff\xd9")]
    (tmp_path / "a.jpg").write_bytes(content[:-2] + scan * 2000 + content[-2:])
    with pytest.raises(Unreadable, match=r"has 20\d\d scans of 4000 x 4000 pixels, too many"):
        probe(tmp_path / "a.jpg")


def test_pages_that_share_their_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("L", (9, 7)).save(path, save_all=True, append_images=[Image.new("L", (9, 7), 5)] * 2)
    content = bytearray(path.read_bytes())
    place = 273
    found = [m.start() for m in re.finditer(struct.pack("<H", place), content)]
    first = content[found[0] : found[0] + 12]
    content[found[2] : found[2] + 12] = first
    path.write_bytes(content)
    pages = read_pages(path)
    assert next(pages)[0] == 2
    with pytest.raises(Unreadable, match=r"page 3 \(its pixels are those of another page\)"):
        next(pages)


def test_a_file_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate((1 << 32) + 1)
    with pytest.raises(Unreadable, match="has 4294967297 bytes, more than 4294967296"):
        probe(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_a_large_picture_is_taken_over_in_blocks_with_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 65536, (48, 64)).astype(np.uint16))
    picture = (
        grey if mode == "I;16" else Image.fromarray(normal_image(np.random.default_rng(1))).convert(mode)
    )
    picture.save(path := tmp_path / "a.tif")
    whole, indices = read_stored(path), read_indices(path)
    monkeypatch.setattr(decoding, "BLOCK_PIXELS", 64 * 7)
    assert np.array_equal(read_stored(path), whole) and read_stored(path).dtype == whole.dtype
    assert np.array_equal(read_indices(path), indices)
