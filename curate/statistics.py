"""Numbers that say how a picture was taken, and a small copy of it that near copies can be told by.

Everything is measured on one decoded picture in a few milliseconds; the checks then compare pictures of one
category. Nothing here is a verdict: what is usual differs from product to product.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from curate.images import Array
from curate.line_defects import find_lines
from curate.measurement_cache import KEY, Cache, joined, open_cache, pictures, store

VERSION = 1  # raise it when the same pixels give other numbers
COLUMNS = {
    "brightness_p01": "REAL", "brightness_p50": "REAL", "brightness_p99": "REAL",
    "under_fraction": "REAL", "over_fraction": "REAL", "contrast": "REAL",
    "red": "REAL", "green": "REAL", "blue": "REAL",
    "sharpness_x": "REAL", "sharpness_y": "REAL", "noise": "REAL",
    "lines": "TEXT", "phash": "TEXT",
    "thumb": "BLOB", "thumb_h": "INTEGER", "thumb_w": "INTEGER", "thumb_scale": "REAL",
}  # fmt: skip
# Where the values of a 16-bit file may end: 10, 12, 14 bits, and 12 and 14 bits in the upper bits.
CEILINGS_16 = (1023, 4095, 16383, 65520, 65532, 65535)
MANY_PX = 1 << 21
WINDOW_PX, N_WINDOWS = 128, 8
FINE_PX, COARSE_PX = 1.0, 2.0
STRONGEST = 0.02
EVEN, NOISE_RATIO = 1e-6, 4.0
LOWER_HALF = 0.3246  # mean of the lower half of |x| where x is normal with deviation 1
THUMB_PX, HASH_PX = 96, 32


def table(
    samples: pd.DataFrame, cache_path: Path, progress: Callable[[int], None] | None = None
) -> pd.DataFrame:
    """Measure each picture that is not in the cache yet, a few at a time in memory.

    Args:
        samples: the sample table.
        cache_path: file of measurements, see curate.measurement_cache; a run that was killed goes on there.
        progress: called with the number of samples just finished.

    Returns:
        sample_id and COLUMNS (see measure), one row per sample, in the order of the samples; files that
        cannot be read have no row.

    Raises:
        StorageFull: no space is left; what was measured before is kept.
    """
    with open_cache(cache_path, f"statistics {VERSION}", COLUMNS) as cache:
        store(cache, _rows(samples, cache, progress))
        return joined(samples, cache)


def _rows(
    samples: pd.DataFrame, cache: Cache, progress: Callable[[int], None] | None
) -> Iterator[dict[str, Any]]:
    for key, values in pictures(samples, cache, measure, progress):
        yield {KEY: key, **values}


def measure(pixels: Array) -> dict[str, Any]:
    """All measurements of a picture.

    Args:
        pixels: (H, W) or (H, W, 3) RGB, uint8 or uint16.

    Returns:
        brightness_p01, _p50, _p99: percentiles of the grey values, 1 is the end of the range.
        under_fraction, over_fraction: share of pixels with all channels at the lower end of the range, with
            any channel at the upper end.
        contrast: brightness_p99 - brightness_p01.
        red, green, blue: mean of each channel, 1 is the end of the range.
        sharpness_x, sharpness_y: of edges along each axis, see `sharpness`.
        noise: deviation of the pixel noise, 1 is the end of the range.
        lines: rows and columns that look like sensor faults, as JSON, see curate.line_defects.
        phash: 64-bit perceptual hash, 16 hex digits.
        thumb, thumb_h, thumb_w: grey copy of at most 96 x 96 px, uint8 bytes row by row.
        thumb_scale: picture pixels per thumb pixel.

    Raises:
        ValueError: another shape or type, or no pixel.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or not pixels.size or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"Expected (H, W) or (H, W, 3), uint8 or uint16; found {pixels.shape} {pixels.dtype}."
        )
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    unit = float(np.iinfo(pixels.dtype).max)
    windows = _windows(grey).astype(np.float32) / unit
    across, down = sharpness(windows)
    return {
        **_levels(pixels, grey, unit),
        "sharpness_x": across,
        "sharpness_y": down,
        "noise": _noise(windows),
        "lines": json.dumps(find_lines(grey, unit)),
        "phash": perceptual_hash(grey),
        **_thumb(grey, unit),
    }


def _levels(pixels: Array, grey: Array, unit: float) -> dict[str, float]:
    """Brightness, both ends of the range, and colour."""
    step = int(np.ceil(np.sqrt(grey.size / MANY_PX)))
    some, values = pixels[::step, ::step], grey[::step, ::step]
    n_levels = int(unit) + 1
    counts = cv2.calcHist([np.ascontiguousarray(values)], [0], None, [n_levels], [0, n_levels]).ravel()
    ranks = np.searchsorted(np.cumsum(counts), np.array([0.01, 0.5, 0.99]) * values.size)
    low, middle, high = (float(rank) / unit for rank in ranks)
    brightest = some if some.ndim == 2 else some.max(axis=2)
    top = int(brightest.max())
    ceiling = top if unit > 255 and top in CEILINGS_16 else int(unit)
    means = np.broadcast_to(np.asarray(cv2.mean(some)[: 1 if some.ndim == 2 else 3]) / unit, 3)
    return {
        "brightness_p01": low,
        "brightness_p50": middle,
        "brightness_p99": high,
        "under_fraction": float(np.mean(brightest == 0)),
        "over_fraction": float(np.mean(brightest >= ceiling)),
        "contrast": high - low,
        **dict(zip(("red", "green", "blue"), map(float, means), strict=True)),
    }


def _windows(grey: Array) -> Array:
    """A picture of up to 1024 x 1024 px as it is; of a larger one, a mosaic of windows at full resolution."""
    side = WINDOW_PX * N_WINDOWS
    for axis in (0, 1):
        length = grey.shape[axis]
        if length > side:
            starts = np.linspace(0, length - WINDOW_PX, N_WINDOWS).astype(int)
            grey = grey.take((starts[:, None] + np.arange(WINDOW_PX)).ravel(), axis=axis)
    return np.ascontiguousarray(grey)


def sharpness(grey: Array) -> tuple[float, float]:
    """How much steeper the steepest edges are on a fine scale than on a coarse one.

    At each of two scales (1 and 2 px) the strongest 2 % of the gradients are averaged. Their ratio is 2 for
    an ideal step and falls to 1 as the edge gets wider. It does not depend on contrast and exposure, and a
    picture without edges gives the ratio of its noise, about 4: it is not called blurred.

    Args:
        grey: (H, W) float32.

    Returns:
        Along x and along y: motion blurs one of them only.
    """
    strengths = []
    for sigma in (FINE_PX, COARSE_PX):
        soft = cv2.GaussianBlur(grey, (0, 0), sigma)
        strengths.append([_strongest(np.abs(np.diff(soft, axis=axis))) for axis in (1, 0)])
    across, down = (
        fine / coarse if coarse > EVEN else NOISE_RATIO for fine, coarse in zip(*strengths, strict=True)
    )
    return across, down


def _strongest(gradients: Array) -> float:
    flat = gradients.ravel()
    n = max(1, int(STRONGEST * flat.size))
    return float(np.partition(flat, flat.size - n)[flat.size - n :].mean()) if flat.size else 0.0


def _noise(grey: Array) -> float:
    """Deviation of the noise, from the weaker half of a difference that ramps and straight edges do not pass.

    Source: Immerkaer, Computer Vision and Image Understanding 64 (1996), doi:10.1006/cviu.1996.0060
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel)[::2, ::2]).ravel()
    half = (response.size + 1) // 2
    # the lower half: its mean, unlike the median, is no whole number of grey levels
    return float(np.partition(response, half - 1)[:half].mean()) / (6 * LOWER_HALF)


def perceptual_hash(grey: Array) -> str:
    """64 bits, 16 hex digits: which low frequencies are above the median; near copies differ in few bits."""
    small = cv2.resize(grey, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return bytes(np.packbits(low > np.median(low[1:]))).hex()


def _thumb(grey: Array, unit: float) -> dict[str, Any]:
    """A copy at one of the scales 1, 1.41, 2, 2.83, ...: pictures cut a little differently keep one scale."""
    half_steps = max(0, int(np.ceil(2 * np.log2(max(grey.shape) / THUMB_PX))))
    scale = 2.0 ** (half_steps / 2)
    height, width = (max(1, round(side / scale)) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    stored = small if unit == 255 else np.rint(small * (255 / unit)).astype(np.uint8)
    return {"thumb": stored.tobytes(), "thumb_h": height, "thumb_w": width, "thumb_scale": scale}
