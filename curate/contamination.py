"""Finds what does not belong among normal images: those that score far above the rest when left out.

Pure logic on scores; curate.score_robust makes the scores.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.images import Array

Z_LIMIT = 5.0
MAD_TO_SIGMA = 1.4826  # of a normal distribution
MEAN_TO_SIGMA = 1.2533  # the same for the mean absolute deviation
N_FOLDS = 5
RULE = "above median + 5 * 1.4826 * MAD of the cross-scored normals, highest first"


@dataclass(frozen=True)
class Suspicious:
    """Normal images that score far above the others.

    Attributes:
        z: (N,) float64, distance of each score from the median, in robust standard deviations.
        median, scale: of the scores.
        above: indices whose z is above 5, highest first.
        left_out: the first of them, as many as the limit allows.
    """

    z: Array
    median: float
    scale: float
    above: tuple[int, ...]
    left_out: tuple[int, ...]


def find(scores: Array, fraction: float) -> Suspicious:
    """Scores above median + 5 * 1.4826 * MAD, of which at most a fraction may be left out.

    Where more than half of the scores are equal the mean absolute deviation stands in for the median one;
    where all are, none is suspicious.

    Args:
        scores: (N,) finite; each of an image that the detector was not fitted on.
        fraction: most that may be left out, in (0, 0.5).

    Raises:
        ValueError: the fraction is out of range, or a score is not finite.

    >>> find(np.array([1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 9.0, 1.1, 0.9, 1.0]), 0.1).left_out
    (6,)
    """
    if not 0 < fraction < 0.5:
        raise ValueError(f"Expected a fraction above 0 and below 0.5, found {fraction}.")
    values = np.asarray(scores, np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"Expected finite scores, found {int((~np.isfinite(values)).sum())} that are not.")
    if not len(values):
        return Suspicious(values, 0.0, 0.0, (), ())
    median = float(np.median(values))
    deviations = np.abs(values - median)
    scale = MAD_TO_SIGMA * float(np.median(deviations)) or MEAN_TO_SIGMA * float(deviations.mean())
    z = (values - median) / scale if scale > 0 else np.zeros_like(values)
    above = [int(index) for index in np.argsort(-z, kind="stable") if z[index] > Z_LIMIT]
    n_most = int(fraction * len(values) + 1e-9)
    return Suspicious(z, median, scale, tuple(above), tuple(above[:n_most]))


def folds(ids: Sequence[str], groups: Sequence[str | None], seed: int, n_folds: int = N_FOLDS) -> list[int]:
    """Which fold each image belongs to; images of one group share theirs.

    Two pictures of one defective part would otherwise vouch for each other. Where groups are so large that a
    fold would leave fewer than two images to fit on, every image stands for itself.

    Args:
        ids: of the images; their order does not matter.
        groups: of the images; None is a group of its own.
        seed: equal seeds give equal folds.

    >>> folds(["a", "b", "c", "d"], [None, "x", "x", None], seed=0, n_folds=2)
    [1, 0, 0, 1]
    """
    keys = [f"={name}" if group is None else group for name, group in zip(ids, groups, strict=True)]
    members: dict[str, list[str]] = {}
    for name, key in zip(ids, keys, strict=True):
        members.setdefault(key, []).append(name)
    drawn = sorted(
        members, key=lambda key: hashlib.sha256(f"{seed} {min(members[key])}".encode()).hexdigest()
    )
    drawn.sort(key=lambda key: -len(members[key]))  # large groups first evens the folds out
    sizes = [0] * min(n_folds, len(members))
    chosen: dict[str, int] = {}
    for key in drawn:
        fold = sizes.index(min(sizes))
        chosen[key] = fold
        sizes[fold] += len(members[key])
    if max(sizes) > len(ids) - 2 and len(members) < len(ids):
        return folds(ids, [None] * len(ids), seed, n_folds)
    return [chosen[key] for key in keys]
