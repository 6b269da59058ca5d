"""How much a rule's threshold would differ had other parts been in the calibration."""

from collections.abc import Callable

import numpy as np

from curate.images import Array
from curate.intervals import LEVEL, Estimate, group_weights
from curate.threshold_evidence import Cut, Evidence

FEWEST_GROUPS = 2


def interval(
    choose: Callable[[Evidence], Cut],
    evidence: Evidence,
    n_replicates: int = 200,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """A rule's threshold with its percentile interval over a bootstrap of whole groups.

    Groups with and without anomalous items are drawn for themselves. A group that is drawn twice becomes two
    groups. Items counted in bins keep their rows and change their weights.

    Args:
        choose: the rule with its parameters.

    Returns:
        value: None where the rule has no finite threshold. An end is None where it is not finite.

    Raises:
        ValueError: the rule cannot choose on the evidence at all.
    """
    cut = choose(evidence)
    kinds = evidence.anomalous.tolist()
    n_groups = len(set(evidence.groups.tolist()))
    value = cut.threshold if np.isfinite(cut.threshold) else None
    if value is None:
        return Estimate(None, None, None, level, "", n_groups, "The rule has no finite threshold here.")
    if evidence.level == "pixel" and n_groups == len(evidence.scores):
        note = "Which image a pixel belongs to is not known."
        return Estimate(value, None, None, level, "", None, note)
    if n_groups < FEWEST_GROUPS:
        return Estimate(value, None, None, level, "", n_groups, "One group tells nothing of others.")
    drawn = group_weights(evidence.groups.tolist(), kinds, n_replicates, np.random.default_rng(seed))
    found = []
    for times in drawn:
        try:
            found.append(choose(redrawn(evidence, times)).threshold)
        except ValueError:  # a label that few groups have may be missing in a replicate
            continue
    if 2 * len(found) < n_replicates:
        note = "In most replicates the rule cannot choose."
        return Estimate(value, None, None, level, "", n_groups, note)
    tail = (1 - level) / 2
    low, high = np.quantile(np.array(found), [tail, 1 - tail], method="closest_observation")
    return Estimate(
        value, _finite(low), _finite(high), level, "group bootstrap", n_groups, _note(cut, evidence)
    )


def redrawn(evidence: Evidence, times: Array) -> Evidence:
    """Evidence in which each item occurs as often as it was drawn.

    Args:
        times: (N,) int; the same for all items of a group.
    """
    if evidence.level == "pixel":
        return Evidence(
            evidence.scores, evidence.anomalous, evidence.groups, evidence.weights * times, evidence.level
        )
    rows = np.repeat(np.arange(len(times)), times)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    again = evidence.where(rows)
    names = np.empty(len(rows), dtype=object)
    names[:] = list(zip(again.groups.tolist(), copy.tolist(), strict=True))
    return Evidence(again.scores, again.anomalous, names, again.weights, again.level)


def _finite(end: float) -> float | None:
    return float(end) if np.isfinite(end) else None


def _note(cut: Cut, evidence: Evidence) -> str:
    """A bootstrap never draws beyond the highest item it has."""
    normal = evidence.scores[~evidence.anomalous]
    if len(normal) and cut.threshold > normal.max():
        return "The threshold lies above every normal score seen; how much higher others lie is not known."
    return ""
