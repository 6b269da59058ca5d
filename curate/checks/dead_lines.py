"""Finds rows and columns that are dead or off in the pictures of one camera: faults of its sensor.

One picture with straight structures can look as if it had such a line; a fault of the sensor stays at one
row or column in picture after picture, while parts move.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.usual import FEWEST, measured

CODE = "dead_lines"
SEVERITY = "warning"
NEEDS = ("statistics",)
REMEDY = (
    "Calibrate or replace the camera's sensor; leave the pictures out, or let every split have some of them."
)
LEAST_PICTURES, LEAST_SHARE = 4, 0.2
MOST_BESIDE = 0.34
CLEAR_Z = 60.0
RARE_SHARE = 0.02
Line = tuple[str, int]
Seen = dict[Line, dict[str, tuple[float, float]]]


def run(evidence: Evidence) -> list[Fault]:
    """One fault per line and camera, and one per single picture with a line beyond doubt.

    Pictures without a camera count by category. A line is a fault of the sensor when at least a fifth of the
    pictures of one size, and 4, have it, and few have one beside it. In a single picture it must be far off,
    and rare in the category: drawn or binarised pictures are full of such lines.
    """
    table = measured(evidence)
    if table.empty:
        return []
    known = evidence.samples[["sample_id", "height", "width", "pixel_sha256"]]
    table = table.merge(known, on="sample_id").sort_values("relative_path")
    table = table.drop_duplicates(["category", "camera", "pixel_sha256"])
    table["lines"] = [json.loads(lines) for lines in table["lines"]]
    faults = []
    explained: set[tuple[str, Line]] = set()
    for whose, pictures in _cameras(table):
        seen = _seen(pictures)
        for line in sorted(seen):
            if _stays(line, seen, len(pictures)):
                explained |= {(path, line) for path in seen[line]}
                faults.append(_of_camera(whose, line, seen[line], len(pictures)))
    return in_order([*faults, *_single(table, explained)])


def _cameras(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Pictures of one size that one camera took, as far as is known."""
    known = table["camera"].notna()
    for key, pictures in table[known].groupby(["camera", "height", "width"], sort=True):
        yield f"camera {key[0]}", pictures
    for key, pictures in table[~known].groupby(["category", "height", "width"], sort=True):
        yield f'category "{key[0]}"', pictures


def _seen(pictures: pd.DataFrame) -> Seen:
    """For each line, step and z in the pictures that have it."""
    seen: Seen = defaultdict(dict)
    for path, lines in zip(pictures["relative_path"], pictures["lines"], strict=True):
        for axis, position, step, z in lines:
            seen[axis, position][path] = (step, z)
    return seen


def _stays(line: Line, seen: Mapping[Line, Mapping[str, Any]], n_pictures: int) -> bool:
    n_here = len(seen[line])
    axis, position = line
    beside = [len(seen.get((axis, position + shift), ())) for shift in (-2, -1, 1, 2)]
    often = n_here >= max(LEAST_PICTURES, LEAST_SHARE * n_pictures)
    return often and max(beside) <= MOST_BESIDE * n_here


def _of_camera(whose: str, line: Line, found: Mapping[str, tuple[float, float]], n_pictures: int) -> Fault:
    first, *others = sorted(found)
    step = float(np.median([step for step, _ in found.values()]))
    message = (
        f"{line[0].capitalize()} {line[1]} is off in {len(found)} of {n_pictures} pictures of {whose}, by "
        f"{step:+.3f} of the range against its neighbours; the first is {first}."
    )
    return Fault(CODE, "warning", first, message, REMEDY, tuple(others))


def _single(table: pd.DataFrame, explained: set[tuple[str, Line]]) -> Iterator[Fault]:
    for category, pictures in table.groupby("category", sort=True):
        clear = [
            (path, axis, position, step)
            for path, lines in zip(pictures["relative_path"], pictures["lines"], strict=True)
            for axis, position, step, z in lines
            if z >= CLEAR_Z and (path, (axis, position)) not in explained
        ]
        paths = {path for path, *_ in clear}
        if len(pictures) < FEWEST or len(paths) > max(2, RARE_SHARE * len(pictures)):
            continue
        for path in sorted(paths):
            named = [f"{axis} {position} ({step:+.3f})" for at, axis, position, step in clear if at == path]
            message = (
                f"{path} has lines that are off along the whole picture, by so much of the range: "
                f'{", ".join(named)}; other pictures of category "{category}" have none.'
            )
            yield Fault(CODE, "warning", path, message, "Take the picture again, or leave it out.")
