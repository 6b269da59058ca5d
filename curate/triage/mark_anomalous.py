"""The images show a defect."""

import pandas as pd

from curate.decisions import decide
from curate.defect_names import usable


def run(samples: pd.DataFrame, *, by: str, at: str, defect_type: str | None = None) -> pd.DataFrame:
    """Verdict "anomalous" for every sample; see curate.decisions.decide.

    Args:
        samples: columns sample_id, sha256, label, defect_types, verdict, mask.
        by: who decides.
        at: when, ISO 8601 in UTC.
        defect_type: replaces the defect types; left out, those of the source stay.

    Raises:
        ValueError: the defect type is blank, or could not serve as a folder's name in an export.
    """
    named = None if defect_type is None else usable(defect_type)
    return decide(samples, "anomalous", by=by, at=at, defect_type=named)
