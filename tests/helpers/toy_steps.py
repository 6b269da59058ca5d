"""Steps that several tests of stale and exported results go through, on the tree of tests.helpers.tiny."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate import tables
from curate.recipe import Source
from curate.schema import load as contract
from curate.steps import ingest
from curate.steps.record import Context, digest, finish
from tests.helpers.tiny import normal_image


def taken(context: Context, root: Path, **settings: Any) -> dict[str, Any]:
    return ingest.run(context, Source(root, "mvtec_ad", **settings))


def add_image(root: Path) -> str:
    path = root / "weave" / "test" / "good" / "new.png"
    Image.fromarray(normal_image(np.random.default_rng(9))).save(path)
    return path.relative_to(root).as_posix()


def score_by_hand(context: Context) -> None:
    """Predictions as a detector would leave them, without maps."""
    samples = tables.read(context.paths.samples)
    rows = [
        {
            "sample_id": row["sample_id"],
            "detector": "padim",
            "anomaly_score": float(row["label"] == "anomalous"),
        }
        for row in tables.to_rows(samples)
    ]
    target = context.paths.detector("padim") / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, "score-padim", inputs, [target], {})
