"""Finds regions of a few pixels in masks: slips of the pen, or crumbs that a tool left at an edge.

They are defects to every metric that counts regions: PRO gives a speck of one pixel the weight of a scratch.
"""

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.fixes import Fix
from curate.masks import SPECK_PX

CODE = "specks"
SEVERITY = "warning"
NEEDS = ("mask_facts",)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per image with regions of at most 4 px."""
    return in_order(
        Fault(
            CODE,
            "warning",
            row["relative_path"],
            f"{row['relative_path']}: {_told(row['n_specks'], row['n_regions'], row['smallest_px'])}.",
            "Remove them, or use --fix: the mask in the workspace loses them, if other regions remain.",
        )
        for row in evidence.masks_of_samples()
        if row["n_specks"] and row["label"] != "normal"
    )


def fix(evidence: Evidence, faults: list[Fault]) -> list[Fix]:
    """Take the specks out of the masks concerned, where a larger region remains."""
    concerned = {fault.relative_path for fault in faults}
    return [
        Fix(
            row["sample_id"],
            row["sha256"],
            "drop_specks",
            f"{row['relative_path']}: its mask loses what has at most {SPECK_PX} px, {row['n_specks']} of "
            f"{row['n_regions']} regions.",
        )
        for row in evidence.masks_of_samples()
        if row["relative_path"] in concerned
        and 0 < row["n_specks"] < row["n_regions"]
        and row["sample_id"] not in evidence.drawn  # what a person drew is theirs
    ]


def _told(n_specks: int, n_regions: int, smallest_px: int) -> str:
    if n_regions == 1:
        return f"the only region in its mask has {smallest_px} px"
    have = "has" if n_specks == 1 else "have"
    return (
        f"{n_specks} of the {n_regions} regions in its mask {have} at most {SPECK_PX} px, "
        f"the smallest {smallest_px}"
    )
