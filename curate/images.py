"""The only place that decodes or encodes pixels; see curate.decoding for how.

Pixels are taken as they are stored: an EXIF orientation is not applied, because masks and boxes are drawn on
the stored pixels.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from curate import plain_png
from curate.claims import COPY_AGAIN, MAX_PIXELS, data_place
from curate.decoding import (
    FORMATS,
    GREY_16,
    Array,
    BadImage,
    BadPage,
    bits_of,
    check_claims,
    decode,
    file_content,
    frames_of,
    hear_warnings,
    listening,
    opened,
    pixels_of,
)

__all__ = [
    "MAX_PIXELS", "Array", "BadImage", "BadPage", "ImageFacts", "decode_mask", "encode_jpeg",
    "encode_mask", "encode_png", "hear_warnings", "inspect", "is_image", "listening", "probe", "read_hw",
    "read_image", "read_indices", "read_pages", "read_stored",
]  # fmt: skip

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class ImageFacts:
    """What a file holds.

    Attributes:
        bit_depth: bits per channel: 1, 8 or 16 (2 and 4 bits are widened to 8).
        channels: as stored: 1 grey, 2 grey and alpha, 3 colour (also from a palette), 4 colour and alpha.
        sha256: hex, of the file's bytes.
        pixel_sha256: hex, of the decoded pixels without alpha, their height, width and type. Equal for the
            same picture in two files, also when one stores it in grey and the other in colour.
        orientation: EXIF orientation; 1 is upright, other values make browsers turn the picture.
        n_pictures: pages of a TIFF (reduced copies do not count), or frames of an animated PNG.
        file_format: "PNG", "JPEG", "BMP" or "TIFF", whatever the name ends with.
        complaints: what the decoder remarked on, though it could read the file.
    """

    width: int
    height: int
    bit_depth: int
    channels: int
    sha256: str
    pixel_sha256: str
    size_bytes: int
    orientation: int = 1
    n_pictures: int = 1
    file_format: str = ""
    complaints: tuple[str, ...] = ()


def is_image(name: str) -> bool:
    """True when the name ends like an image file, in upper or lower case."""
    # a Path for each of 100,000 names would take as long as reading their folders
    before, _, ending = name.rpartition(".")
    return f".{ending.lower()}" in SUFFIXES and not before.endswith("/") and before != ""


def read_image(path: Path) -> Array:
    """Decode an image.

    Returns:
        (H, W, 3) RGB; uint8, or uint16 where the file has more than 8 bits. Grey is repeated, alpha dropped.

    Raises:
        Unreadable: the file is missing, forbidden, empty, damaged, cut short, or not an image.
    """
    pixels = read_stored(path)
    return np.repeat(pixels[:, :, np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels


def read_stored(path: Path) -> Array:
    """Decode an image without repeating grey: (H, W) or (H, W, 3), uint8 or uint16; see read_image."""
    return decode(path, file_content(path)).pixels


def read_indices(path: Path) -> Array:
    """Decode a mask of class numbers: of a palette image the indices instead of its colours, of a file of
    one bit 0 and 1, otherwise as read_stored."""
    return decode(path, file_content(path), indices=True).pixels


def decode_mask(content: bytes, image_hw: tuple[int, int]) -> Array:
    """Decode a mask that lies inside of another file: (H, W) bool, True above 0.

    Raises:
        ValueError: it is no image, or has another height or width, which its head tells before any decoding.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if (found_hw := (image.height, image.width)) == image_hw:
                image.load()
                pixels = pixels_of(image)
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise ValueError(f"is damaged or not an image ({error})") from error
    if found_hw != image_hw:
        raise ValueError(f"has {found_hw[1]} x {found_hw[0]} px, expected {image_hw[1]} x {image_hw[0]}")
    return np.asarray((pixels.max(axis=2) if pixels.ndim == 3 else pixels) > 0)


def probe(path: Path) -> ImageFacts:
    """Decode a file fully and say what it holds; see inspect."""
    return inspect(path)[0]


def inspect(path: Path) -> tuple[ImageFacts, Array]:
    """Decode a file fully: what it holds, and its pixels as read_stored gives them.

    Raises:
        Unreadable: as read_image; in fact a BadImage, which has the reason and the remedy apart.
    """
    content = file_content(path)
    with listening() as complaints:
        found = decode(path, content)
    facts = ImageFacts(
        width=found.pixels.shape[1],
        height=found.pixels.shape[0],
        bit_depth=found.bit_depth,
        channels=found.channels,
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=_pixel_sha256(found.pixels),
        size_bytes=len(content),
        orientation=found.orientation,
        n_pictures=found.n_pictures,
        file_format=found.file_format,
        complaints=tuple(dict.fromkeys(complaints)),
    )
    return facts, found.pixels


def read_pages(path: Path) -> Iterator[tuple[int, Array]]:
    """The pictures of a file beyond the first: number (from 2 on) and pixels, (H, W) or (H, W, 3).

    Raises:
        BadImage: a page is damaged, or of a kind that is not read; the pages before it have been given.
    """
    content = file_content(path)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        number = 1
        places = {data_place(image)}
        for frame in frames_of(image)[1:]:
            number += 1
            try:
                image.seek(frame)
                check_claims(path, image, content)
                if (place := data_place(image)) in places:
                    raise ValueError("its pixels are those of another page")
                places.add(place)
                if bits_of(image, content) > 16 or (
                    bits_of(image, content) == 16 and image.mode not in GREY_16
                ):
                    raise ValueError("16-bit colour and 32-bit pages are not read")
                image.load()
                yield number, pixels_of(image)
            except Exception as error:
                reason = f"is damaged in its page {number} ({error})"
                raise BadPage(path, reason, COPY_AGAIN) from error


def read_hw(path: Path) -> tuple[int, int]:
    """Height and width from the file's head, without reading the rest; see read_image for what it raises."""
    with opened(path) as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                return image.height, image.width
        except Exception as error:  # Pillow raises many kinds on damaged files
            raise BadImage(path, f"is damaged or not an image ({error})", COPY_AGAIN) from error


def encode_png(array: Array, compression: int = 3) -> bytes:
    """Encode pixels losslessly; equal pixels give equal bytes.

    Args:
        array: (H, W) grey or (H, W, 3) RGB; uint8, uint16, or bool (True becomes 255).
        compression: zlib level, 0 fast to 9 small.

    Raises:
        ValueError: another shape or type.
    """
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype not in (np.uint8, np.uint16) or not (array.ndim == 2 or array.shape[2:] == (3,)):
        raise ValueError(
            f"Expected (H, W) or (H, W, 3), bool, uint8 or uint16; found {array.shape} {array.dtype}."
        )
    stored = array if array.ndim == 2 else np.ascontiguousarray(array[:, :, ::-1])
    done, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise ValueError(f"An image of shape {array.shape} cannot be stored as PNG.")
    return encoded.tobytes()


def encode_mask(mask: Array) -> bytes:
    """Encode a mask as an 8-bit grey PNG, 0 or 255: a fifth of the time of encode_png, and half of its bytes.

    Args:
        mask: (H, W) bool.
    """
    return plain_png.encoded(mask)


def encode_jpeg(array: Array, quality: int) -> bytes:
    """Encode pixels as JPEG.

    Args:
        array: (H, W) grey or (H, W, 3) RGB, uint8.
        quality: 1 to 100.
    """
    grey = array.ndim == 2
    stored = np.ascontiguousarray(array[:, :, np.newaxis] if grey else array)
    return bytes(simplejpeg.encode_jpeg(stored, quality, colorspace="GRAY" if grey else "RGB"))


def _pixel_sha256(pixels: Array) -> str:
    if pixels.ndim == 3 and np.array_equal(pixels[..., 0], pixels[..., 1]):
        if np.array_equal(pixels[..., 0], pixels[..., 2]):
            pixels = pixels[..., 0]
    digest = hashlib.sha256(f"{pixels.shape[0]} {pixels.shape[1]} {pixels.ndim} {pixels.dtype}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
