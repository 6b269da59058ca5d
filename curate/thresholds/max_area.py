"""The lowest threshold at which no normal map has a component larger than tolerated; needs no defect."""

from curate.cut_points import just_above, need_normals, not_negative
from curate.threshold_evidence import Cut, Evidence

LEVELS = ("region",)
NEEDS = ("normal",)
WHEN = "Small specks on normal maps may be overlooked, up to an area that is stated; no defect is needed."


def choose(evidence: Evidence, *, max_area_px: int = 0) -> Cut:
    """The next number above the highest normal level.

    Args:
        evidence: a normal image has the level `curate.max_area.highest_level(map, max_area_px)`: the highest
            at which a component of more than max_area_px pixels exists.
        max_area_px: the area with which the levels were made.

    Raises:
        ValueError: a negative area, or no normal item.

    Source: Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4

    >>> import numpy as np
    >>> evidence = Evidence.of(np.array([0.1, 0.5]), np.array([False, False]), level="region")
    >>> 0.5 < choose(evidence, max_area_px=9).threshold < 0.5000001
    True
    """
    not_negative(max_area_px=max_area_px)
    highest = float(need_normals(evidence, "max_area").scores.max())
    claim = f"No normal map in calibration has a component of more than {max_area_px} pixels at it."
    note = "With an area of 0 this is the maximum of all normal pixels; state max_area_px."
    facts = {"highest_level": highest, "max_area_px": max_area_px}
    return Cut(
        just_above(evidence, highest), claim=claim, warnings=() if max_area_px else (note,), facts=facts
    )
