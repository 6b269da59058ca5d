"""Data-quality checks, one per file, in the order in which they run.

A check has `CODE`, `SEVERITY` and `run(evidence) -> list[Fault]`. It looks at the evidence only and changes
nothing. Its faults carry its own code, except where it passes on what an earlier step found. `NEEDS` names
the costly parts of the evidence it looks at ("statistics", "embeddings"); without it, it needs none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.registry import Entry

if TYPE_CHECKING:
    import pandas as pd

CHECKS = {
    "unreadable": Entry("curate.checks.unreadable", "Files that cannot be read, or are gone since ingest"),
    "layout": Entry("curate.checks.layout", "Missing or orphan masks, unknown folders, wrong boxes"),
    "mask_size": Entry("curate.checks.mask_size", "Masks of another size than their image"),
    "no_mask": Entry("curate.checks.no_mask", "Anomalous images without mask and boxes"),
    "empty_mask": Entry("curate.checks.empty_mask", "Anomalous images whose mask has no defect pixel"),
    "tiny_mask": Entry("curate.checks.tiny_mask", "Masks of so few pixels that they look like a slip"),
    "exact_duplicates": Entry("curate.checks.exact_duplicates", "The same picture more than once"),
    "split_duplicates": Entry("curate.checks.split_duplicates", "Pictures or parts that two splits share"),
}


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Attributes:
        samples: the sample table (contract sample.json).
        masks: folder of the masks that curate.ingest made.
        faults: rows of the faults met while ingesting (curate.faults.to_rows).
        split: sample_id and assigned_split, or None before the dataset is split.
        mask_facts: one row per sample whose source has masks or shapes, from ingest: sample_id, n_px (defect
            pixels), n_regions (8-connected), n_specks (regions of at most 4 px), n_border (regions that touch
            the image's border), smallest_px, values (distinct values above 0 of its mask files, sorted).
        statistics: one row per sample, see curate.statistics; None unless a check NEEDS it.
        embeddings: one row per sample, see curate.embeddings; None unless a check NEEDS it.
    """

    samples: "pd.DataFrame"
    masks: Path
    faults: Sequence[Mapping[str, Any]] = ()
    split: "pd.DataFrame | None" = None
    mask_facts: "pd.DataFrame | None" = None
    statistics: "pd.DataFrame | None" = None
    embeddings: "pd.DataFrame | None" = None
