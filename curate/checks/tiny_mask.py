"""Finds ground-truth masks of so few pixels that they are more likely a slip than a defect."""

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.masks import areas

CODE = "tiny_mask"
SEVERITY = "warning"
# The smallest mask of a real annotation in the public sets at hand is some 50 px, the slips are 1 and 3 px.
FEW_PX = 10


def run(evidence: Evidence) -> list[Fault]:
    """One fault per anomalous image with 1 to 9 defect pixels."""
    return in_order(
        Fault(
            CODE,
            "warning",
            relative_path,
            f"{relative_path} has a mask of {area} px in all (rule {rule}), fewer than {FEW_PX}.",
            "Look whether the whole defect is drawn.",
        )
        for relative_path, rule, area in areas(evidence.samples, evidence.masks)
        if 0 < area < FEW_PX
    )
