"""Finds masks that have not the size of their image."""

from curate.checks import Evidence
from curate.errors import Unreadable
from curate.faults import Fault, in_order
from curate.ground_truth import mask_files
from curate.images import read_hw
from curate.masks import size_fault
from curate.tables import to_rows

CODE = "mask_size"
SEVERITY = "error"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per mask file that has another height or width than its image; others are left out."""
    faults = []
    for row in to_rows(evidence.samples):
        image_hw = (row["height"], row["width"])
        for mask_path in mask_files(row):
            try:
                mask_hw = read_hw(mask_path)
            except Unreadable:
                continue
            if mask_hw != image_hw:
                faults.append(size_fault(row["relative_path"], image_hw, mask_path, mask_hw))
    return in_order(faults)
