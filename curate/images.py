"""The only place that decodes or encodes pixels.

Pixels are taken as they are stored: an EXIF orientation is not applied, because masks and boxes are drawn on
the stored pixels. Pillow decodes, except for JPEG, where simplejpeg gives the same pixels faster and hands
on what libjpeg complains of, and 16-bit colour, which Pillow would reduce to 8 bits and OpenCV does not.
Decoders skip damage that a checksum or an end marker gives away, so these are checked first
(curate/damage.py).
"""

import errno
import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from curate.damage import found
from curate.errors import Unreadable
from curate.faults import shown

Array: TypeAlias = NDArray[Any]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
MAX_PIXELS = 1 << 30
LARGE_PIXELS = 1 << 26  # from here on one image at a time is decoded, so that threads do not fill the memory
BYTES_FROM_ONE = 1100  # no PNG or TIFF compression makes more bytes of one
PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
)
FORMATS = [plugin.format for plugin in PLUGINS]
COPY_AGAIN = "Copy or download the file again, or remove it."
HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters", "Inconsistent progression sequence")
SUBFILE_TYPE, REDUCED = 254, 1
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
TIFF_BITS_PER_SAMPLE, EXIF_ORIENTATION = 258, 274

# Pillow refuses 179 megapixels, which line-scan cameras exceed; the limit here is MAX_PIXELS.
Image.MAX_IMAGE_PIXELS = None
_large = threading.Lock()
_heard = threading.local()


class BadImage(Unreadable):
    """An image file that cannot be used; carries the reason and the remedy apart."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"Unreadable: {shown(path)} {reason}. {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


class BadPage(BadImage):
    """A page of a file that cannot be used, though the first can."""


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


@dataclass(frozen=True)
class _Decoded:
    """Pixels without alpha, and what the file says about itself."""

    pixels: Array
    bit_depth: int
    channels: int
    orientation: int
    n_pictures: int
    file_format: str


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
    return _decode(path, _content(path)).pixels


def read_indices(path: Path) -> Array:
    """Decode a mask of class numbers: of a palette image the indices instead of its colours, of a file of
    one bit 0 and 1, otherwise as read_stored."""
    return _decode(path, _content(path), indices=True).pixels


def decode_mask(content: bytes, image_hw: tuple[int, int]) -> Array:
    """Decode a mask that lies inside of another file: (H, W) bool, True above 0.

    Raises:
        ValueError: it is no image, or has another height or width, which its head tells before any decoding.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if (found_hw := (image.height, image.width)) == image_hw:
                image.load()
                pixels = _pixels(image)
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
    content = _content(path)
    with listening() as complaints:
        found = _decode(path, content)
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
    content = _content(path)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        number = 1
        for frame in _frames(image)[1:]:
            number += 1
            try:
                image.seek(frame)
                _check_size(path, image, len(content))
                if _bit_depth(image, content) > 16 or (
                    _bit_depth(image, content) == 16 and image.mode not in GREY_16
                ):
                    raise ValueError("16-bit colour and 32-bit pages are not read")
                image.load()
                yield number, _pixels(image)
            except Exception as error:
                reason = f"is damaged in its page {number} ({error})"
                raise BadPage(path, reason, COPY_AGAIN) from error


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what decoders complain of in this thread while the block runs."""
    before = getattr(_heard, "complaints", None)
    _heard.complaints = complaints = list[str]()
    try:
        yield complaints
    finally:
        _heard.complaints = before


def _complain(text: str) -> None:
    complaints = getattr(_heard, "complaints", None)
    if complaints is not None:
        complaints.append(text)


def hear_warnings() -> None:
    """Hand Pillow's warnings to `listening` instead of printing them; for the life of the process."""
    shown_before = warnings.showwarning

    def show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
        if getattr(_heard, "complaints", None) is not None and "PIL" in filename:
            _complain(str(message))
        else:
            shown_before(message, category, filename, *rest, **more)

    warnings.filterwarnings("always", module=r"PIL\.")
    warnings.showwarning = show


def read_hw(path: Path) -> tuple[int, int]:
    """Height and width from the file's head, without decoding pixels; see read_image for what it raises."""
    content = _content(path)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
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


def encode_jpeg(array: Array, quality: int) -> bytes:
    """Encode pixels as JPEG.

    Args:
        array: (H, W) grey or (H, W, 3) RGB, uint8.
        quality: 1 to 100.
    """
    grey = array.ndim == 2
    stored = np.ascontiguousarray(array[:, :, np.newaxis] if grey else array)
    return bytes(simplejpeg.encode_jpeg(stored, quality, colorspace="GRAY" if grey else "RGB"))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        what = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise BadImage(path, what, "Restore the file, or remove what points to it.") from error
    except PermissionError as error:
        raise BadImage(
            path, "may not be read (no permission)", "Give yourself read permission (chmod u+r)."
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadImage(
                path, "is a symbolic link that leads back to itself", "Remove the link."
            ) from error
        raise BadImage(path, f"cannot be read ({error.strerror})", "Check the disk and the path.") from error
    if not content:
        raise BadImage(path, "is empty (0 bytes)", COPY_AGAIN)
    if content.startswith(b"version https://git-lfs"):
        raise BadImage(
            path, "is a Git LFS pointer, not the image itself", 'Run "git lfs pull" in its repository.'
        )
    return content


def _frames(image: Image.Image) -> list[int]:
    """Numbers of the frames that are pictures of their own: reduced copies in a TIFF are not."""
    n_frames = int(getattr(image, "n_frames", 1)) if image.format in ("PNG", "TIFF") else 1
    if n_frames == 1:
        return [0]
    kept = [0]
    for frame in range(1, n_frames):
        image.seek(frame)
        if not int(getattr(image, "tag_v2", {}).get(SUBFILE_TYPE, 0)) & REDUCED:
            kept.append(frame)
    image.seek(0)
    return kept


def _n_pictures(image: Image.Image) -> int:
    try:
        return len(_frames(image))
    except Exception:  # the first picture is good, what follows is not
        return 1


def _decode(path: Path, content: bytes, indices: bool = False) -> _Decoded:
    if damage := found(content):
        raise BadImage(path, damage, COPY_AGAIN)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(path, image, len(content))
            if image.width * image.height >= LARGE_PIXELS:
                with _large:
                    return _load(path, content, image, indices)
            return _load(path, content, image, indices)
    except UnidentifiedImageError as error:
        known = "PNG, JPEG, BMP or TIFF"
        raise BadImage(
            path, f"is not a {known} image (it begins with {content[:8]!r})", "Convert it, or remove it."
        ) from error
    except BadImage:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files: SyntaxError, struct.error, ...
        raise BadImage(path, f"is damaged ({error})", COPY_AGAIN) from error


def _check_size(path: Path, image: Image.Image, n_bytes: int) -> None:
    n_pixels = image.width * image.height
    if n_pixels > MAX_PIXELS:
        what = f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS}"
        raise BadImage(path, what, "Cut the picture into pieces.")
    if n_pixels // 8 > n_bytes * BYTES_FROM_ONE and image.format != "JPEG":
        what = f"claims {image.width} x {image.height} pixels, which its {n_bytes} bytes cannot hold"
        raise BadImage(path, what, COPY_AGAIN)


def _load(path: Path, content: bytes, image: Image.Image, indices: bool) -> _Decoded:
    bit_depth = _bit_depth(image, content)
    if bit_depth > 16:
        what = f"has {bit_depth} bits per channel, expected 8 or 16"
        raise BadImage(path, what, "Convert it to a 16-bit PNG.")
    n_pictures = _n_pictures(image)
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        pixels = _jpeg(path, content, image.mode)
    elif indices and image.mode in ("P", "1"):
        image.load()
        pixels = np.asarray(image).astype(np.uint8)
    elif bit_depth <= 8 or image.mode in GREY_16:
        image.load()
        pixels = _pixels(image)
    else:
        image.load()
        pixels = _colour_16(content)
    orientation = int(image.getexif().get(EXIF_ORIENTATION, 1)) if "exif" in image.info else 1
    channels = len(image.getbands()) if image.mode != "P" else 3
    return _Decoded(pixels, bit_depth, channels, orientation, n_pictures, str(image.format))


def _jpeg(path: Path, content: bytes, mode: str) -> Array:
    """(H, W) or (H, W, 3) uint8. What libjpeg can only guess is damage; what it skips is a complaint."""
    space = "GRAY" if mode == "L" else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(content, space, strict=True)
    except ValueError as error:
        if not any(harmless in str(error) for harmless in HARMLESS):
            raise BadImage(path, f"is damaged ({error})", COPY_AGAIN) from error
        _complain(str(error))
        pixels = simplejpeg.decode_jpeg(content, space, strict=False)
    grey: Array = pixels[:, :, 0] if mode == "L" else pixels
    return grey


def _bit_depth(image: Image.Image, content: bytes) -> int:
    if image.mode in ("I", "F"):
        return 32
    if image.mode == "1":
        return 1
    if image.mode in GREY_16:
        return 16
    if image.format == "PNG":
        return max(8, content[24])
    if image.format == "TIFF":
        bits: tuple[int, ...] = getattr(image, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE, (8,))
        return max(8, *bits)
    return 8


def _pixels(image: Image.Image) -> Array:
    """(H, W) or (H, W, 3), as stored."""
    if image.mode in GREY_16:
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "La"):
        return np.ascontiguousarray(np.asarray(image)[:, :, 0])
    if image.mode in ("RGBA", "RGBX"):
        return np.ascontiguousarray(np.asarray(image)[:, :, :3])
    if image.mode in ("P", "PA"):
        return np.ascontiguousarray(np.asarray(image.convert("RGBA"))[:, :, :3])
    return np.asarray(image.convert("RGB"))


def _colour_16(content: bytes) -> Array:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if decoded.ndim == 2:
        return np.asarray(decoded)
    return np.ascontiguousarray(decoded[:, :, 2::-1])


def _pixel_sha256(pixels: Array) -> str:
    if pixels.ndim == 3 and np.array_equal(pixels[..., 0], pixels[..., 1]):
        if np.array_equal(pixels[..., 0], pixels[..., 2]):
            pixels = pixels[..., 0]
    digest = hashlib.sha256(f"{pixels.shape[0]} {pixels.shape[1]} {pixels.ndim} {pixels.dtype}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
