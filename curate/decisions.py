"""Rows of verdicts from rows of samples; what the triage operators share."""

from collections.abc import Mapping

import pandas as pd

from curate.schema import load
from curate.tables import from_rows, to_rows
from curate.verdicts import HELD


def decide(
    samples: pd.DataFrame,
    verdict: str,
    *,
    by: str,
    at: str,
    defect_type: str | None = None,
    masks: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One verdict for each sample, with what held before.

    Args:
        samples: columns sample_id, sha256, label, defect_types, verdict, mask; others are ignored.
        verdict: after data_schemas/verdict.json.
        by: who decides.
        at: when, ISO 8601 in UTC.
        defect_type: only with the verdict "anomalous".
        masks: sample_id -> digest of the mask that goes with it, only with the verdict "anomalous".
    """
    rows = [
        {
            "sample_id": row["sample_id"],
            "sha256": row["sha256"],
            "verdict": verdict,
            "defect_type": defect_type,
            "by": by,
            "at": at,
            "before": {key: row[key] for key in HELD},
            "mask": (masks or {}).get(row["sample_id"]),
        }
        for row in to_rows(samples[["sample_id", "sha256", *HELD]])
    ]
    return from_rows(rows, list(load("verdict")["properties"]))
