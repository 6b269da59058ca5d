"""Finds images that are normal only because a person said so, and score far above the other normal ones.

One anomalous image among the normal calibration images can lift a threshold a great deal: it is told, with
numbers, and left to a person. The rule is that of curate.contamination, for images that a verdict speaks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.contamination import MAD_TO_SIGMA, MEAN_TO_SIGMA, Z_LIMIT

N_LEAST = 5  # scores from which on a median and a spread say something


@dataclass(frozen=True)
class Doubts:
    """Which images are doubtful, and by what.

    Attributes:
        places: of the doubtful ones among those judged by a verdict, highest score first.
        z: distance from the median in robust standard deviations, of each of `places`.
        rule: what was asked of them, in words, with numbers.
    """

    places: tuple[int, ...] = ()
    z: tuple[float, ...] = ()
    rule: str = ""


def find(by_verdict: Sequence[float], by_source: Sequence[float]) -> Doubts:
    """Images that score above all that the source calls normal, and far above the middle of them.

    Where the source calls fewer than 5 images normal, the middle is that of all normal ones. Where most
    scores are equal the mean absolute deviation stands in for the median one; if all are, none is doubtful.

    Args:
        by_verdict: scores of images that are normal by a verdict, and not by the source; any may be NaN.
        by_source: scores of images that the source calls normal, too.

    >>> find([9.0, 1.1], [1.0, 1.2, 0.9, 1.1, 0.8, 1.0]).places
    (0,)
    """
    judged = np.asarray(by_verdict, dtype=np.float64)
    own = np.asarray(by_source, dtype=np.float64)
    own = own[np.isfinite(own)]
    whose = f"the {len(own)} that the source calls normal"
    if len(own) < N_LEAST:
        own = np.concatenate([own, judged[np.isfinite(judged)]])
        whose = f"all {len(own)} of them"
    if len(own) < N_LEAST:
        return Doubts()
    median = float(np.median(own))
    deviations = np.abs(own - median)
    scale = MAD_TO_SIGMA * float(np.median(deviations)) or MEAN_TO_SIGMA * float(deviations.mean())
    if not scale > 0:
        return Doubts()
    z = (judged - median) / scale
    known = np.asarray(by_source, dtype=np.float64)
    highest = max(known[np.isfinite(known)], default=-np.inf)
    above = [int(i) for i in np.argsort(-z, kind="stable") if z[i] > Z_LIMIT and judged[i] > highest]
    rule = (
        f"more than {Z_LIMIT:g} robust standard deviations ({scale:.4g} each, from the MAD) above the median "
        f"{median:.4g} of {whose}"
    )
    if np.isfinite(highest):
        rule += f", and above the highest that the source calls normal, {highest:.4g}"
    return Doubts(tuple(above), tuple(float(z[i]) for i in above), rule)
