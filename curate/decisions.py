"""Rows of verdicts from rows of samples; what the triage operators share."""

import pandas as pd

from curate.schema import load
from curate.tables import from_rows, to_rows


def decide(
    samples: pd.DataFrame, verdict: str, *, by: str, at: str, defect_type: str | None = None
) -> pd.DataFrame:
    """One verdict for each sample, with what held before.

    Args:
        samples: columns sample_id, sha256, label, defect_types, verdict; others are ignored.
        verdict: after data_schemas/verdict.json.
        by: who decides.
        at: when, ISO 8601 in UTC.
        defect_type: only with the verdict "anomalous".
    """
    rows = [
        {
            "sample_id": row["sample_id"],
            "sha256": row["sha256"],
            "verdict": verdict,
            "defect_type": defect_type,
            "by": by,
            "at": at,
            "before": {key: row[key] for key in ("label", "defect_types", "verdict")},
        }
        for row in to_rows(samples[["sample_id", "sha256", "label", "defect_types", "verdict"]])
    ]
    return from_rows(rows, list(load("verdict")["properties"]))
