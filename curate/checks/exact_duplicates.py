"""Finds pictures that are there more than once, pixel for pixel, whatever the file's name or format."""

from curate.checks import Evidence
from curate.faults import Fault, in_order

CODE = "exact_duplicates"
SEVERITY = "warning"


def run(evidence: Evidence) -> list[Fault]:
    """One fault per picture with copies; an error where the copies have different labels."""
    samples = evidence.samples
    copies = samples[samples.duplicated("pixel_sha256", keep=False)]
    faults = []
    for _, group in copies.groupby("pixel_sha256", sort=True):
        first, *others = sorted(group["relative_path"])
        labels = sorted(set(group["label"]))
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
                "Give them one label, then keep one." if conflict else "Keep one of them.",
                tuple(others),
            )
        )
    return in_order(faults)
