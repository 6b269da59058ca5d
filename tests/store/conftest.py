"""A toy dataset that the tests of the store share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.store import dataset, heatmaps
from curate.store.server import Database
from tests.helpers.stored import painted


@pytest.fixture(scope="session")
def fo(workspace_db: Database) -> Any:
    """FiftyOne, imported after its database was chosen."""
    import fiftyone

    return fiftyone


@pytest.fixture(scope="session")
def toy(workspace_db: Database, fo: Any) -> Iterator[tuple[Path, pd.DataFrame]]:
    """The dataset "toy" with masks, boxes, split, scores, maps and a threshold; folder and sample table."""
    root = workspace_db.home / "datasets" / "toy"
    samples, predictions = painted(root)
    dataset.save_samples("toy", samples, root / "masks")
    split = pd.DataFrame({"sample_id": samples["sample_id"], "assigned_split": "test"})
    assert dataset.save_split("toy", split) == 8
    assert heatmaps.save_predictions("toy", "padim", predictions, root, {"weave": 0.5}) == 8
    yield root, samples
