"""Builds sample tables for tests without any image file."""

import hashlib
from typing import Any

import pandas as pd

from curate.schema import load
from curate.tables import from_rows

COLUMNS = list(load("sample")["properties"])


def row(name: str, label: str = "normal", **known: Any) -> dict[str, Any]:
    """One row of a sample table; `name` becomes the relative path, and the part unless told."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {
        "sample_id": digest[:16],
        "filepath": f"/data/{name}",
        "relative_path": name,
        "sha256": digest,
        "pixel_sha256": digest,
        "size_bytes": 10,
        "width": 64,
        "height": 48,
        "bit_depth": 8,
        "channels": 3,
        "source": "toy",
        "category": "weave",
        "label": label,
        "defect_types": ["stain"] if label == "anomalous" else [],
        "part_id": name,
        "boxes": None,
        **known,
    }


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A sample table with all columns of the contract."""
    return from_rows(rows, COLUMNS)
