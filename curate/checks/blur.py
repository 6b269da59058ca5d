"""Finds pictures, lots and cameras that are less sharp than their category: out of focus, or moved."""

import numpy as np

from curate.checks import Evidence
from curate.faults import Fault
from curate.unusual import Measure, reported
from curate.usual import FEWEST, measured

__all__ = ["FEWEST", "run"]

CODE = "blur"
SEVERITY = "warning"
NEEDS = ("statistics",)
REMEDY = (
    "Look at the focus, at dirt on the lens and at what moved; take the pictures again, or leave them out."
)


def _along(axis: str, words: str) -> Measure:
    return Measure(
        f"sharpness {words}",
        lambda table: np.log(np.maximum(table[f"sharpness_{axis}"].to_numpy(dtype=float), 0.1)),
        lambda value: f"{np.exp(value):.2f}",
        least=0.012,
        below="blurred",
    )


MEASURES = (_along("x", "along the rows"), _along("y", "along the columns"))


def run(evidence: Evidence) -> list[Fault]:
    """One fault per picture that is blurred, and one per lot or camera that is blurred as a whole.

    Sharpness is how much steeper edges are on a fine scale than on a coarse one (curate.statistics), at the
    picture's own resolution: 2 for ideal edges, 1 for none. It is compared within the category, so smooth
    products and fine cameras are no fault. Fewer than 10 pictures are not judged.
    """
    return reported(measured(evidence), MEASURES, CODE, REMEDY)
