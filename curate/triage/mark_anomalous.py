"""The images show a defect."""

import pandas as pd

from curate.decisions import decide


def run(samples: pd.DataFrame, *, by: str, at: str, defect_type: str | None = None) -> pd.DataFrame:
    """Verdict "anomalous" for every sample; see curate.decisions.decide.

    Args:
        samples: columns sample_id, sha256, label, defect_types, verdict.
        by: who decides.
        at: when, ISO 8601 in UTC.
        defect_type: replaces the defect types; left out, those of the source stay.

    Raises:
        ValueError: the defect type is blank, or could not serve as a folder's name in an export.
    """
    if defect_type is not None:
        defect_type = defect_type.strip()
        if defect_type in ("", ".", "..") or not defect_type.isprintable() or "/" in defect_type:
            raise ValueError(
                f"Defect type {defect_type!r} cannot be used: it needs at least one visible character, "
                "and no slash."
            )
    return decide(samples, "anomalous", by=by, at=at, defect_type=defect_type)
