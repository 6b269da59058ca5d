"""Toy tables, maps and datasets for tests of the store and the triage page."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from curate.schema import load
from curate.tables import from_rows, to_rows
from tests.helpers import tiny

SAMPLE_COLUMNS = list(load("sample")["properties"])
PREDICTION_COLUMNS = list(load("prediction")["properties"])


def sample_id(name: str) -> str:
    """An id as readers make it."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def row(name: str, label: str = "normal", **changed: object) -> dict[str, object]:
    """One sample that keeps the contract; the image need not exist."""
    return {
        "sample_id": sample_id(name), "filepath": f"/images/{name}.png", "relative_path": f"{name}.png",
        "sha256": hashlib.sha256(name.encode()).hexdigest(), "pixel_sha256": "1" * 64, "size_bytes": 321,
        "width": tiny.WIDTH, "height": tiny.HEIGHT, "bit_depth": 8, "channels": 3, "source": "toy",
        "category": "weave", "label": label, "defect_types": ["stain"] if label == "anomalous" else [],
        "part_id": name, **changed,
    }  # fmt: skip


def table(*rows: dict[str, object]) -> pd.DataFrame:
    """A sample table of the given rows."""
    return from_rows(list(rows), SAMPLE_COLUMNS)


def many(n_rows: int) -> pd.DataFrame:
    """A table of normal samples 00000, 00001, …"""
    return table(*(row(f"{index:05d}") for index in range(n_rows)))


def painted(root: Path, n_normal: int = 4, n_anomalous: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images, masks (root/masks) and made-up anomaly maps (root/display) as files, and their two tables.

    Odd anomalous images get a low score: missed defects at a threshold of 0.5.
    """
    rng = np.random.default_rng(3)
    for folder in ("images", "masks", "display"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows, predictions = [], []
    for index in range(n_normal + n_anomalous):
        anomalous = index >= n_normal
        name = f"{'stain' if anomalous else 'good'}-{index:02d}"
        image, mask = tiny.anomalous_image(rng) if anomalous else (tiny.normal_image(rng), None)
        path = root / "images" / f"{name}.png"
        Image.fromarray(image).save(path)
        heat = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
        changed: dict[str, object] = {"filepath": str(path)}
        if mask is not None:
            target = root / "masks" / f"{sample_id(name)}.png"
            Image.fromarray(mask.astype(np.uint8) * 255).save(target)
            heat[mask] = 230
            top, left = np.argwhere(mask).min(axis=0)
            box = [float(left), float(top), float(left + 10), float(top + 7)]
            changed |= {"gt_mask_path": str(target), "mask_rule": "> 0"}
            changed |= {"boxes": [{"box_xyxy": box, "defect_type": "stain"}]}
        heat[5:20, 8:30] = 120
        Image.fromarray(heat).save(root / "display" / f"{name}.png")
        rows.append(row(name, "anomalous" if anomalous else "normal", **changed))
        score = (0.9 if index % 2 == 0 else 0.2) if anomalous else 0.1 + index / 50
        predictions.append({
            "sample_id": sample_id(name), "detector": "padim", "anomaly_score": score, "raw_map": None,
            "display_map": f"display/{name}.png",
        })  # fmt: skip
    return table(*rows), from_rows(predictions, PREDICTION_COLUMNS)


def same(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    """Whether two tables hold the same samples, in any order."""

    def plain(samples: pd.DataFrame) -> list[dict[str, Any]]:
        return sorted(to_rows(samples[SAMPLE_COLUMNS]), key=lambda r: str(r["sample_id"]))

    return plain(left) == plain(right)
