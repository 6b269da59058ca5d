"""How far scores spread where nothing is wrong: the unit in which a distance to a threshold compares.

Raw scores of two categories cannot be compared, and ranks among normal images are all alike beyond the
highest of them, where thresholds lie. So the margin of an image is |score - threshold| of its category,
divided by the spread of the scores of that category's normal images.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from curate.images import Array

FEWEST = 5  # scores that a spread is told from
NORMAL_IQR = 1.349  # between the quartiles of a normal distribution of deviation 1


def spread(scores: Array) -> float:
    """A deviation of scores that a few outliers do not move; the plain one where half of them are equal.

    Args:
        scores: (N,) finite.

    Returns:
        0 when all are equal or there is none.

    >>> round(spread(np.array([1.0, 2.0, 3.0, 4.0, 900.0])), 3)
    1.483
    """
    if not len(scores):
        return 0.0
    lower, upper = np.quantile(scores, (0.25, 0.75))
    return float((upper - lower) / NORMAL_IQR or np.std(scores))


def spreads(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The unit of each category's margin, above 0.

    The scores are those of the normal calibration images; where these are fewer than 5 or all alike, of all
    normal images that no detector was fitted on, then of all images. Where even these are alike, it is 1.

    Args:
        rows: of scored images: score (finite), category, label and, where there is a split, assigned_split.
    """
    members: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        members.setdefault(row["category"], []).append(row)
    return {category: _unit(held) for category, held in members.items()}


def _unit(rows: list[Mapping[str, Any]]) -> float:
    normal = [row for row in rows if row["label"] == "normal" and row.get("assigned_split") != "train"]
    calibration = [row for row in normal if row.get("assigned_split") == "calibration"]
    for chosen in (calibration, normal):
        found = spread(np.array([row["score"] for row in chosen], dtype=np.float64))
        if len(chosen) >= FEWEST and found > 0:
            return found
    return spread(np.array([row["score"] for row in rows], dtype=np.float64)) or 1.0
