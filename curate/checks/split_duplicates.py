"""Finds what two splits share: the same picture, or pictures of one part. Metrics on such a test set lie."""

import pandas as pd

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.tables import to_rows

CODE = "split_duplicates"
SEVERITY = "error"
NEEDS = ("split",)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per picture or part in several splits; the delivered splits count until others are made."""
    table = evidence.samples[["sample_id", "relative_path", "pixel_sha256", "part_id", "split"]]
    if evidence.split is not None:
        table = table.drop(columns="split").merge(
            evidence.split.rename(columns={"assigned_split": "split"}), on="sample_id", how="left"
        )
    table = table[table["split"].notna()]
    return in_order(
        [*_shared(table, "pixel_sha256", "the same picture"), *_shared(table, "part_id", "the same part")]
    )


def _shared(table: pd.DataFrame, column: str, what: str) -> list[Fault]:
    n_splits = table.groupby(column)["split"].transform("nunique")
    faults = []
    for name, group in table[n_splits > 1].groupby(column, sort=True):
        group = group.sort_values("relative_path")
        one = group.drop_duplicates("split")
        where = " and ".join(f"{row['relative_path']} ({row['split']})" for row in to_rows(one))
        part = f" {name}" if column == "part_id" else ""
        first, *others = group["relative_path"]
        faults.append(
            Fault(
                CODE,
                "error",
                first,
                f"{where} show {what}{part} in different splits; {len(group)} images are concerned.",
                "Remove the copies, or split again: a split made by curate keeps parts and copies together.",
                tuple(others),
            )
        )
    return faults
