"""What threshold rules choose from, and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from curate.images import Array
from curate.scores import checked

Fact = float | int | str | bool | None
LEVELS = ("image", "region", "pixel")


@dataclass(frozen=True)
class Evidence:
    """Calibration scores: of images, of regions, or of pixels counted in bins.

    At the level "region", a normal image stands for its highest map value, and an anomalous item is a
    ground-truth region with its highest map value. At the level "pixel" items are bins with many pixels each.

    Attributes:
        scores: (N,) float64, finite, higher is more suspicious.
        anomalous: (N,) bool.
        groups: (N,) object: whom an item belongs to (a part, a lot); those of one group are not independent.
        weights: (N,) how many items an entry stands for; 1 for images and regions.
        level: "image", "region" or "pixel".
    """

    scores: Array
    anomalous: Array
    groups: Array
    weights: Array
    level: str = "image"

    @classmethod
    def of(
        cls,
        scores: Array,
        anomalous: Array,
        groups: Array | None = None,
        weights: Array | None = None,
        level: str = "image",
    ) -> "Evidence":
        """Checked evidence; without groups every item is its own, without weights each counts once.

        Raises:
            ValueError: shapes differ, a score is not finite, or the level is unknown.
        """
        values, labels = checked(scores, anomalous)
        if level not in LEVELS:
            raise ValueError(f'Expected a level of {", ".join(LEVELS)}; found "{level}".')
        n = len(values)
        own = np.arange(n).astype(object) if groups is None else np.asarray(groups, dtype=object)
        counts = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
        if own.shape != (n,) or counts.shape != (n,):
            raise ValueError(f"Expected {n} groups and weights; found {own.shape} and {counts.shape}.")
        return cls(values.astype(np.float64), labels, own, counts, level)

    @property
    def normals(self) -> "Evidence":
        """The normal items alone."""
        return self.where(~self.anomalous)

    @property
    def anomalies(self) -> "Evidence":
        """The anomalous items alone."""
        return self.where(self.anomalous)

    def where(self, chosen: Array) -> "Evidence":
        """Some of the items, by a mask or by numbers."""
        return Evidence(
            self.scores[chosen], self.anomalous[chosen], self.groups[chosen], self.weights[chosen], self.level
        )


@dataclass(frozen=True)
class Cut:
    """What a rule answers: a score >= threshold is anomalous.

    Attributes:
        threshold: infinite where the data support no finite one; `reason` then says what is missing.
        review_from: a person looks at scores from here up to the threshold; None without a review band.
        supported: whether the data can support what the rule claims.
        claim: the guarantee in words with its numbers; "" where the rule gives none.
        reason: why the claim is not supported, with the numbers that would do; "" when it is.
        warnings: what a user has to know before relying on it.
        facts: numbers behind it: parameters of a fit, counts, what the rule expects.
    """

    threshold: float
    review_from: float | None = None
    supported: bool = True
    claim: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
