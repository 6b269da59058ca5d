"""The images were seen but not decided: they leave the list of those not looked at, and keep their label."""

import pandas as pd

from curate.decisions import decide


def run(samples: pd.DataFrame, *, by: str, at: str) -> pd.DataFrame:
    """Verdict "skipped" for every sample; see curate.decisions.decide."""
    return decide(samples, "skipped", by=by, at=at)
