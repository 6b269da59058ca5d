"""Notes defects that reach the image's border.

Many are right: a scratch runs on outside of the picture. But each is seen in part only, so its area is no
measure of its size, and maps of detectors are weakest there. Many of them at one border tell of a part that
lies askew, or of masks that were drawn on another crop.
"""

from curate.checks import Evidence
from curate.faults import Fault, in_order

CODE = "border_regions"
SEVERITY = "note"
NEEDS = ("mask_facts",)


def run(evidence: Evidence) -> list[Fault]:
    """One note per image with regions that touch its border."""
    return in_order(
        Fault(
            CODE,
            "note",
            row["relative_path"],
            f"{row['relative_path']}: {_of(row['n_border'], row['n_regions'])} the image's border, so the "
            "defect may be seen in part only.",
            "Nothing, if the defect runs on outside; else look whether image and mask are the same crop.",
        )
        for row in evidence.masks_of_samples()
        if row["n_border"] and row["label"] != "normal"
    )


def _of(n_border: int, n_regions: int) -> str:
    if n_regions == 1:
        return "the only region in its mask touches"
    return f"{n_border} of the {n_regions} regions in its mask {'touches' if n_border == 1 else 'touch'}"
