"""Step: measures every picture, for the checks that look at pixels."""

from collections.abc import Collection
from typing import Any

import pandas as pd

from curate import tables
from curate.progress import bar
from curate.steps.record import Context, digest, once

CACHE = "statistics.sqlite"


def run(context: Context) -> dict[str, Any]:
    """Measure the pictures that are new; those measured before are kept in <dataset>/statistics.sqlite.

    Returns:
        n_images, n_measured (both count samples; the others cannot be read), fresh.
    """
    inputs = {"samples": digest(context.paths.samples)}

    def work() -> dict[str, Any]:
        return {"n_images": len(tables.read(context.paths.samples)), "n_measured": len(load(context))}

    return once(context.paths, "statistics", inputs, [], work)


def load(context: Context) -> pd.DataFrame:
    """The table of curate.statistics for the dataset; what is not measured yet is measured now."""
    from curate.statistics import table

    samples = tables.read(context.paths.samples)
    with bar("measuring", len(samples)) as advance:
        return table(samples, context.paths.root / CACHE, advance)


def evidence(context: Context, needs: Collection[str]) -> dict[str, pd.DataFrame | None]:
    """The costly parts of the evidence that some checks need; None for what none needs.

    Args:
        needs: of "statistics" and "embeddings"; see curate.checks.
    """
    from curate.steps import embeddings

    return {
        "statistics": load(context) if "statistics" in needs else None,
        "embeddings": embeddings.load(context) if "embeddings" in needs else None,
    }
