"""The proposed mask is wrong: it is not offered again, and somebody draws one. The label stays."""

import pandas as pd

from curate.decisions import decide


def run(samples: pd.DataFrame, *, by: str, at: str) -> pd.DataFrame:
    """Verdict "mask_rejected" for every sample; see curate.decisions.decide."""
    return decide(samples, "mask_rejected", by=by, at=at)
