"""Slow, obvious threshold rules."""

from collections.abc import Sequence
from fractions import Fraction


def f1(scores: Sequence[float], labels: Sequence[bool], threshold: float) -> Fraction:
    """F1 of one threshold, exact."""
    alarms = [score >= threshold for score in scores]
    hits = sum(alarm and label for alarm, label in zip(alarms, labels, strict=True))
    return Fraction(2 * hits, sum(alarms) + sum(labels))


def best_f1(scores: Sequence[float], labels: Sequence[bool]) -> tuple[Fraction, int]:
    """The highest F1 of any threshold, and the fewest alarms that give it."""
    tried = [(f1(scores, labels, t), -sum(score >= t for score in scores)) for t in scores]
    best, alarms = max(tried)
    return best, -alarms
