"""Finds masks that have not the size of their image."""

from pathlib import Path

from curate.checks import Evidence
from curate.errors import Unreadable
from curate.faults import Fault, in_order
from curate.images import read_hw
from curate.masks import size_fault
from curate.tables import to_rows

CODE = "mask_size"
SEVERITY = "error"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per image whose mask file has another height or width; others are left out."""
    faults = []
    for row in to_rows(evidence.samples[evidence.samples["gt_mask_path"].notna()]):
        mask_path, image_hw = Path(row["gt_mask_path"]), (row["height"], row["width"])
        try:
            mask_hw = read_hw(mask_path)
        except Unreadable:
            continue
        if mask_hw != image_hw:
            faults.append(size_fault(row["relative_path"], image_hw, mask_path, mask_hw))
    return in_order(faults)
