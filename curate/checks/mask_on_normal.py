"""Finds normal images whose mask marks a defect: one of the two is wrong."""

from curate.checks import Evidence
from curate.faults import Fault, in_order

CODE = "mask_on_normal"
SEVERITY = "error"
NEEDS = ("mask_facts",)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per image that is delivered as normal, with at least one defect pixel."""
    return in_order(
        Fault(
            CODE,
            "error",
            row["relative_path"],
            f"{row['relative_path']} is labelled normal, but its mask marks {row['n_px']} px as defect. "
            "It is used as normal, in training too.",
            'Label it "anomalous", or remove the mask.',
        )
        for row in evidence.masks_of_samples()
        if row["label"] == "normal" and row["n_px"]
    )
