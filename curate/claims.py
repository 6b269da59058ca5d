"""What the head of an image file claims, checked before pixels are decoded: few bytes can stand for much."""

from typing import Any

from PIL import Image

MAX_PIXELS = 1 << 30
# Most pixels that a byte can stand for: a block of 64 in each bit of a JPEG, a run of 255 in two bytes of a
# BMP, and in PNG and TIFF pixels of 1 bit in the best compression.
PIXELS_FROM_BYTE = {"JPEG": 512, "BMP": 128}
PIXELS_FROM_PACKED_BYTE = 8 * 1100
MAX_SCANNED = 16 * MAX_PIXELS  # a progressive JPEG goes over all pixels once for each of its ten or so scans
START_OF_SCAN = b"\xff\xda"
TIFF_DATA = (273, 324)  # places of strips and of tiles
CUT_UP = "Cut the picture into pieces."
COPY_AGAIN = "Copy or download the file again, or remove it."
# Pillow refuses 179 megapixels, which line-scan cameras exceed; the limit here is MAX_PIXELS.
Image.MAX_IMAGE_PIXELS = None


def excess(image: Image.Image, content: bytes) -> tuple[str, str] | None:
    """Reason and remedy where a picture claims more than may be decoded, or than its bytes can hold.

    Args:
        image: as opened, at the page in question.
        content: the whole file.
    """
    n_bytes, n_pixels = len(content), image.width * image.height
    claimed = f"{image.width} x {image.height} pixels"
    if n_pixels > MAX_PIXELS:
        return f"has {claimed}, more than {MAX_PIXELS}", CUT_UP
    if n_pixels > n_bytes * PIXELS_FROM_BYTE.get(str(image.format), PIXELS_FROM_PACKED_BYTE):
        return f"claims {claimed}, which its {n_bytes} bytes cannot hold", COPY_AGAIN
    most_scans = n_bytes // len(START_OF_SCAN) if image.format == "JPEG" else 0
    n_scans = content.count(START_OF_SCAN) if most_scans * n_pixels > MAX_SCANNED else 0
    if n_scans * n_pixels > MAX_SCANNED:
        return f"has {n_scans} scans of {claimed}, too many for one picture", COPY_AGAIN
    return None


def data_place(image: Image.Image) -> Any:
    """Where the pixels of a TIFF's page are: pages that share them claim much with few bytes."""
    tags = getattr(image, "tag_v2", {})
    return next((tags[tag] for tag in TIFF_DATA if tag in tags), None)
