"""Counts masks the slow way, for evidence without ingest."""

import numpy as np
import pandas as pd
from skimage.measure import label

from curate import ground_truth
from curate.errors import Unreadable
from curate.tables import from_rows, to_rows

COLUMNS = ["sample_id", "n_px", "n_regions", "n_specks", "n_border", "smallest_px", "values"]


def counted(samples: pd.DataFrame) -> pd.DataFrame:
    """Evidence.mask_facts of a sample table."""
    rows = []
    for row in to_rows(samples):
        if not ground_truth.has_mask(row):
            continue
        try:
            truth = ground_truth.read(row)
        except (Unreadable, ground_truth.WrongSize):
            continue
        rows.append(facts(row["sample_id"], truth.mask, sorted(truth.values)))
    return from_rows(rows, COLUMNS)


def facts(sample_id: str, mask: np.ndarray, values: list[int]) -> dict[str, object]:
    """One row, region by region."""
    numbered = label(mask, connectivity=2)
    inner = numbered[1:-1, 1:-1]
    sizes, n_border = [], 0
    for number in range(1, numbered.max() + 1):
        sizes.append(int((numbered == number).sum()))
        n_border += bool((inner == number).sum() < sizes[-1])
    return {
        "sample_id": sample_id,
        "n_px": int(mask.sum()),
        "n_regions": len(sizes),
        "n_specks": sum(size <= 4 for size in sizes),
        "n_border": n_border,
        "smallest_px": min(sizes, default=None),
        "values": values,
    }
