"""Finds single rows and columns that look like faults of a line or area sensor.

A faulty line is exactly one pixel wide, because no optics blurs it, and is off along the whole picture. So a
line counts when most of its sections differ from what its neighbours predict, all in one direction, and when
replacing this one line makes its surroundings smooth. Edges and lines of the scene are blurred over several
pixels and fail that. What is left may still be the scene: a check compares pictures of one camera.
"""

from typing import TypeAlias

import numpy as np

from curate.images import Array

Line: TypeAlias = tuple[str, int, float, float]
N_SECTIONS, NEEDED_SECTIONS = 8, 6
SAMPLED_PX = 512
MIN_SIDE_PX = 32
LEAST_Z = 4.0
LEAST_STEP = 0.5 / 255
EXPLAINED = 0.4
MOST = 12
# Cubic interpolation of a line from the two on either side of it.
WEIGHTS = {-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6}
QUIET, LIVELY = 0.35, 3.0 / 255


def find_lines(grey: Array, unit: float) -> list[Line]:
    """Candidate lines of one picture, the clearest first, at most 12.

    Args:
        grey: (H, W), any numeric type; below 32 px nothing is found along that axis.
        unit: the value that is the end of the range.

    Returns:
        One (axis, position, step, z) each: "row" or "column"; its index; how far the line is off, 1 is the
        end of the range; and that in units of the picture's own variation from line to line.
    """
    found: list[Line] = [("column", *line) for line in _columns(grey, unit)]
    found += [("row", *line) for line in _columns(grey.T, unit)]
    return sorted(found, key=lambda line: (-line[3], line[0], line[1]))[:MOST]


def _columns(grey: Array, unit: float) -> list[tuple[int, float, float]]:
    height, width = grey.shape
    if min(height, width) < MIN_SIDE_PX:
        return []
    rows = np.linspace(0, height - 1, min(height, SAMPLED_PX) // N_SECTIONS * N_SECTIONS).astype(int)
    values = np.ascontiguousarray(grey[rows]).astype(np.float32) / np.float32(unit)
    off = _off(values)
    sections = off.reshape(N_SECTIONS, -1, width).mean(axis=1)
    noise = 1.4826 * np.median(np.abs(sections[:, 2:-2]), axis=1, keepdims=True)
    z = sections / np.maximum(noise, LEAST_STEP / LEAST_Z)
    whole = np.median(sections, axis=0)
    same = np.sort(z * np.sign(whole), axis=0)
    strength = same[N_SECTIONS - NEEDED_SECTIONS]
    strength[same[0] < -LEAST_Z / 2] = 0
    strength[[0, 1, -2, -1]] = 0
    mean = off.mean(axis=0)
    offset = {int(c) for c in np.flatnonzero(strength >= LEAST_Z) if _is_single(mean, int(c))}
    constant = {c: float(max(np.median(np.abs(z[:, c])), LEAST_Z)) for c in _constant(values)}
    found = {c: float(strength[c]) for c in offset} | constant
    return [(c, round(float(mean[c]), 5), round(min(found[c], 1e4), 2)) for c in sorted(found)]


def _off(values: Array) -> Array:
    """How far each column is from what its neighbours predict, (R, W); 0 in the outer two columns."""
    off = np.zeros_like(values)
    inner = off[:, 2:-2]
    inner += values[:, 2:-2]
    width = values.shape[1]
    for shift, weight in WEIGHTS.items():
        inner -= np.float32(weight) * values[:, 2 + shift : width - 2 + shift]
    return off


def _is_single(off: Array, column: int) -> bool:
    """Whether taking the deviation out of this one column leaves its neighbours smooth."""
    step = float(off[column])
    left = [
        abs(float(off[column + shift]) + weight * step)
        for shift, weight in WEIGHTS.items()
        if 2 <= column + shift < off.size - 2
    ]
    return step != 0 and max(left, default=0.0) <= EXPLAINED * abs(step)


def _constant(values: Array) -> list[int]:
    """Columns that hardly vary along the picture while both neighbours do."""
    spread = np.abs(values - values.mean(axis=0)).mean(axis=0)  # one odd pixel hardly counts
    quiet = np.minimum(spread[:-2], spread[2:])
    found = (spread[1:-1] <= QUIET * quiet) & (quiet >= LIVELY)
    return [int(c) for c in np.flatnonzero(found) + 1 if 2 <= c < values.shape[1] - 2]
