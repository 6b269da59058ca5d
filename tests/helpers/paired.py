"""A toy dataset for the panels that compare: two detectors, a template and its tested image, embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from curate import tables
from curate.embeddings import COLUMNS, KIND
from curate.measurement_cache import open_cache
from curate.store import dataset, heatmaps
from curate.tables import from_rows, to_rows
from tests.helpers import tiny
from tests.helpers.stored import PREDICTION_COLUMNS, SAMPLE_COLUMNS, painted, row

PAIR = "board/00_test.png", "board/00_temp.png"


def saved(name: str, root: Path) -> pd.DataFrame:
    """Save eight painted images of category weave and a pair of category board; scores of two detectors.

    The threshold 0.5 is in force for padim; of the normal images, two are of the calibration split and the
    others of the training split. All images are embedded, at made-up places.
    """
    samples, predictions = painted(root)
    rows = [{**each, "pixel_sha256": f"{index:064x}"} for index, each in enumerate(to_rows(samples))]
    rows += _pair(root, len(rows))
    table = from_rows(rows, SAMPLE_COLUMNS)
    tables.write(table, root / "samples.parquet")
    dataset.save_samples(name, table, root / "masks")
    parts = {f"good-{index:02d}": "calibration" if index < 2 else "train" for index in range(4)}
    split = [(each["sample_id"], parts.get(each["part_id"], "test")) for each in rows]
    dataset.save_split(name, pd.DataFrame(split, columns=["sample_id", "assigned_split"]))
    heatmaps.save_predictions(name, "other", _others(predictions, root), root)
    heatmaps.save_predictions(name, "padim", predictions, root, 0.5)
    embed(root, {each["pixel_sha256"]: float(index) for index, each in enumerate(rows)})
    return table


def embed(root: Path, places: dict[str, float]) -> None:
    """Write embeddings on a line to where `curate check` keeps them."""
    with open_cache(root / "embeddings.sqlite", KIND, COLUMNS) as cache:
        vectors = {key: np.array([place, 0.0], dtype=np.float16).tobytes() for key, place in places.items()}
        cache.add([{"pixel_sha256": key, "vector": vector} for key, vector in vectors.items()])


def _pair(root: Path, n_before: int) -> list[dict[str, Any]]:
    """A template, and the tested image that is the same but for a box with a short."""
    rng = np.random.default_rng(11)
    template = tiny.normal_image(rng)
    tested = template.copy()
    tested[30:36, 40:52] = 250
    rows = []
    for index, (path, pixels) in enumerate(zip(PAIR, (tested, template), strict=True)):
        stem = path.replace("/", "-").removesuffix(".png")
        file = root / "images" / f"{stem}.png"
        Image.fromarray(pixels).save(file)
        told: dict[str, object] = {"filepath": str(file), "relative_path": path, "category": "board"}
        told |= {"part_id": "board-00", "pixel_sha256": f"{n_before + index:064x}"}
        boxes = [{"box_xyxy": [40.0, 30.0, 52.0, 36.0], "defect_type": "short"}]
        rows.append(row(stem, "normal" if index else "anomalous", boxes=None if index else boxes, **told))
        rows[-1]["defect_types"] = [] if index else ["short"]
    return rows


def _others(predictions: pd.DataFrame, root: Path) -> pd.DataFrame:
    """A second detector, whose scores are ten times as high and whose maps are bright on the left."""
    (root / "other").mkdir(exist_ok=True)
    ramp = np.tile(np.linspace(255, 0, tiny.WIDTH).astype(np.uint8), (tiny.HEIGHT, 1))
    Image.fromarray(ramp).save(root / "other" / "ramp.png")
    rows = [
        {
            **each,
            "detector": "other",
            "anomaly_score": 10 * each["anomaly_score"],
            "display_map": "other/ramp.png",
        }
        for each in to_rows(predictions)
    ]
    return from_rows(rows, PREDICTION_COLUMNS)
