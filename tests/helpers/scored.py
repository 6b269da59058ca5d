"""Anomaly maps and scores as a detector would leave them, made from the truth and seeded noise."""

from pathlib import Path

import numpy as np
from PIL import Image

from curate import tables
from curate.anomaly_maps import encode_raw
from curate.files import write_bytes, write_json
from curate.recipe import Source
from curate.schema import load as contract
from curate.steps import ingest, split
from curate.steps.record import Context, digest, finish
from curate.workspace import Workspace
from tests.helpers.tiny import HEIGHT, WIDTH, write_mvtec


def undecided(folder: Path) -> Context:
    """A scored dataset without a threshold: half of the delivered test part is for calibration."""
    root = write_mvtec(folder / "images", n_train=4, n_good=24, n_per_defect=10)
    workspace = Workspace.at(folder / "home")
    made = Context(workspace, workspace.dataset("toy"))
    ingest.run(made, Source(root, "mvtec_ad"))
    split.run(made)
    score_with_maps(made)
    return made


def decision_files(context: Context) -> list[str]:
    """Names of the files that keep its decisions about thresholds."""
    return sorted(path.name for path in context.paths.decisions.glob("*"))


def score_with_maps(context: Context, seed: int = 0, detector: str = "padim", strength: float = 2.0) -> None:
    """Maps of noise in [0, 1), higher by `strength` times a random share on the defect; scores are maxima."""
    rng, folder = np.random.default_rng(seed), context.paths.detector(detector)
    rows = []
    for row in tables.to_rows(tables.read(context.paths.samples)):
        anomaly_map = rng.random((HEIGHT, WIDTH)).astype(np.float32)
        mask = context.paths.masks / f"{row['sample_id']}.png"
        if row["label"] == "anomalous" and mask.exists():
            anomaly_map += np.float32(strength * rng.random()) * (np.asarray(Image.open(mask)) > 0)
        name = f"raw/{row['sample_id']}.png"
        write_bytes(folder / name, encode_raw(anomaly_map))
        score = float(anomaly_map.max())
        known = {"sample_id": row["sample_id"], "detector": detector, "anomaly_score": score}
        rows.append({**known, "raw_map": name})
    target = folder / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    write_json(folder / "report.json", {"display_range": [0.0, 3.0]})
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, context.paths.score_step(detector), inputs, [target], {})
