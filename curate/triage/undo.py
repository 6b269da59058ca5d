"""Takes back the last verdict of each image; the verdict before it, if any, holds again."""

import pandas as pd

from curate.decisions import decide


def run(samples: pd.DataFrame, *, by: str, at: str) -> pd.DataFrame:
    """Verdict "undone" for every sample that has one to take back; the others give no row."""
    return decide(samples[samples["verdict"].notna()], "undone", by=by, at=at)
