"""Thresholds and display range from held-out normal images."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

PIXELS_PER_MAP = 16_384
# What is drawn begins at LOW, so that a normal image stays clean and only what is unusual is coloured.
LOW, TOP = 0.95, 0.999
HEADROOM = 1.5


@dataclass(frozen=True)
class Calibration:
    """What normal images score that the detector was not fitted on.

    Attributes:
        scores: image scores, ascending.
        pixel_low: 95th percentile of the values of their maps; None for a detector without maps.
        pixel_top: 99.9th percentile.
        held_out: False when there were too few images to hold any out, so that all values are biased low.
    """

    scores: tuple[float, ...]
    pixel_low: float | None
    pixel_top: float | None
    held_out: bool = True

    def threshold(self, fpr: float) -> float:
        """The lowest score threshold that at most `fpr` of the held-out normal images reach.

        Args:
            fpr: accepted share of false alarms, in [0, 1].

        Returns:
            A cut where `score >= cut` is anomalous. With few images, small rates all give the
            number just above the highest score.

        Raises:
            ValueError: fpr is not in [0, 1].

        >>> Calibration((1.0, 2.0, 3.0, 4.0), None, None).threshold(0.25) <= 4.0
        True
        >>> Calibration((1.0, 2.0, 3.0, 4.0), None, None).threshold(0.0) > 4.0
        True
        """
        if not 0 <= fpr <= 1:
            raise ValueError(f"Expected a false-positive rate in [0, 1], found {fpr}.")
        n_allowed = math.floor(fpr * len(self.scores) + 1e-9)
        if n_allowed == len(self.scores):
            return self.scores[0]
        return math.nextafter(self.scores[len(self.scores) - 1 - n_allowed], math.inf)

    @property
    def display_range(self) -> tuple[float, float]:
        """Map values shown as black and as white: the 95th percentile of normal pixels, and 1.5 times the
        99.9th.

        Raises:
            ValueError: the detector gives no maps.
        """
        if self.pixel_low is None or self.pixel_top is None:
            raise ValueError("The detector gives no anomaly maps, so there is no display range.")
        lo, hi = self.pixel_low, HEADROOM * self.pixel_top
        return lo, hi if hi > lo else lo + max(1e-6, abs(lo) * 1e-6)

    def to_json(self) -> dict[str, Any]:
        """Plain values for calibration.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Calibration":
        """The reverse of to_json."""
        return cls(**{**content, "scores": tuple(content["scores"])})


def calibrate(predictions: Iterable[tuple[float, np.ndarray | None]], held_out: bool = True) -> Calibration:
    """Calibration from the (score, map) of normal images.

    Large maps are sampled on a regular grid of at most 16,384 pixels each.
    """
    scores, values = [], []
    for score, anomaly_map in predictions:
        scores.append(float(score))
        if anomaly_map is not None:
            step = math.ceil(math.sqrt(anomaly_map.size / PIXELS_PER_MAP))
            values.append(np.ascontiguousarray(anomaly_map[::step, ::step]).ravel())
    if not values:
        return Calibration(tuple(sorted(scores)), None, None, held_out)
    low, top = np.quantile(np.concatenate(values), (LOW, TOP))
    return Calibration(tuple(sorted(scores)), float(low), float(top), held_out)
