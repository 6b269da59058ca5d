"""Outlines, run lengths and boxes of annotation files as the sample table holds them, or what is wrong."""

import math
from collections.abc import Sequence
from typing import Any

from curate.ground_truth import decode_runs

MAX_RUNS = 50_000_000
ROUNDING_PX = 0.5
OUTSIDE_PX = 2.0  # annotation tools let an outline stick out by a rounding; more is a slip
Entry = dict[str, Any]


def outline(points_xy: Any, defect_type: str, image_hw: tuple[int, int]) -> Entry | str:
    """A polygon as an entry of `shapes`, or what is wrong with it, in words that follow its name.

    Args:
        points_xy: flat x0, y0, x1, y1, ... or pairs, in px; (0, 0) is the image's upper left corner.
        image_hw: height and width of the image.

    >>> outline([1, 1, 9, 1, 9, 6], "scratch", (48, 64))["points_xy"]
    [1.0, 1.0, 9.0, 1.0, 9.0, 6.0]
    >>> outline([[1, 1], [70, 1], [9, 6]], "scratch", (48, 64))
    'leaves the image of 64 x 48 px'
    """
    flat = _flat(points_xy)
    if flat is None or len(flat) % 2:
        return "is not a list of points x, y"
    if len(flat) < 6:
        return f"has {len(flat) // 2} points, expected 3 or more"
    height, width = image_hw
    low, high_x, high_y = min(flat), max(flat[::2]), max(flat[1::2])
    if low < -OUTSIDE_PX or high_x > width + OUTSIDE_PX or high_y > height + OUTSIDE_PX:
        return f"leaves the image of {width} x {height} px"
    return {"kind": "polygon", "points_xy": flat, "counts": None, "defect_type": defect_type}


def _flat(points: Any) -> list[float] | None:
    if not isinstance(points, Sequence) or isinstance(points, str | bytes):
        return None
    numbers: list[float] = []
    for item in points:
        pair = item if isinstance(item, Sequence) and not isinstance(item, str | bytes) else [item]
        if isinstance(item, Sequence) and len(pair) != 2:
            return None
        for value in pair:
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
                return None
            if not math.isfinite(value):
                return None
            numbers.append(float(value))
    return numbers


def runs(counts: Any, defect_type: str, image_hw: tuple[int, int]) -> Entry | str:
    """Run lengths (COCO's RLE, a list or its compressed text) as an entry of `shapes`, or what is wrong."""
    if isinstance(counts, str):
        decoded = _uncompressed(counts)
        if decoded is None:
            return "has run lengths that are not COCO's compressed text"
        counts = decoded
    whole = isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts)
    if not whole or not counts or len(counts) > MAX_RUNS:
        return "has run lengths that are not a list of whole numbers"
    total, n_pixels = sum(counts), image_hw[0] * image_hw[1]
    if total != n_pixels:
        return f"has runs over {total} pixels, but the image has {n_pixels}"
    if not decode_runs(counts, image_hw).any():
        return "marks no pixel"
    return {"kind": "rle", "points_xy": None, "counts": counts, "defect_type": defect_type}


def _uncompressed(text: str) -> list[int] | None:
    """COCO's text form: 5 bits a character from "0" on, the sixth says that more follow; from the third run
    on, each is the difference to the run two before."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 35:
            return None
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        if counts[-1] < 0:
            return None
        value = shift = 0
    return None if shift else counts


def box(corners: Any, defect_type: str, image_hw: tuple[int, int] | None) -> Entry | str:
    """Corners x0, y0, x1, y1 in px, half-open, as an entry of `boxes`, or what is wrong with them.

    >>> box([5, 6, 20, 16], "spur", (48, 64))
    {'box_xyxy': [5.0, 6.0, 20.0, 16.0], 'defect_type': 'spur'}
    >>> box([5, 6, 20, 6], "spur", (48, 64))
    'is empty (5 6 20 6)'
    """
    numbers = _flat(corners)
    if numbers is None or len(numbers) != 4:
        return "is not four numbers x0 y0 x1 y1"
    x0, y0, x1, y1 = numbers
    said = " ".join(f"{value:g}" for value in numbers)
    if not (x0 < x1 and y0 < y1):
        return f"is empty ({said})"
    if min(x0, y0) < 0 or (image_hw and (x1 > image_hw[1] or y1 > image_hw[0])):
        size = f" of {image_hw[1]} x {image_hw[0]} px" if image_hw else ""
        return f"leaves the image{size} ({said})"
    return {"box_xyxy": numbers, "defect_type": defect_type}


def snapped(corners: Sequence[float], hw: tuple[int, int] | None) -> list[float]:
    """Corners x0, y0, x1, y1 that stick out of the image by half a pixel at most, put onto its edge: tools
    round, mostly to two or six digits.

    >>> snapped([-0.01, 5, 64.2, 70], (48, 64))
    [0.0, 5.0, 64.0, 70.0]
    """
    highest = (hw[1], hw[0]) * 2 if hw else (float("inf"),) * 4
    return [
        float(min(max(value, 0), limit)) if -ROUNDING_PX <= value <= limit + ROUNDING_PX else float(value)
        for value, limit in zip(corners, highest, strict=True)
    ]


def as_numbers(values: object, n: int) -> list[float] | None:
    """A list of `n` numbers as floats; None for anything else. Strings and bools are no numbers."""
    if not isinstance(values, list) or len(values) != n:
        return None
    whole = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return [float(value) for value in values] if whole and all(abs(v) <= 1e9 for v in values) else None
