"""A small dataset with the maps and scores of made-up detectors, as scoring would leave them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from curate import tables
from curate.anomaly_maps import encode_raw
from curate.files import write_bytes, write_json
from curate.map_reductions import reduce_map
from curate.masks import read_mask
from curate.recipe import Source
from curate.schema import load as contract
from curate.steps import ingest, split
from curate.steps.record import Context, digest, finish
from curate.workspace import Workspace
from tests.helpers.tiny import HEIGHT, WIDTH, write_mvtec

STRENGTHS = {"keen": 6.0, "dull": 1.5}  # how far each detector lifts a defect above its noise of about 1


def dataset(folder: Path, categories: tuple[str, ...] = ("weave", "mesh"), **sizes: Any) -> Context:
    """An ingested and split dataset "toy" of tests.helpers.tiny, with tracks of a different seed each."""
    for seed, category in enumerate(categories):
        write_mvtec(
            folder / "source",
            category,
            **{"n_train": 10, "n_good": 16, "n_per_defect": 8, "seed": seed, **sizes},
        )
    workspace = Workspace.at(folder / "home")
    context = Context(workspace, workspace.dataset("toy"))
    ingest.run(context, Source(folder / "source", "mvtec_ad"))
    split.run(context)
    return context


def scored(context: Context, *detectors: str) -> Context:
    """Leave maps and scores of detectors; see STRENGTHS."""
    for detector in detectors or tuple(STRENGTHS):
        _score(context, detector)
    return context


def rows_tested(context: Context, category: str, detector: str) -> pd.DataFrame:
    """Samples of the test part with their scores by a detector."""
    samples = tables.read(context.paths.samples).merge(tables.read(context.paths.split), on="sample_id")
    scores = tables.read(context.paths.detector(detector) / "predictions.parquet")
    merged = samples.merge(scores[["sample_id", "anomaly_score"]], on="sample_id")
    return merged[(merged["category"] == category) & (merged["assigned_split"] == "test")]


def part(evaluation: dict[str, Any], detector: str, category: str) -> dict[str, Any]:
    """What an evaluation holds of one detector in one category."""
    (found,) = (each for each in evaluation["detectors"] if each["detector"] == detector)
    return found["categories"][category]  # type: ignore[no-any-return]


def _score(context: Context, detector: str) -> None:
    rng = np.random.default_rng(len(detector) + ord(detector[0]))
    folder, rows = context.paths.detector(detector), []
    for row in tables.to_rows(tables.read(context.paths.samples)):
        values = made_map(rng, context.paths.masks / f"{row['sample_id']}.png", STRENGTHS[detector])
        name = f"raw/{row['sample_id']}.png"
        write_bytes(folder / name, encode_raw(values), durable=False)
        rows.append(
            {
                "sample_id": row["sample_id"], "detector": detector, "anomaly_score": float(values.max()),
                "reduction": "max", "reductions": reduce_map(values), "raw_map": name, "display_map": None,
            }
        )  # fmt: skip
    target = folder / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    report = {"detector": detector, "runtime": "none", "fit_seconds": 1.5, "display_range": [0.0, 4.0]}
    write_json(folder / "report.json", report)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, context.paths.score_step(detector), inputs, [target], {"report": report})


def made_map(rng: np.random.Generator, mask: Path, strength: float) -> np.ndarray:
    """(48, 64) float32: smooth noise, lifted on the defect by a random share of the strength."""
    values = cv2.GaussianBlur(rng.normal(0, 4, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5)
    if mask.exists():
        values += strength * rng.uniform(0.2, 1) * read_mask(mask).astype(np.float32)
    return np.asarray(values, dtype=np.float32)
