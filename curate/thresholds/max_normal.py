"""The smallest threshold that raises no alarm on the given normal images; needs no defect."""

from curate.cut_points import just_above, need_normals
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("image", "region", "pixel")
NEEDS = ("normal",)
WHEN = "Few normal images and no defect: no alarm on any of them, and nothing more is claimed."


def choose(evidence: Evidence) -> Cut:
    """The next number above the highest normal score, in the type of the scores.

    One odd normal image decides it, and more normal images can only raise it.

    Raises:
        ValueError: no item is normal.

    >>> import numpy as np
    >>> evidence = Evidence.of(np.array([0.1, 0.5, 0.9]), np.array([False, False, True]))
    >>> 0.5 < choose(evidence).threshold < 0.5000001
    True
    """
    highest = float(need_normals(evidence, "max_normal").scores.max())
    return Cut(just_above(evidence, highest), facts={"highest_normal": highest})
