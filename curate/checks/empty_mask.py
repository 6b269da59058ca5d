"""Finds anomalous images whose ground-truth mask marks nothing."""

from curate.checks import Evidence
from curate.faults import Fault, in_order

CODE = "empty_mask"
SEVERITY = "warning"
NEEDS = ("mask_facts",)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per anomalous image with a mask of 0 defect pixels."""
    return in_order(
        Fault(
            CODE,
            "warning",
            row["relative_path"],
            f"{row['relative_path']} is anomalous, but its mask has no defect pixel"
            f"{_by_rule(row['mask_rule'])}. "
            "It can be scored, but not used for pixel metrics or in an export.",
            'Draw the defect, or label the image "normal" or "unknown".',
        )
        for row in evidence.masks_of_samples()
        if row["label"] == "anomalous" and row["n_px"] == 0
    )


def _by_rule(rule: str | None) -> str:
    return f" (rule {rule})" if rule else ""
