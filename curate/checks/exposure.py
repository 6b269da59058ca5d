"""Finds pictures, lots and cameras that are darker or brighter than their category, or cut off at an end."""

import numpy as np

from curate.checks import Evidence
from curate.faults import Fault
from curate.unusual import Measure, reported
from curate.usual import FEWEST, measured

__all__ = ["FEWEST", "run"]

CODE = "exposure"
SEVERITY = "warning"
NEEDS = ("statistics",)
REMEDY = "Look at lamp, exposure time and aperture; take the pictures again, or leave them out."
BLACK = 0.01  # steps of single grey levels near black are no change of exposure
MEASURES = (
    Measure(
        "median brightness",
        lambda table: np.log2(table["brightness_p50"].to_numpy(dtype=float) + BLACK),
        lambda stops: f"{max(2**stops - BLACK, 0):.2f}",
        least=0.06,  # of a doubling of the light
        below="darker than usual",
        above="brighter than usual",
    ),
    Measure(
        "share of pixels at the upper end of the range",
        lambda table: np.sqrt(table["over_fraction"].to_numpy(dtype=float)),
        lambda root: f"{max(root, 0) ** 2:.3f}",
        least=0.02,
        above="overexposed",
    ),
    Measure(
        "share of pixels at the lower end of the range",
        lambda table: np.sqrt(table["under_fraction"].to_numpy(dtype=float)),
        lambda root: f"{max(root, 0) ** 2:.3f}",
        least=0.02,
        above="underexposed",
    ),
)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per picture that is off, and one per lot or camera that is off as a whole.

    What is usual comes from the category itself, so that a product that is dark, or whose gold always
    outshines the range, is no fault. Fewer than 10 pictures are not judged.
    """
    return reported(measured(evidence), MEASURES, CODE, REMEDY)
