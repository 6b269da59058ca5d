"""Copies for the browser of images that it cannot show, or would show wrongly; originals are never altered.

A browser knows no TIFF, shows 16-bit pixels too dark where the camera has but 10 or 12 bits, turns a picture
with an EXIF orientation though masks and maps do not turn with it, and gives up on very large pictures.
"""

import cv2
import numpy as np

from curate.images import Array, ImageFacts, encode_jpeg, encode_png

MAX_SIDE_PX = 8192
MAX_PNG_PIXELS = 1 << 22  # larger copies are JPEG: a PNG of them is slow to load
MAX_BROWSER_PIXELS = 1 << 26
LOW, HIGH = 0.1, 99.9  # percentiles that become black and white
JPEG_QUALITY = 92


def is_needed(facts: ImageFacts) -> bool:
    """Whether a browser cannot show the file as it should be seen."""
    return (
        facts.file_format == "TIFF"
        or facts.bit_depth > 8
        or facts.orientation != 1
        or facts.width * facts.height > MAX_BROWSER_PIXELS
    )


def file_name(sample_id: str, facts: ImageFacts) -> str:
    """Name of the copy: it carries the checksum, so that a browser never shows an older picture."""
    kind = "png" if facts.width * facts.height <= MAX_PNG_PIXELS else "jpg"
    return f"{sample_id}-{facts.sha256[:8]}.{kind}"


def encoded(pixels: Array, facts: ImageFacts) -> bytes:
    """The copy as a PNG or JPEG file: 8 bits, sides of at most 8192 px, and proportions as they were.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16. 16 bits are stretched between two percentiles.
    """
    longest = max(pixels.shape[:2])
    if longest > MAX_SIDE_PX:
        scale = MAX_SIDE_PX / longest
        width, height = (max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    pixels = eight_bits(pixels)
    if facts.width * facts.height <= MAX_PNG_PIXELS:
        return encode_png(pixels)
    return encode_jpeg(pixels, JPEG_QUALITY)


def eight_bits(pixels: Array) -> Array:
    """Pixels as a browser shows them, at their full size: 16 bits are stretched between two percentiles."""
    if pixels.dtype != np.uint16:
        return pixels
    step = max(1, pixels.size // 1_000_000)
    low, high = np.percentile(pixels.ravel()[::step], (LOW, HIGH))
    scaled = (pixels.astype(np.float32) - low) * (255.0 / max(1.0, high - low)) + 0.5
    stretched: Array = np.clip(scaled, 0, 255).astype(np.uint8)
    return stretched
