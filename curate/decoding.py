"""Decodes image files for curate.images: Pillow, but where another decoder is faster or more exact.

JPEG goes to simplejpeg, which gives the same pixels and hands on what libjpeg complains of; 16-bit colour
goes to OpenCV, since Pillow would reduce it to 8 bits. Decoders skip damage that a checksum or an end marker
gives away, so these are checked first (curate/damage.py). Masks go to curate/plain_png.py where they can.
"""

import errno
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

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

from curate.claims import COPY_AGAIN, CUT_UP, excess
from curate.damage import found
from curate.errors import Unreadable
from curate.faults import shown
from curate.plain_png import decoded as plain_png

Array: TypeAlias = NDArray[Any]

LARGE_PIXELS = 1 << 26  # from here on one image at a time is decoded, so that threads do not fill the memory
BLOCK_PIXELS = 1 << 24
MAX_FILE_BYTES = 1 << 32
PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
)
FORMATS = [plugin.format for plugin in PLUGINS]
LFS_POINTER = b"version https://git-lfs"
HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters", "Inconsistent progression sequence")
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
SUBFILE_TYPE, REDUCED, TIFF_BITS_PER_SAMPLE, EXIF_ORIENTATION = 254, 1, 258, 274

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else what it refuses is printed too
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
class Decoded:
    """Pixels without alpha, and what the file says about itself."""

    pixels: Array
    bit_depth: int
    channels: int
    orientation: int
    n_pictures: int
    file_format: str


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
    """Hand Pillow's warnings to `listening`, and never print them; for the life of the process."""
    shown_before = warnings.showwarning
    if getattr(shown_before, "for_curate", False):
        return

    def show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
        if "PIL" in filename:
            _complain(str(message))
        else:
            shown_before(message, category, filename, *rest, **more)

    show.for_curate = True  # type: ignore[attr-defined]
    warnings.filterwarnings("always", module=r"PIL\.")
    warnings.showwarning = show


def file_content(path: Path) -> bytes:
    """All bytes of an image file; see opened for what it raises."""
    with opened(path) as file:
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An image file to read from.

    Raises:
        BadImage: it is missing, forbidden, empty, or only a pointer to the image.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
            if not head:
                raise BadImage(path, "is empty (0 bytes)", COPY_AGAIN)
            if head == LFS_POINTER:
                remedy = 'Run "git lfs pull" in its repository.'
                raise BadImage(path, "is a Git LFS pointer, not the image itself", remedy)
            if (n_bytes := file.seek(0, io.SEEK_END)) > MAX_FILE_BYTES:
                raise BadImage(path, f"has {n_bytes} bytes, more than {MAX_FILE_BYTES}", CUT_UP)
            file.seek(0)
            yield file
    except OSError as error:
        raise _closed(path, error) from error


def _closed(path: Path, error: OSError) -> BadImage:
    if isinstance(error, FileNotFoundError):
        what = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        return BadImage(path, what, "Restore the file, or remove what points to it.")
    if isinstance(error, PermissionError):
        return BadImage(path, "may not be read (no permission)", "Give yourself read permission (chmod u+r).")
    if error.errno == errno.ELOOP:
        return BadImage(path, "is a symbolic link that leads back to itself", "Remove the link.")
    return BadImage(path, f"cannot be read ({error.strerror})", "Check the disk and the path.")


def frames_of(image: Image.Image) -> list[int]:
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
        return len(frames_of(image))
    except Exception:  # the first picture is good, what follows is not
        return 1


def decode(path: Path, content: bytes, indices: bool = False) -> Decoded:
    if damage := found(content):
        raise BadImage(path, damage, COPY_AGAIN)
    if (grey := plain_png(content)) is not None:
        return Decoded(grey, bit_depth=8, channels=1, orientation=1, n_pictures=1, file_format="PNG")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            check_claims(path, image, content)
            if image.width * image.height >= LARGE_PIXELS:
                with _large:
                    return _load(path, content, image, indices)
            return _load(path, content, image, indices)
    except UnidentifiedImageError as error:
        what = f"is not a PNG, JPEG, BMP or TIFF image (it begins with {content[:8]!r})"
        raise BadImage(path, what, "Convert it, or remove it.") from error
    except BadImage:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files: SyntaxError, struct.error, ...
        raise BadImage(path, f"is damaged ({error})", COPY_AGAIN) from error


def check_claims(path: Path, image: Image.Image, content: bytes) -> None:
    """Raise BadImage for what curate.claims finds."""
    if problem := excess(image, content):
        raise BadImage(path, *problem)


def _load(path: Path, content: bytes, image: Image.Image, indices: bool) -> Decoded:
    bit_depth = bits_of(image, content)
    if bit_depth > 16:
        what = f"has {bit_depth} bits per channel, expected 8 or 16"
        raise BadImage(path, what, "Convert it to a 16-bit PNG.")
    n_pictures = _n_pictures(image)
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        pixels = _jpeg(path, content, image.mode)
    elif indices and image.mode in ("P", "1"):
        image.load()
        pixels = _by_blocks(image, lambda block: np.asarray(block).astype(np.uint8))
    elif bit_depth <= 8 or image.mode in GREY_16:
        image.load()
        pixels = pixels_of(image)
    else:
        image.load()
        pixels = _colour_16(content)
    orientation = int(image.getexif().get(EXIF_ORIENTATION, 1)) if "exif" in image.info else 1
    channels = len(image.getbands()) if image.mode != "P" else 3
    return Decoded(pixels, bit_depth, channels, orientation, n_pictures, str(image.format))


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
    return np.asarray(pixels[:, :, 0] if mode == "L" else pixels)


def bits_of(image: Image.Image, content: bytes) -> int:
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


def pixels_of(image: Image.Image) -> Array:
    """(H, W) or (H, W, 3), as stored."""
    return _by_blocks(image, _pixels)


def _by_blocks(image: Image.Image, convert: Callable[[Image.Image], Array]) -> Array:
    """What `convert` makes of the picture, block by block: Pillow copies all that it is given."""
    step = max(1, BLOCK_PIXELS // image.width)
    if image.height <= step:
        return convert(image)
    first = convert(image.crop((0, 0, image.width, step)))
    whole = np.empty((image.height, *first.shape[1:]), first.dtype)
    whole[:step] = first
    for top in range(step, image.height, step):
        bottom = min(top + step, image.height)
        whole[top:bottom] = convert(image.crop((0, top, image.width, bottom)))
    return whole


def _pixels(image: Image.Image) -> Array:
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
