"""What is asked of an evaluation, and how its figures are kept: plain values that JSON can hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from curate.images import Array
from curate.intervals import LEVEL, N_REPLICATES, Estimate

PIXEL_REPLICATES = 200  # a replicate over all pixels costs more than one over images
RATES = ("defect_rate", "fpr", "miss_rate")
COSTS = ("cost_miss", "cost_false_alarm", "cost_review")


@dataclass(frozen=True)
class Options:
    """What is asked of an evaluation.

    Attributes:
        by: columns of the sample table whose values are told apart, such as "lot".
        defect_rate: share of defective parts on the line; None where it is not known.
        cost_miss, cost_false_alarm, cost_review: of one part each, in any one unit; None where not stated.
        fpr: false-positive rate that the true-positive rate is told at.
        miss_rate: miss rate that the true-negative rate is told at.
        n_replicates: of the bootstrap over images; pixels get at most 200.
        seed: of the bootstrap.
        level: of the intervals.
    """

    by: tuple[str, ...] = ()
    defect_rate: float | None = None
    cost_miss: float | None = None
    cost_false_alarm: float | None = None
    cost_review: float | None = None
    fpr: float = 0.05
    miss_rate: float = 0.05
    n_replicates: int = N_REPLICATES
    seed: int = 0
    level: float = LEVEL

    def __post_init__(self) -> None:
        """Raise ValueError for a rate outside of (0, 1), a negative cost, or costs stated by halves."""
        for name in RATES:
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"Expected {name} in (0, 1); found {value}. Write one in a hundred as 0.01.")
        for name in COSTS:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"Expected {name} of 0 or more; found {value}.")
        if (self.cost_miss is None) != (self.cost_false_alarm is None):
            raise ValueError("State the costs of a miss and of a false alarm together, or neither.")
        if self.cost_review is not None and self.cost_miss is None:
            raise ValueError("The cost of a review says nothing without those of a miss and a false alarm.")
        if self.n_replicates < 2:
            raise ValueError(f"Expected at least 2 replicates; found {self.n_replicates}.")

    @property
    def pixel_replicates(self) -> int:
        """Replicates of pixel figures."""
        return min(PIXEL_REPLICATES, self.n_replicates)

    def as_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return found | {"by": list(self.by), "pixel_replicates": self.pixel_replicates}


def plain(value: Any) -> float | None:
    """A number for JSON; None for what is not finite.

    >>> plain(np.float32(0.5)), plain(np.inf), plain(None)
    (0.5, None, None)
    """
    return None if value is None or not math.isfinite(value) else float(value)


def finite(content: Any) -> Any:
    """JSON content in which numbers that are not finite are None.

    >>> finite({"a": [1.0, float("inf")]})
    {'a': [1.0, None]}
    """
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def numbers(values: Array | Sequence[float]) -> list[float | None]:
    """Numbers for JSON, in order."""
    return [plain(value) for value in values]


def told(estimate: Estimate) -> dict[str, Any]:
    """An estimate for JSON."""
    return {
        "value": plain(estimate.value),
        "low": plain(estimate.low),
        "high": plain(estimate.high),
        "level": estimate.level,
        "method": estimate.method,
        "n": None if estimate.n is None else int(estimate.n),
        "note": estimate.note,
    }


def mean_of(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of independent figures, such as those of several categories, with its interval.

    The distances from each figure to the ends of its interval are added in quadrature (method of variance
    estimates recovery), which keeps intervals that are not symmetric so.

    Args:
        parts: see told; those without a value are left out, which the note says.

    Source: Zou and Donner 2008, doi:10.1002/sim.3095

    >>> one = {"value": 0.8, "low": 0.5, "high": 0.9, "level": 0.95}
    >>> found = mean_of([one, one])
    >>> found["value"], round(found["low"], 3), round(found["high"], 3), found["method"]
    (0.8, 0.588, 0.871, 'variance recovery')
    """
    known = [part for part in parts if part["value"] is not None]
    level = parts[0]["level"] if parts else LEVEL
    few = (
        f"Of {len(known)} of {len(parts)} categories; the others have no value."
        if known != list(parts)
        else ""
    )
    if not known:
        return told(Estimate(None, level=level, note="No category has a value."))
    value = float(np.mean([part["value"] for part in known]))
    if any(part["low"] is None or part["high"] is None for part in known):
        return told(Estimate(value, level=level, n=len(known), note=few))
    below, above = (
        math.sqrt(sum((part["value"] - part[end]) ** 2 for part in known)) / len(known)
        for end in ("low", "high")
    )
    return told(Estimate(value, value - below, value + above, level, "variance recovery", len(known), few))
