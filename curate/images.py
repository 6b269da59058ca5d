"""The only place that decodes or encodes pixels.

Pixels are taken as they are stored: an EXIF orientation is not applied, because masks and boxes are drawn on
the stored pixels. Pillow decodes, since it is silent and strict about missing data; OpenCV reads 16-bit
colour, which Pillow would reduce to 8 bits. Both skip damage that a checksum or an end marker gives away, so
checksums and ends are checked first (curate/damage.py).
"""

import errno
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
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
PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
)
FORMATS = [plugin.format for plugin in PLUGINS]
COPY_AGAIN = "Copy or download the file again, or remove it."
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
TIFF_BITS_PER_SAMPLE, EXIF_ORIENTATION = 258, 274

# Pillow refuses 179 megapixels, which line-scan cameras exceed; the limit here is MAX_PIXELS.
Image.MAX_IMAGE_PIXELS = None


class BadImage(Unreadable):
    """An image file that cannot be used; carries the reason and the remedy apart."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"Unreadable: {shown(path)} {reason}. {remedy}")
        self.reason = reason
        self.remedy = remedy


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
        n_pictures: pages of a TIFF, or frames of an animated PNG; only the first is decoded.
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


def is_image(name: str) -> bool:
    """True when the name ends like an image file, in upper or lower case."""
    return Path(name).suffix.lower() in SUFFIXES


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
    return _decode(path, _content(path))[0]


def probe(path: Path) -> ImageFacts:
    """Decode a file fully and say what it holds.

    Raises:
        Unreadable: as read_image; in fact a BadImage, which has the reason and the remedy apart.
    """
    content = _content(path)
    pixels, bit_depth, channels, orientation = _decode(path, content)
    return ImageFacts(
        width=pixels.shape[1],
        height=pixels.shape[0],
        bit_depth=bit_depth,
        channels=channels,
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=_pixel_sha256(pixels),
        size_bytes=len(content),
        orientation=orientation,
        n_pictures=_n_pictures(content),
    )


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


def _n_pictures(content: bytes) -> int:
    """Pages of a TIFF or frames of an animated PNG; the preview beside a camera's JPEG does not count."""
    if not content.startswith((b"\x89PNG", b"II", b"MM")):
        return 1
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "TIFF"]) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # the first picture is good, what follows is not
        return 1


def _decode(path: Path, content: bytes) -> tuple[Array, int, int, int]:
    """Pixels without alpha, bits per channel, channels as stored, EXIF orientation."""
    if damage := found(content):
        raise BadImage(path, damage, COPY_AGAIN)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(
                    path,
                    f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS}",
                    "Cut the picture into pieces.",
                )
            bit_depth = _bit_depth(image, content)
            if bit_depth > 16:
                raise BadImage(
                    path, f"has {bit_depth} bits per channel, expected 8 or 16", "Convert it to a 16-bit PNG."
                )
            image.load()
            pixels = _pixels(image) if bit_depth <= 8 or image.mode in GREY_16 else _colour_16(content)
            orientation = int(image.getexif().get(EXIF_ORIENTATION, 1)) if "exif" in image.info else 1
            return pixels, bit_depth, len(image.getbands()) if image.mode != "P" else 3, orientation
    except UnidentifiedImageError as error:
        known = "PNG, JPEG, BMP or TIFF"
        raise BadImage(
            path, f"is not a {known} image (it begins with {content[:8]!r})", "Convert it, or remove it."
        ) from error
    except BadImage:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files: SyntaxError, struct.error, ...
        raise BadImage(path, f"is damaged ({error})", COPY_AGAIN) from error


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
