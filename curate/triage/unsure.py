"""The person is not sure: a second opinion is wanted, and until then the label stays."""

import pandas as pd

from curate.decisions import decide


def run(samples: pd.DataFrame, *, by: str, at: str) -> pd.DataFrame:
    """Verdict "unsure" for every sample; see curate.decisions.decide."""
    return decide(samples, "unsure", by=by, at=at)
