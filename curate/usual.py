"""What is usual for a category, and which pictures, lots or cameras are not: robust, and on either side.

The spread of each side is its own: from the median to the quantile that one standard deviation reaches in a
normal distribution. So up to a sixth of the pictures may be odd on a side without hiding each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from curate.checks import Evidence
from curate.images import Array

FEWEST, FEWEST_OF_CAMERA, FEWEST_OF_GROUP = 10, 20, 5
ONE_DEVIATION = (0.1587, 0.8413)
FAR, FAR_TOGETHER = 6.0, 2.5
GROUPS = ("lot", "camera")
ABOUT = ["sample_id", "relative_path", "category", "label", *GROUPS]


@dataclass(frozen=True)
class Usual:
    """A distribution: its median, and a deviation to either side.

    Attributes:
        among: what was compared with, in words.
    """

    middle: float
    below: float
    above: float
    among: str

    def distance(self, values: Array) -> Array:
        """How far values lie from the median, signed, in deviations of their side."""
        off = np.asarray(values, dtype=float) - self.middle
        return np.where(off < 0, off / self.below, off / self.above)

    def reach(self, deviations: float = 2.0) -> tuple[float, float]:
        """Between which values nearly all of the others lie."""
        return self.middle - deviations * self.below, self.middle + deviations * self.above


def usual(values: Array, least: float, among: str) -> Usual:
    """The distribution of some values.

    Args:
        values: (N,) at least one.
        least: a deviation below this does not matter, however steady the camera is.
        among: what they are of, in words.
    """
    low, middle, high = np.quantile(
        np.asarray(values, dtype=float), [ONE_DEVIATION[0], 0.5, ONE_DEVIATION[1]]
    )
    return Usual(float(middle), max(float(middle - low), least), max(float(high - middle), least), among)


@dataclass(frozen=True)
class Odd:
    """A picture, or a group of pictures, that is unusual in one measure.

    Attributes:
        rows: index of the picture or of all pictures of the group.
        value: the picture's, or the group's median.
        distance: from what is usual, in deviations; negative is below.
        usual: what it was compared with.
        group: ("lot", "L7") for a group.
    """

    rows: tuple[int, ...]
    value: float
    distance: float
    usual: Usual
    group: tuple[str, str] | None = None


def measured(evidence: Evidence) -> pd.DataFrame:
    """The statistics with what the sample table says about each picture, sorted by path."""
    if evidence.statistics is None:
        return evidence.samples[ABOUT].iloc[:0]
    table = evidence.samples[ABOUT].merge(evidence.statistics, on="sample_id")
    return table.sort_values("relative_path").reset_index(drop=True)


def odd_pictures(table: pd.DataFrame, values: Array, least: float) -> Iterator[Odd]:
    """Pictures far from their category, or from their camera's pictures of it where these are 20 or more.

    Args:
        table: category and camera; index 0 to N - 1.
        values: (N,).
        least: see usual.

    A category of fewer than 10 pictures is not judged.
    """
    for among, rows, judged in _references(table):
        reference = usual(values[rows], least, among)
        distance = reference.distance(values[judged])
        for row, far in zip(judged, distance, strict=True):
            if abs(far) >= FAR:
                yield Odd((int(row),), float(values[row]), float(far), reference)


def _references(table: pd.DataFrame) -> Iterator[tuple[str, Array, Array]]:
    """What to compare with, in words; its rows; and the rows to compare with it."""
    for category, members in table.groupby("category", sort=True):
        counts = members["camera"].map(members["camera"].value_counts())
        own = np.asarray(counts.fillna(0) >= FEWEST_OF_CAMERA)
        for camera, of_camera in members[own].groupby("camera", sort=True):
            rows = of_camera.index.to_numpy()
            yield f'pictures of category "{category}" from camera {camera}', rows, rows
        if len(members) >= FEWEST and not own.all():
            yield (
                f'pictures of category "{category}"',
                members.index.to_numpy(),
                members.index[~own].to_numpy(),
            )


def odd_groups(table: pd.DataFrame, values: Array, least: float) -> Iterator[Odd]:
    """Lots and cameras whose median is far from the other pictures of the category.

    Groups of fewer than 5 pictures, with fewer than 5 others, or with the greater part of a category are not
    judged: it takes the many to say what is usual.

    Args:
        table: category and the columns in GROUPS; index 0 to N - 1.
        values: (N,).
        least: see usual.
    """
    for category, members in table.groupby("category", sort=True):
        for column in GROUPS:
            named = members[members[column].notna()]
            judged_half = False
            for name, group in named.groupby(column, sort=True):
                others = named.index.difference(group.index).to_numpy()
                exactly_half = len(group) == len(others)
                if (
                    min(len(group), len(others)) < FEWEST_OF_GROUP
                    or len(group) > len(others)
                    or (exactly_half and judged_half)
                ):
                    continue
                reference = usual(values[others], least, f'other {column}s of category "{category}"')
                median = float(np.median(values[group.index]))
                far = float(reference.distance(np.array([median]))[0])
                if abs(far) >= FAR_TOGETHER:
                    judged_half = judged_half or exactly_half
                    yield Odd(tuple(group.index), median, far, reference, (column, str(name)))
