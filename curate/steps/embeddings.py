"""Step: embeds every picture with a frozen network, for the checks of outliers and drift."""

from typing import Any

import pandas as pd

from curate import tables
from curate.progress import bar
from curate.steps.record import Context, digest, once

CACHE = "embeddings.sqlite"


def run(context: Context) -> dict[str, Any]:
    """Embed the pictures that are new; those embedded before are kept in <dataset>/embeddings.sqlite.

    Returns:
        n_images, n_embedded (both count samples; the others cannot be read), fresh.
    """
    inputs = {"samples": digest(context.paths.samples)}

    def work() -> dict[str, Any]:
        return {"n_images": len(tables.read(context.paths.samples)), "n_embedded": len(load(context))}

    return once(context.paths, "embeddings", inputs, [], work)


def load(context: Context) -> pd.DataFrame:
    """The table of curate.embeddings for the dataset; what is not embedded yet is embedded now."""
    from curate.embeddings import table

    samples = tables.read(context.paths.samples)
    with bar("embedding", len(samples)) as advance:
        path = context.paths.root / CACHE
        return table(samples, path, advance, network_folder=context.workspace.cache)
