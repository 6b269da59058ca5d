"""What threshold rules share: where a cut may lie between two scores, and checks of what they are given."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from curate.images import Array
from curate.ranking import Counts
from curate.threshold_evidence import Evidence

PLURALS = {"image": "images", "region": "regions", "pixel": "pixels"}
NORMALS = PLURALS | {"region": "images"}  # a normal image has no region, and stands for itself
WHAT_TO_DO = {"normal": "Add normal images to the calibration part.", "anomalous": "Add anomalous ones."}


def need_normals(evidence: Evidence, rule: str) -> Evidence:
    """The normal items that count (weight above 0).

    Raises:
        ValueError: there is none.
    """
    return _some(evidence.where(~evidence.anomalous & (evidence.weights > 0)), evidence, rule, "normal")


def need_anomalies(evidence: Evidence, rule: str) -> Evidence:
    """The anomalous items that count (weight above 0).

    Raises:
        ValueError: there is none.
    """
    return _some(evidence.where(evidence.anomalous & (evidence.weights > 0)), evidence, rule, "anomalous")


def _some(found: Evidence, evidence: Evidence, rule: str, label: str) -> Evidence:
    if not len(found.scores):
        what = (NORMALS if label == "normal" else PLURALS)[evidence.level]
        raise ValueError(
            f'The rule "{rule}" needs {label} {what}; found none among {len(evidence.scores)}. '
            f"{WHAT_TO_DO[label]}"
        )
    return found


def once_each(items: Evidence, rule: str) -> Evidence:
    """The items, refused where they carry weights: some rules count ranks.

    Raises:
        ValueError: a weight is not 1.
    """
    if not (items.weights == 1).all():
        raise ValueError(f'The rule "{rule}" counts each item once; found weights other than 1.')
    return items


def between_0_and_1(name: str, value: float) -> Fraction:
    """A rate as the exact decimal that was written, so that 1,000 times 0.001 is 1.

    Raises:
        ValueError: it does not lie in (0, 1).

    >>> between_0_and_1("alpha", 0.001)
    Fraction(1, 1000)
    """
    if not 0 < value < 1:
        raise ValueError(f"Expected {name} in (0, 1); found {value}. Write one in a hundred as 0.01.")
    return Fraction(str(float(value)))


def not_negative(**values: float | None) -> None:
    """Raise ValueError unless each number is finite and at least 0; None passes."""
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise ValueError(f"Expected {name} of at least 0; found {value}.")


def just_above(evidence: Evidence, value: float) -> float:
    """The lowest threshold that a score of `value` stays below.

    That is the next number of the scores' own type: float32 where every score is one, so that comparing in
    float32 and in float64 gives the same alarms. Of pixels counted in bins, it is the next bin's score.

    Raises:
        ValueError: no number lies above.
    """
    if evidence.level == "pixel":
        higher = evidence.scores[evidence.scores > value]
        if len(higher):
            return float(higher.min())
    above = float(np.nextafter(np.float64(value), np.inf))
    if _all_float32(evidence.scores):
        with np.errstate(over="ignore"):
            single = float(np.nextafter(np.float32(value), np.float32(np.inf)))
        above = single if np.isfinite(single) else above
    if not np.isfinite(above):
        raise ValueError("The highest score is the largest number of its type: no threshold lies above.")
    return above


def between(evidence: Evidence, lower: float, upper: float) -> float:
    """A threshold that parts two neighbouring scores: half way, exact in the scores' own type.

    Of pixels counted in bins, it is the upper bin's score: within a bin nothing can be told apart.
    """
    if evidence.level == "pixel":
        return upper
    middle = lower / 2 + upper / 2  # halves first: the sum of two large scores may overflow
    if _all_float32(evidence.scores):
        middle = float(np.float32(middle))
    return middle if lower < middle <= upper else upper


def _all_float32(scores: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool((scores.astype(np.float32) == scores).all())


@dataclass(frozen=True)
class Ladder:
    """Every cut that makes a difference, from the one that alarms nothing down to the one that alarms all.

    Attributes:
        values: (K,) distinct scores, descending, of items that count.
        false_alarms: (K + 1,) weight of normal items at or above; entry i alarms the i highest values.
        hits: (K + 1,) the same of anomalous items.
    """

    values: Array
    false_alarms: Array
    hits: Array

    @classmethod
    def of(cls, evidence: Evidence) -> "Ladder":
        """Count the items by score."""
        counting = evidence.where(evidence.weights > 0)
        counts = Counts.of_scores(counting.scores, counting.anomalous, counting.weights)
        return cls(
            counts.values,
            np.concatenate([[0.0], counts.false_positives]),
            np.concatenate([[0.0], counts.true_positives]),
        )

    def cut(self, evidence: Evidence, step: int) -> float:
        """The threshold that alarms the `step` highest values: half way down to the next one.

        Raises:
            ValueError: nothing shall alarm, and no number lies above the scores.
        """
        if step == 0:
            return just_above(evidence, float(self.values[0]))
        if step == len(self.values):
            return float(self.values[-1])
        return between(evidence, float(self.values[step]), float(self.values[step - 1]))
