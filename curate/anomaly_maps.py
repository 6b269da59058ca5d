"""Anomaly maps as files: a raw map for thresholds and metrics, a display map for the browser.

A raw map is a 16-bit grey PNG at the image's own size. Its own linear range (lo, hi) is in a text chunk
named "curate:range"; pixel q stands for lo + q * (hi - lo) / 65535. So a value is within (hi - lo) / 131070
of the one stored (plus float32 rounding); the smallest and the largest are exact, and no order is reversed.
"""

import math
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from curate.errors import Missing, Unreadable
from curate.images import Array

KEYWORD = b"curate:range"
STEPS = 65535
HEADER_END = 33  # PNG signature and IHDR chunk, always this long
DISPLAY_SIDE = 512
# the lower byte of 16 bits is noise: the best deflate saves a fifth of the bytes and takes 9 times as long to
# write and 6 times as long to read as storing them
RAW_SETTINGS = (
    cv2.IMWRITE_PNG_COMPRESSION, 0,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
)  # fmt: skip
# flat areas make display maps small in any way: a quarter of the time of level 4 at an eighth more bytes
DISPLAY_SETTINGS = (
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
)  # fmt: skip


def encode_raw(anomaly_map: Array) -> bytes:
    """A raw map's file; equal maps give equal bytes.

    Args:
        anomaly_map: (H, W) float32, finite.

    Raises:
        ValueError: another shape or type, empty, or not finite.
    """
    _check(anomaly_map)
    lo, hi = float(anomaly_map.min()), float(anomaly_map.max())
    steps = anomaly_map.astype(np.float64)
    steps -= lo
    steps *= STEPS / (hi - lo) if hi > lo else 0.0
    steps = np.rint(steps, out=steps).astype(np.uint16)
    done, png = cv2.imencode(".png", steps, RAW_SETTINGS)
    if not done:
        raise ValueError(f"A map of shape {anomaly_map.shape} cannot be stored as PNG.")
    content = png.tobytes()
    return content[:HEADER_END] + _text_chunk(f"{lo!r} {hi!r}".encode()) + content[HEADER_END:]


def decode_raw(content: bytes, name: str = "raw map") -> Array:
    """The reverse of encode_raw: (H, W) float32, see the module for the error bound.

    Raises:
        Unreadable: damaged, or not a raw map.
    """
    lo, hi = _range(content, name)
    steps = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if steps is None or steps.dtype != np.uint16 or steps.ndim != 2:
        raise Unreadable(
            f"Unreadable: {name} is not a whole 16-bit grey PNG. Remove it and score the images again."
        )
    values: Array = np.linspace(lo, hi, STEPS + 1).astype(np.float32)[steps]  # linspace ends exactly on hi
    return values


def read_raw(path: Path) -> Array:
    """Read a raw map; see decode_raw.

    Raises:
        Missing: there is no such file.
        Unreadable: damaged, or not a raw map.
    """
    try:
        return decode_raw(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise Missing(f"Missing: the anomaly map {path} does not exist. Score the images again.") from error


def encode_display(anomaly_map: Array, lo: float, hi: float, longest_side: int = DISPLAY_SIDE) -> bytes:
    """An 8-bit grey PNG for the browser: lo and below is 0, hi and above is 255.

    Args:
        anomaly_map: (H, W) float32, finite.
        lo, hi: one fixed range for all images of a dataset, lo < hi.
        longest_side: larger maps are shrunk to this many pixels, keeping the aspect ratio.
    """
    _check(anomaly_map)
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise ValueError(f"Expected a display range with lo < hi, found {lo} to {hi}.")
    height, width = anomaly_map.shape
    shrink = longest_side / max(height, width)
    if shrink < 1:
        to_wh = max(1, round(width * shrink)), max(1, round(height * shrink))
        anomaly_map = cv2.resize(anomaly_map, to_wh, interpolation=cv2.INTER_AREA)
    grey = np.rint(np.clip((anomaly_map - lo) / (hi - lo), 0, 1) * 255).astype(np.uint8)
    done, png = cv2.imencode(".png", grey, DISPLAY_SETTINGS)
    if not done:
        raise ValueError(f"A map of shape {anomaly_map.shape} cannot be stored as PNG.")
    return png.tobytes()


def is_finite(anomaly_map: Array) -> bool:
    """Whether no value is NaN or infinite; mostly told by the sum, in a quarter of the time."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(anomaly_map.sum()) or bool(np.isfinite(anomaly_map).all())


def _check(anomaly_map: Array) -> None:
    if anomaly_map.ndim != 2 or anomaly_map.dtype != np.float32 or not anomaly_map.size:
        raise ValueError(f"Expected a (H, W) float32 map, found {anomaly_map.shape} {anomaly_map.dtype}.")
    if not is_finite(anomaly_map):
        raise ValueError("Expected a finite anomaly map, found NaN or infinity in it.")


def _text_chunk(text: bytes) -> bytes:
    body = b"tEXt" + KEYWORD + b"\0" + text
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _range(content: bytes, name: str) -> tuple[float, float]:
    at = content.find(b"tEXt" + KEYWORD + b"\0", HEADER_END - 1, HEADER_END + 64)
    try:
        (length,) = struct.unpack(">I", content[at - 4 : at])
        lo, hi = (float(part) for part in content[at + 5 + len(KEYWORD) : at + 4 + length].split())
    except (struct.error, ValueError) as error:
        raise Unreadable(
            f'Unreadable: {name} has no text chunk "{KEYWORD.decode()}", so it is no raw anomaly map. '
            "Score the images again."
        ) from error
    return lo, hi
