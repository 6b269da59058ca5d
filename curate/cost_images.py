"""The images of a dataset that detectors are measured on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from curate.errors import DataFault, listed
from curate.score_training import Choice, lessons

PARTS = ("test", "calibration", "train")  # the first of these that has images is shown to fitted detectors


@dataclass(frozen=True)
class Chosen:
    """Images of one category.

    Attributes:
        train: rows to fit on.
        shown: rows to predict on; of the test part where there is one.
        all_train: sample ids that curate score fits on, of all categories.
    """

    category: str
    train: pd.DataFrame
    shown: pd.DataFrame
    all_train: list[str]

    @property
    def sizes_hw(self) -> list[tuple[int, int]]:
        """Heights and widths of the images to fit on."""
        return list(zip(self.train["height"].astype(int), self.train["width"].astype(int), strict=True))


def choose(
    samples: pd.DataFrame, dataset: str, category: str | None, n_most: int | None, seed: int
) -> Chosen:
    """Choose the images of one category: the same normal images of the training part as curate score.

    Args:
        samples: sample table with assigned_split.
        dataset: its name, for messages.
        category: None takes the one with most normal training images.
        n_most: images to fit on, and images to predict on; None for all. Drawn by seed.

    Raises:
        DataFault: the category is unknown, or has fewer than two normal training images.
    """
    train = lessons(samples, Choice(), False, seed).train
    counts = train["category"].value_counts()
    known = sorted(set(samples["category"]))
    if category is not None and category not in known:
        raise DataFault(
            f'DataFault: dataset "{dataset}" has no category "{category}". It has:\n{listed(known)}\n'
            "Name one of these with --category."
        )
    chosen = category or min(known, key=lambda name: (-counts.get(name, 0), name))
    if (n_normals := int(counts.get(chosen, 0))) < 2:
        raise DataFault(
            f"DataFault: measuring needs at least 2 normal training images; category {chosen} of dataset "
            f'"{dataset}" has {n_normals}. Add normal images, or change the split.'
        )
    own = samples[samples["category"] == chosen]
    parts = [own[own["assigned_split"] == name] for name in PARTS]
    shown = next(part for part in parts if len(part))
    return Chosen(
        chosen,
        some(train[train["category"] == chosen], n_most, seed),
        some(shown, n_most, seed),
        train["sample_id"].tolist(),
    )


def some(rows: pd.DataFrame, n_most: int | None, seed: int) -> pd.DataFrame:
    """About n_most rows, each label in its share but at least once; sorted by sample_id, whatever the order.

    Args:
        n_most: None for all.
        seed: equal seeds draw equal rows.
    """
    ordered = rows.sort_values("sample_id")
    if n_most is None or len(rows) <= n_most:
        return ordered
    rng = np.random.default_rng(seed)
    kept: list[int] = []
    for label in sorted(set(ordered["label"])):
        places = np.flatnonzero(ordered["label"] == label)
        kept += rng.permutation(places)[: max(1, round(n_most * len(places) / len(rows)))].tolist()
    return ordered.iloc[sorted(kept)]
