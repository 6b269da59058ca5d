"""A threshold that a person states; needs a reason beside it, and promises nothing."""

import math

from curate.cut_points import NORMALS, PLURALS, need_normals
from curate.threshold_evidence import Cut, Evidence, Fact

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal",)
WHEN = "A person knows the value: from the line, from a customer, or from looking at the scores."
BY_HAND = True  # nothing is chosen: no place in advice, and no interval
BY_CATEGORY = ("value", "review_from")  # may be stated for each category
LOOKED = (
    "Stated by a person, who may have looked at these images: what it gives on calibration is no estimate of "
    "what it will give on the line. The figures of the test part are."
)


def choose(evidence: Evidence, *, value: float | None = None, review_from: float | None = None) -> Cut:
    """The stated value, with what it gives on the items at hand.

    Args:
        value: the threshold; without one nothing can be decided, and the reason says so.
        review_from: a person looks at scores from here up to the value.

    Raises:
        ValueError: review_from lies above the value, one of them is no finite number, or no item is normal.

    >>> import numpy as np
    >>> cut = choose(Evidence.of(np.array([1.0, 2.0, 3.0]), np.array([False, False, True])), value=2.0)
    >>> cut.threshold, cut.facts["n_false_alarms"], cut.facts["n_missed"]
    (2.0, 1.0, 0.0)
    """
    need_normals(evidence, "manual")
    _check(value, review_from)
    if value is None:
        return Cut(float("inf"), supported=False, reason="No value is stated. State one: --set value=NUMBER.")
    lower = value if review_from is None else review_from
    normals, anomalies = evidence.normals, evidence.anomalies
    facts: dict[str, Fact] = {
        "n_normal": float(normals.weights.sum()),
        "n_false_alarms": float(normals.weights[normals.scores >= value].sum()),
        "n_anomalous": float(anomalies.weights.sum()),
        "n_missed": float(anomalies.weights[anomalies.scores < lower].sum()),
    }
    claim = (
        f"On calibration {facts['n_false_alarms']:,.0f} of {facts['n_normal']:,.0f} normal "
        f"{NORMALS[evidence.level]} raise an alarm and {facts['n_missed']:,.0f} of "
        f"{facts['n_anomalous']:,.0f} anomalous {PLURALS[evidence.level]} are missed."
    )
    review = None if review_from is None else float(review_from)
    return Cut(float(value), review, claim=claim, warnings=(LOOKED,), facts=facts)


def _check(value: float | None, review_from: float | None) -> None:
    for name, stated in (("value", value), ("review_from", review_from)):
        if stated is not None and not math.isfinite(stated):
            raise ValueError(f'Expected a finite {name} of the rule "manual"; found {stated}.')
    if review_from is not None and (value is None or review_from > value):
        raise ValueError(
            "Expected a review band that begins at or below the threshold; found review_from "
            f"{review_from:g} and value {'none' if value is None else format(value, 'g')}."
        )
