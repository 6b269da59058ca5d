"""What is held to be true of each image now: the delivered label, unless a person decided otherwise."""

import pandas as pd

from curate import tables, verdicts
from curate.files import fingerprint
from curate.steps.record import Context


def current(context: Context) -> pd.DataFrame:
    """The sample table with the standing verdicts applied; see curate.verdicts.apply."""
    return verdicts.apply(tables.read(context.paths.samples), verdicts.read_mirror(context.paths.verdicts))


def digest(context: Context) -> str:
    """Checksum of the verdicts given so far."""
    return fingerprint(verdicts.read_mirror(context.paths.verdicts))
