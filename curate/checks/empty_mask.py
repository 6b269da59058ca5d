"""Finds anomalous images whose ground-truth mask marks nothing."""

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.masks import areas

CODE = "empty_mask"
SEVERITY = "warning"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per anomalous image with a mask of 0 defect pixels."""
    return in_order(
        Fault(
            CODE,
            "warning",
            relative_path,
            f"{relative_path} is anomalous, but its mask has no defect pixel (rule {rule}). "
            "It can be scored, but not used for pixel metrics or in an export.",
            'Draw the defect, or label the image "normal" or "unknown".',
        )
        for relative_path, rule, area in areas(evidence.samples, evidence.masks)
        if area == 0
    )
