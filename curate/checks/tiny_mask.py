"""Finds ground-truth masks of so few pixels that they are more likely a slip than a defect."""

from curate.checks import Evidence
from curate.faults import Fault, in_order

CODE = "tiny_mask"
SEVERITY = "warning"
NEEDS = ("mask_facts",)
# The smallest mask of a real annotation in the public sets at hand is some 50 px, the slips are 1 and 3 px.
FEW_PX = 10


def run(evidence: Evidence) -> list[Fault]:
    """One fault per anomalous image with 1 to 9 defect pixels."""
    return in_order(
        Fault(
            CODE,
            "warning",
            row["relative_path"],
            f"{row['relative_path']} has a mask of {row['n_px']} px in all, fewer than {FEW_PX}.",
            "Look whether the whole defect is drawn.",
        )
        for row in evidence.masks_of_samples()
        if row["label"] == "anomalous" and 0 < row["n_px"] < FEW_PX
    )
