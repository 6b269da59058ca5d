"""Finds anomalous images for which the source has neither masks, nor outlines, nor boxes."""

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.ground_truth import has_mask
from curate.tables import to_rows

CODE = "no_mask"
SEVERITY = "warning"
TOLD_BEFORE = "missing_mask"  # by the reader, where the layout says that there must be one


def run(evidence: Evidence) -> list[Fault]:
    """One fault per anomalous image without any pixel-level truth."""
    told = {row["relative_path"] for row in evidence.faults if row["code"] == TOLD_BEFORE}
    return in_order(
        Fault(
            CODE,
            "warning",
            row["relative_path"],
            f"{row['relative_path']} is anomalous, but the source has no mask and no box for it. "
            "It can be scored and counts for image-level figures, but an export leaves it out.",
            "Add masks where the layout has them (docs/formats.md).",
        )
        for row in to_rows(evidence.samples)
        if row["label"] == "anomalous"
        and not has_mask(row)
        and not row["boxes"]
        and row["relative_path"] not in told
    )
