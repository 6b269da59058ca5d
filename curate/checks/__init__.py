"""Data-quality checks, one per file, in the order in which they run.

A check has `CODE`, `SEVERITY` and `run(evidence) -> list[Fault]`. It looks at the evidence only and changes
nothing. Its faults carry its own code, except where it passes on what an earlier step found. `NEEDS` names
the parts of the evidence it cannot do without ("mask_facts", "split", and the costly ones, "statistics" and
"embeddings"); without it, it needs none. Where a fault can be mended without touching the source, the check
has `fix(evidence, faults) -> list[Fix]` as well (curate.fixes). `FEWEST` is the number of pictures of a
category below which it cannot know what is usual, and says nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.registry import Entry

if TYPE_CHECKING:
    import pandas as pd

CHECKS = {
    "unreadable": Entry("curate.checks.unreadable", "Files that cannot be read, or are gone since ingest"),
    "layout": Entry("curate.checks.layout", "Missing masks, unknown folders, wrong boxes, hidden files"),
    "orphans": Entry("curate.checks.orphans", "Masks, boxes or rows without image, and images without row"),
    "decoder_warnings": Entry("curate.checks.decoder_warnings", "Images that decode with a complaint"),
    "wrong_extension": Entry("curate.checks.wrong_extension", "Files whose suffix and content disagree"),
    "mixed_images": Entry("curate.checks.mixed_images", "Another size, depth or channels than the category"),
    "label_folder": Entry("curate.checks.label_folder", "A label that the folder's name contradicts"),
    "mask_size": Entry("curate.checks.mask_size", "Masks of another size than their image"),
    "no_mask": Entry("curate.checks.no_mask", "Anomalous images without mask and boxes"),
    "empty_mask": Entry("curate.checks.empty_mask", "Anomalous images whose mask has no defect pixel"),
    "mask_values": Entry("curate.checks.mask_values", "Mask values that the format's rule does not know"),
    "mask_on_normal": Entry("curate.checks.mask_on_normal", "Normal images whose mask marks a defect"),
    "tiny_mask": Entry("curate.checks.tiny_mask", "Masks of so few pixels that they look like a slip"),
    "specks": Entry("curate.checks.specks", "Regions of at most 4 px in a mask"),
    "border_regions": Entry("curate.checks.border_regions", "Regions that the image's border cuts"),
    "exact_duplicates": Entry("curate.checks.exact_duplicates", "The same picture more than once"),
    "split_duplicates": Entry("curate.checks.split_duplicates", "Pictures or parts that two splits share"),
    "near_duplicates": Entry(
        "curate.checks.near_duplicates", "Shifted, re-exposed or cut copies of a picture"
    ),
    "exposure": Entry("curate.checks.exposure", "Darker, brighter or cut off, against the category"),
    "blur": Entry("curate.checks.blur", "Less sharp than the category: out of focus, or moved"),
    "dead_lines": Entry("curate.checks.dead_lines", "Rows and columns that a camera's sensor gets wrong"),
    "outliers": Entry("curate.checks.outliers", "Pictures of something else than their category"),
    "drift": Entry("curate.checks.drift", "Lots, sites, cameras and periods that differ as a whole"),
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
        verdicts: sample_id -> the label that a person gave the sample.
        drawn: ids of samples whose mask a person accepted or drew; samples and mask_facts tell of that mask.
    """

    samples: "pd.DataFrame"
    masks: Path
    faults: Sequence[Mapping[str, Any]] = ()
    split: "pd.DataFrame | None" = None
    mask_facts: "pd.DataFrame | None" = None
    statistics: "pd.DataFrame | None" = None
    embeddings: "pd.DataFrame | None" = None
    verdicts: Mapping[str, str] = field(default_factory=dict)
    drawn: frozenset[str] = frozenset()

    def masks_of_samples(self) -> list[dict[str, Any]]:
        """Rows of the sample table with the mask facts beside them, for samples that have both."""
        from curate.tables import to_rows

        if self.mask_facts is None:
            return []
        return to_rows(self.samples.merge(self.mask_facts, on="sample_id"))
