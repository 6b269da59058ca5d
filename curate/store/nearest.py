"""Finds the normal images nearest to a sample: embeddings from the workspace, labels from the database."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.embeddings import cached, matrix
from curate.images import Array
from curate.nearest_normal import Facts, Neighbour, nearest
from curate.store.documents import object_id
from curate.store.verdicts import collection_of
from curate.workspace import DatasetPaths, Workspace

CACHE = "embeddings.sqlite"  # written by curate.steps.embeddings
COLUMNS = ["sample_id", "pixel_sha256", "category"]
FACTS = {"sample_id": 1, "label": 1, "assigned_split": 1, "part_id": 1}
N_KEPT = 4  # datasets whose vectors stay in memory
Stamp = tuple[float, ...]


@dataclass(frozen=True)
class Vectors:
    """The embeddings of one category.

    Attributes:
        places: index by sample id.
        sample_ids: in the order of the rows.
        values: (N, D) float32.
    """

    places: dict[str, int]
    sample_ids: list[str]
    values: Array


_kept: dict[Path, tuple[Stamp, dict[str, Vectors]]] = {}
_reading = threading.Lock()


def nearest_normals(
    dataset_name: str, sample_id: str, category: str, part_id: str, k: int
) -> list[Neighbour] | None:
    """See curate.nearest_normal; None when the sample is not embedded yet.

    Raises:
        DatabaseDown: the database stopped.
    """
    own = embedded(Workspace.at().dataset(dataset_name)).get(category)
    if own is None or sample_id not in own.places:
        return None
    collection = collection_of(dataset_name)

    def facts_of(sample_ids: Sequence[str]) -> dict[str, Facts]:
        ids = [object_id(each, "sample") for each in sample_ids]
        return {row["sample_id"]: _facts(row) for row in collection.find({"_id": {"$in": ids}}, FACTS)}

    return nearest(own.places[sample_id], own.sample_ids, own.values, facts_of, part_id, k)


def _facts(document: dict[str, Any]) -> Facts:
    return Facts(document["label"] == "normal", document.get("assigned_split"), document["part_id"])


def embedded(paths: DatasetPaths) -> dict[str, Vectors]:
    """The embeddings that are in the workspace, by category; kept in memory until a file changes."""
    stamp = _stamp(paths.samples, paths.root / CACHE)
    with _reading:  # many requests at once read the files once
        if (held := _kept.get(paths.root)) is None or held[0] != stamp:
            _kept.pop(paths.root, None)
            while len(_kept) >= N_KEPT:
                _kept.pop(next(iter(_kept)))
            held = _kept[paths.root] = (stamp, _read(paths))
        return held[1]


def _stamp(*files: Path) -> Stamp:
    stats = [path.stat() for path in files if path.exists()]
    return tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_size, stat.st_ino))


def _read(paths: DatasetPaths) -> dict[str, Vectors]:
    if not paths.samples.exists() or not (paths.root / CACHE).exists():
        return {}
    samples = pd.read_parquet(paths.samples, columns=COLUMNS)
    found = cached(samples, paths.root / CACHE)
    categories = found["sample_id"].map(samples.set_index("sample_id")["category"])
    values, ids = matrix(found["vector"]), found["sample_id"].tolist()
    out = {}
    for category in categories.unique():
        rows = np.flatnonzero(categories == category)
        own = [ids[row] for row in rows]
        out[str(category)] = Vectors({each: index for index, each in enumerate(own)}, own, values[rows])
    return out
