"""A small ingested dataset in files, with a split, ready to be exported."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from curate.images import probe
from tests.helpers import tables, tiny

RECIPE = {"name": "toy", "seed": 3, "sources": [{"path": "/home/eva/toy", "format": "mvtec_ad"}]}


@dataclass
class Ingested:
    """Samples with `assigned_split`, and the folder of their canonical masks."""

    root: Path
    samples: pd.DataFrame
    masks: Path

    def change(self, relative_path: str, **values: Any) -> None:
        """Set columns of one sample."""
        index = self.samples.index[self.samples["relative_path"] == relative_path][0]
        for column, value in values.items():
            self.samples.at[index, column] = value


def ingested(folder: Path, **tree: Any) -> Ingested:
    """A tree as made by tiny.write_mvtec: the first image of each test folder is for calibration."""
    root = tiny.write_mvtec(folder / "source", **tree)
    masks = folder / "masks"
    masks.mkdir()
    rows = [sample(root, path, masks) for path in sorted(root.rglob("t*/*/*.png"))]
    columns = [*tables.COLUMNS, "assigned_split"]
    return Ingested(root, tables.from_rows(rows, columns), masks)


def sample(root: Path, path: Path, masks: Path) -> dict[str, Any]:
    """The row of one image; copies its mask, if any, to the canonical masks."""
    relative = path.relative_to(root).as_posix()
    category, split, defect = relative.split("/")[:3]
    mask = root / category / "ground_truth" / defect / f"{path.stem}_mask.png"
    known: dict[str, Any] = {
        "label": "normal" if defect == "good" else "anomalous",
        "defect_types": [] if defect == "good" else [defect],
        "gt_mask_path": str(mask) if mask.exists() else None,
        "mask_rule": "> 0" if mask.exists() else None,
        "split": split,
        "assigned_split": "calibration" if split == "test" and path.stem == "000" else split,
        "category": category,
        "filepath": str(path),
        "part_id": f"part {relative}",
        "um_per_px": 20.8,
        "lot": "L7",
        "licence": "CC BY 4.0",
        "citation": "Toy et al., 2026",
    }
    known |= {k: v for k, v in vars(probe(path)).items() if k in tables.COLUMNS}
    row = {**tables.row(relative), **known}
    if mask.exists():
        shutil.copy(mask, masks / f"{row['sample_id']}.png")
    return row


def pixels(path: Path) -> np.ndarray:
    """Pixels as stored, by a decoder other than the product's own settings."""
    with Image.open(path) as image:
        return np.asarray(image)
