"""Thresholds with a guarantee for any distribution, if new parts are like those of calibration."""

import math
from fractions import Fraction

import numpy as np

from curate.cut_points import NORMALS, PLURALS, between_0_and_1
from curate.rate_cuts import group_shares, highest_cut, lowest_cut, one_per_group
from curate.threshold_evidence import Evidence

PER = ("item", "group")


def groups_needed(rate: Fraction) -> int:
    """The fewest groups with which a rate can be promised at all.

    >>> groups_needed(Fraction("0.001"))
    999
    """
    return math.ceil(1 / rate) - 1


def conformal_cut(items: Evidence, rate: float, name: str, per: str = "item") -> tuple[float, str]:
    """Threshold whose error rate on a new item stays within `rate`, and why there is none.

    For normal items, an error is an alarm; for anomalous ones, a miss. With the items of each group sharing a
    mass of 1, the errors on calibration plus 1, for the group to come, may weigh `rate` x (groups + 1).

    Args:
        items: all normal, or all anomalous; each counts once.
        name: of the rate, for messages ("alpha").
        per: "item": an item of a new group, drawn at random; "group": any item of a new group.

    Returns:
        threshold: infinite without enough groups: above all scores for alarms, below all for misses.
        reason: why it is infinite; "" otherwise.

    Raises:
        ValueError: rate outside (0, 1), or unknown `per`.
    """
    exact = between_0_and_1(name, rate)
    if per not in PER:
        raise ValueError(f'Expected per to be {" or ".join(PER)}; found "{per}".')
    alarms = not bool(items.anomalous[0])
    units = one_per_group(items, highest=alarms) if per == "group" else items
    mass, n_groups = group_shares(units)
    needed = groups_needed(exact)
    if n_groups < needed:
        unit = (NORMALS if alarms else PLURALS)[items.level]
        kind = f"{'normal' if alarms else 'anomalous'} {unit}"
        grouped, n = n_groups < len(items.scores), len(items.scores)
        reason = (
            f"{name} = {rate:g} needs at least {needed:,} {'groups of ' if grouped else ''}{kind} "
            f"in calibration; there are {n_groups:,}{f' ({n:,} {unit})' if grouped else ''}."
        )
        return (float("inf") if alarms else float("-inf")), reason
    budget = exact * (n_groups + 1) - 1
    cut = lowest_cut if alarms else highest_cut
    return cut(units, np.asarray(mass), float(budget)), ""
