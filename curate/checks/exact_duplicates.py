"""Finds pictures that are there more than once, pixel for pixel, whatever the file's name or format."""

from typing import Any

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.fixes import Fix
from curate.ground_truth import has_mask
from curate.tables import to_rows

CODE = "exact_duplicates"
SEVERITY = "warning"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per picture with copies; an error where the copies have different labels."""
    faults = []
    for copies in _groups(evidence):
        first, *others = sorted(row["relative_path"] for row in copies)
        labels = sorted({row["label"] for row in copies})
        conflict = len(labels) > 1
        message = f"{first} and {others[0]}" + (f" and {len(others) - 1} more" if len(others) > 1 else "")
        message += " show the same picture, pixel for pixel"
        message += f", but are labelled {' and '.join(labels)}." if conflict else "."
        faults.append(
            Fault(
                CODE,
                "error" if conflict else "warning",
                first,
                message,
                "Give them one label, then keep one." if conflict else "Keep one of them (--fix does that).",
                tuple(others),
            )
        )
    return in_order(faults)


def fix(evidence: Evidence, faults: list[Fault]) -> list[Fix]:
    """Take all copies but one out of the dataset, where they agree in category, label and defect types.

    The one that stays is the first with a mask or boxes, else the first by source and path.
    """
    concerned = {fault.relative_path for fault in faults if fault.severity != "error"}
    fixes = []
    for copies in _groups(evidence):
        agree = len({(row["category"], row["label"], *sorted(row["defect_types"])) for row in copies}) == 1
        if not agree or concerned.isdisjoint(row["relative_path"] for row in copies):
            continue
        kept, *others = sorted(
            copies, key=lambda row: (not _has_truth(row), row["source"], row["relative_path"])
        )
        fixes += [
            Fix(
                row["sample_id"],
                row["sha256"],
                "exclude",
                f"{row['relative_path']} leaves the dataset: it shows the same picture as "
                f"{kept['relative_path']}.",
            )
            for row in others
        ]
    return fixes


def _groups(evidence: Evidence) -> list[list[dict[str, Any]]]:
    samples = evidence.samples
    copies = samples[samples.duplicated("pixel_sha256", keep=False)]
    return [to_rows(group) for _, group in copies.groupby("pixel_sha256", sort=True)]


def _has_truth(row: dict[str, Any]) -> bool:
    return has_mask(row) or bool(row["boxes"])
