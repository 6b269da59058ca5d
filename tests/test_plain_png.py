"""Nearly empty grey PNG files: the short way gives what the general one gives, or nothing."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curate import decoding, plain_png
from curate.errors import Unreadable
from curate.images import Array, encode_mask

HW = (48, 64)
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def file_of(data: bytes, *further: bytes, depth: int = 8) -> bytes:
    """A PNG file of 48 x 64 grey pixels whose stream is told."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", HW[1], HW[0], depth, 0, 0, 0, 0))
    return plain_png.PNG_SIGNATURE + head + chunk(b"IDAT", data) + b"".join(further) + END


def with_spot() -> Array:
    mask = np.zeros(HW, dtype=np.uint8)
    mask[20:24, 40:64] = 255
    mask[22, 50] = 3
    return mask


def lines(pixels: Array, filters: Array) -> bytes:
    """Compressed lines, of which each says another filter; the bytes are told, whatever they come to mean."""
    return zlib.compress(np.column_stack([filters, pixels]).astype(np.uint8).tobytes())


def by_pillow(content: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("n_filters", [1, 2])
def test_lines_without_filter_and_with_sums_are_as_pillow_reads_them(n_filters: int) -> None:
    content = file_of(lines(with_spot(), np.arange(HW[0]) % n_filters))
    found = plain_png.decoded(content)
    assert found is not None and found.any()
    assert np.array_equal(found, by_pillow(content))


def test_an_empty_file_is_zeros_whatever_its_filters() -> None:
    content = file_of(lines(np.zeros(HW), np.arange(HW[0]) % 5))
    found = plain_png.decoded(content)
    assert found is not None and found.shape == HW and not found.any()


@pytest.mark.parametrize("compression", range(0, 10, 3))
def test_what_opencv_writes_is_as_pillow_reads_it(compression: int) -> None:
    content = cv2.imencode(".png", with_spot(), [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()
    found = plain_png.decoded(content)
    assert found is None or np.array_equal(found, by_pillow(content))


@pytest.mark.parametrize(
    "content",
    [
        file_of(lines(with_spot(), np.full(HW[0], 2))),
        file_of(lines(np.zeros(HW), np.full(HW[0], 5))),
        file_of(lines(with_spot()[:-1], np.zeros(HW[0] - 1))),
        file_of(lines(with_spot(), np.zeros(HW[0])) + b"more"),
        file_of(lines(with_spot(), np.zeros(HW[0]))[:-1] + b"?"),
        file_of(lines(with_spot(), np.zeros(HW[0])), chunk(b"tEXt", b"a\x00b")),
        file_of(lines(with_spot(), np.zeros(HW[0])), chunk(b"gAMA", bytes(4)), chunk(b"IDAT", b"")),
        file_of(zlib.compress(bytes(10_000_000))),
    ],
    ids=["up", "no such filter", "too short", "tail", "wrong sum", "text", "late data", "far too long"],
)
def test_what_is_unusual_is_left_to_pillow(content: bytes) -> None:
    assert plain_png.decoded(content) is None


STREAM = lines(with_spot(), np.arange(HW[0]) % 2)


@given(st.data())
def test_damage_comes_to_the_same_with_and_without_the_short_way(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([encode_mask(with_spot() > 0), STREAM])))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    told = bytes(content[: data.draw(st.integers(30, len(content)))])
    if not told.startswith(plain_png.PNG_SIGNATURE[:1]):
        told = file_of(told)  # a damaged stream in a file whose checksums agree
    with pytest.MonkeyPatch.context() as patch:
        short = outcome(told)
        patch.setattr(decoding, "plain_png", lambda content: None)
        assert short == outcome(told)


def outcome(content: bytes) -> object:
    try:
        found = decoding.decode(Path("a.png"), content)
    except Unreadable as error:
        return str(error)
    return found.pixels.tolist(), found.pixels.dtype, found.channels, found.bit_depth, found.file_format


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_masks_come_back_as_they_were(height: int, width: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    with Image.open(io.BytesIO(encode_mask(mask))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), mask * 255)


def test_a_mask_is_smaller_than_as_any_picture() -> None:
    mask = with_spot() > 0
    assert len(encode_mask(mask)) < len(cv2.imencode(".png", mask * np.uint8(255))[1])
