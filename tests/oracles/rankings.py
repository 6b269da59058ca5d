"""Slow, obvious figures of a ranking: every threshold for itself, with exact fractions."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

Item = tuple[float, bool]


def points(items: Sequence[Item]) -> Iterator[tuple[float, Fraction, Fraction]]:
    """Threshold, false-positive rate and true-positive rate, from few alarms to all."""
    n_anomalous = sum(label for _, label in items)
    for threshold in sorted({score for score, _ in items}, reverse=True):
        wrong = sum(not label for score, label in items if score >= threshold)
        right = sum(label for score, label in items if score >= threshold)
        yield threshold, Fraction(wrong, len(items) - n_anomalous), Fraction(right, n_anomalous)


def average_precision(items: Sequence[Item]) -> float:
    """Mean, over the anomalous items, of the precision among the items that score no lower."""
    total = Fraction(0)
    anomalous = [score for score, label in items if label]
    for score in anomalous:
        above = [label for other, label in items if other >= score]
        total += Fraction(sum(above), len(above))
    return float(total / len(anomalous))


def f1_max(items: Sequence[Item]) -> tuple[float, float]:
    """The highest F1, and the highest threshold that gives it."""
    best = (Fraction(-1), 0.0)
    for threshold in {score for score, _ in items}:
        hits = sum(label for score, label in items if score >= threshold)
        wrong = sum(not label for score, label in items if score >= threshold)
        missed = sum(label for score, label in items if score < threshold)
        best = max(best, (Fraction(2 * hits, 2 * hits + wrong + missed), threshold))
    return float(best[0]), best[1]


def tpr_at_fpr(items: Sequence[Item], limit: str) -> float:
    """The highest true-positive rate with a false-positive rate within a limit, written as a decimal."""
    return float(max([Fraction(0)] + [tpr for _, fpr, tpr in points(items) if fpr <= Fraction(limit)]))


def tnr_at_miss_rate(items: Sequence[Item], limit: str) -> float:
    """The highest true-negative rate with a miss rate within a limit, written as a decimal."""
    if Fraction(limit) >= 1:
        return 1.0  # without any alarm
    return float(max(1 - fpr for _, fpr, tpr in points(items) if 1 - tpr <= Fraction(limit)))


def precision(items: Sequence[Item], defect_rate: str, fpr_limit: str) -> float | None:
    """Precision on a line of a million parts, where most is found within the limit; None without an alarm."""
    allowed = [(tpr, -fpr) for _, fpr, tpr in points(items) if fpr <= Fraction(fpr_limit)]
    if not allowed:
        return None
    tpr, fpr = max(allowed)
    n_defects = 1_000_000 * Fraction(defect_rate)
    right, wrong = n_defects * tpr, (1_000_000 - n_defects) * -fpr
    return float(right / (right + wrong)) if right + wrong else None
