"""What a threshold does on images it was not chosen on: recall, false alarms, precision and F1."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from curate.images import Array
from curate.intervals import LEVEL, N_REPLICATES, Estimate, grouped_proportion
from curate.operating_points import check_rate
from curate.scores import checked


def at_threshold(
    scores: Array,
    anomalous: Array,
    groups: Sequence[object],
    threshold: float,
    defect_rate: float | None = None,
    *,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """What a threshold chosen elsewhere does on these images; a score >= threshold is an alarm.

    Recall and false alarm rate have exact intervals where each image is a group of its own; see
    grouped_proportion otherwise. The other figures rise with the one and fall with the other. So their ends
    follow from intervals of both at 1 - (1 - level) / 2, which together hold at the level or more
    (Bonferroni).

    Args:
        scores: (N,) no NaN; infinite is allowed.
        anomalous: (N,) bool.
        groups: (N,) whom an image belongs to.
        threshold: in units of the scores; +inf is no alarm, but for infinite scores.
        defect_rate: of the line, in [0, 1]; None leaves out the precision there.

    Returns:
        recall, false_alarm_rate, precision, precision_at_defect_rate, f1; the value is None where a label, an
        alarm or the defect rate is missing, as the note says.

    Raises:
        ValueError: lengths differ, a score or the threshold is NaN, or the defect rate is not in [0, 1].
    """
    values, labels = checked(scores, anomalous, finite=False)
    if np.isnan(threshold) or len(groups) != len(values):
        raise ValueError(
            f"Expected a threshold and a group per score; found {threshold}, and {len(groups)} groups for "
            f"{len(values)} scores."
        )
    check_rate("defect_rate", defect_rate or 0)
    alarms = values >= threshold

    def rate(label: Array, at_level: float) -> Estimate:
        inside = [group for group, chosen in zip(groups, label.tolist(), strict=True) if chosen]
        return grouped_proportion(alarms[label], inside, at_level, n_replicates, seed)

    both = tuple(rate(label, 1 - (1 - level) / 2) for label in (labels, ~labels))
    n_anomalous, n_normal = int(labels.sum()), int((~labels).sum())
    share = n_anomalous / max(1, len(labels))  # of these images
    unstated = Estimate(None, level=level, note="The line's defect rate was not stated.")
    return {
        "recall": rate(labels, level),
        "false_alarm_rate": rate(~labels, level),
        "precision": _combined(partial(_precision, share), both, level, "There is no alarm."),
        "precision_at_defect_rate": unstated
        if defect_rate is None
        else _combined(partial(_precision, defect_rate), both, level, "There is no alarm."),
        "f1": _combined(partial(_f1, n_anomalous, n_normal), both, level, "There is no anomalous image."),
    }


def _precision(defect_rate: float, recall: float, false_alarm_rate: float) -> float | None:
    right, wrong = defect_rate * recall, (1 - defect_rate) * false_alarm_rate
    return right / (right + wrong) if right + wrong > 0 else None


def _f1(n_anomalous: int, n_normal: int, recall: float, false_alarm_rate: float) -> float | None:
    hits, alarms = n_anomalous * recall, n_normal * false_alarm_rate
    return 2 * hits / (2 * hits + alarms + n_anomalous * (1 - recall)) if n_anomalous else None


def _combined(
    figure: Callable[[float, float], float | None],
    both: tuple[Estimate, ...],
    level: float,
    undefined: str,
) -> Estimate:
    """A figure that rises with recall and falls with the false alarm rate."""
    recall, false_alarm_rate = both
    if recall.value is None or false_alarm_rate.value is None:
        absent = "anomalous" if recall.value is None else "normal"
        return Estimate(None, level=level, note=f"There is no {absent} image.")
    value = figure(recall.value, false_alarm_rate.value)
    n = min(recall.n or 0, false_alarm_rate.n or 0)
    if value is None:
        return Estimate(None, level=level, n=n, note=undefined)
    if (
        recall.low is None
        or recall.high is None
        or false_alarm_rate.low is None
        or false_alarm_rate.high is None
    ):
        notes = dict.fromkeys(
            filter(None, (recall.note, false_alarm_rate.note))
        )  # a set would vary its order
        return Estimate(value, level=level, n=n, note=" ".join(notes))
    low, high = figure(recall.low, false_alarm_rate.high), figure(recall.high, false_alarm_rate.low)
    methods = {recall.method, false_alarm_rate.method}
    return Estimate(
        value, low, high, level, " and ".join(sorted(methods)), n, "From the intervals of both rates."
    )
