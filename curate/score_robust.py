"""Measures how far the "normal" training images are contaminated, and names the suspicious ones.

Every normal is scored by a detector that was fitted without it (k folds, images of a part together); what
scores far above the rest is left out of the final fit. See curate.contamination for the rule.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from curate.contamination import RULE, Suspicious, find, folds
from curate.errors import CurateError
from curate.files import fingerprint, read_json, write_json
from curate.score_fit import Fitting, category_folder, checkpoint, fit_key
from curate.score_identity import identity
from curate.score_images import Images, Row, by_category

if TYPE_CHECKING:
    from detectors.base import Labeled

FOLDER = "robust"


def examine(
    train: pd.DataFrame, fitting: Fitting, fraction: float, seed: int, anomalies: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Score every normal image by a detector that has not seen it, and find those far above the others.

    Finished folds are kept in the detector's folder: a run that was killed goes on with the next.

    Args:
        train: sample table rows to fit on as normal.
        fraction: most of a category's images that may be left out.
        seed: of the folds.
        anomalies: as in fit_detector.

    Returns:
        JSON values: rule, fraction, and by_category: n_normals, n_folds, median, scale, n_above (also beyond
        the limit), estimated_contamination (their share), left_out (sample_id, path, score, z; highest
        first). A category with too few images to leave one out has left_out empty and n_folds 0.

    Raises:
        ValueError, DataFault, Unreadable: see fit_detector.
    """
    labelled, made_by = fitting.anomalies(anomalies), identity(fitting.detector, fitting.config)
    categories = by_category(train, ("part_id",))
    found: dict[str, Any] = {}
    for category, rows in categories.items():
        if int(fraction * len(rows) + 1e-9) < 1 or len(rows) < 4:
            found[category] = _facts(rows, find(np.zeros(0), fraction), np.zeros(0), 0)
            continue
        scores, n_folds = _cross_scores(
            fitting, category, len(categories), rows, labelled.get(category, []), made_by, seed
        )
        found[category] = _facts(rows, find(scores, fraction), scores, n_folds)
    kept = {category_folder(category) for category in categories}
    for other in (fitting.folder / FOLDER).glob("*"):
        if other.name not in kept:
            shutil.rmtree(other, ignore_errors=True)
    return {"rule": RULE, "fraction": fraction, "by_category": found}


def without(train: pd.DataFrame, examined: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that are not left out."""
    return train[~train["sample_id"].isin(left_out(examined))]


def left_out(examined: Mapping[str, Any]) -> list[str]:
    """Sample ids of the suspicious normals of all categories."""
    return [row["sample_id"] for each in examined["by_category"].values() for row in each["left_out"]]


def with_change(examined: Mapping[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    """What examine found, with what the final detector, fitted without them, says of those left out.

    Args:
        predictions: of the final detector.

    Returns:
        As examine, each of left_out with score_after.
    """
    after = dict(zip(predictions["sample_id"], predictions["anomaly_score"], strict=True))
    categories = {
        name: each
        | {"left_out": [row | {"score_after": after.get(row["sample_id"])} for row in each["left_out"]]}
        for name, each in examined["by_category"].items()
    }
    return {**examined, "by_category": categories}


def _facts(rows: Sequence[Row], found: Suspicious, scores: np.ndarray, n_folds: int) -> dict[str, Any]:
    return {
        "n_normals": len(rows),
        "n_folds": n_folds,
        "median": found.median,
        "scale": found.scale,
        "n_above": len(found.above),
        "estimated_contamination": len(found.above) / len(rows),
        "left_out": [
            {
                "sample_id": rows[index]["sample_id"],
                "path": rows[index]["filepath"],
                "score": float(scores[index]),
                "z": float(found.z[index]),
            }
            for index in found.left_out
        ],
    }


def _cross_scores(
    fitting: Fitting,
    category: str,
    n_categories: int,
    rows: Sequence[Row],
    labelled: "Sequence[tuple[Row, Labeled]]",
    made_by: Mapping[str, Any],
    seed: int,
) -> tuple[np.ndarray, int]:
    """(N,) float64, the score of each row by a detector of the other folds; and how many folds."""
    folder = fitting.folder / FOLDER / category_folder(category)
    n_most = min(5, len(rows) // 2)
    chosen = folds(
        [row["sample_id"] for row in rows], [row.get("part_id") for row in rows], seed, max(2, n_most)
    )
    scores: dict[str, float] = {}
    n_folds = max(chosen) + 1
    for number in range(n_folds):
        seen = [row for row, fold in zip(rows, chosen, strict=True) if fold != number]
        judged = [row for row, fold in zip(rows, chosen, strict=True) if fold == number]
        key = fit_key(made_by, seen, labelled)
        title = f"{fitting.title(category, n_categories)} fold {number + 1} of {n_folds}"
        path = folder / f"fold-{number}.json"
        all_of_it = fingerprint([key, [(row["sample_id"], row["sha256"]) for row in judged]])
        known = _kept(path, all_of_it)
        if known is None:
            known = _fold(fitting, title, seen, judged, labelled, checkpoint(folder / "checkpoints", key))
            write_json(path, {"key": all_of_it, "scores": known})
        scores |= known
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return np.array([scores[row["sample_id"]] for row in rows], np.float64), n_folds


def _kept(path: Path, key: str) -> dict[str, float] | None:
    """Scores of a finished fold."""
    try:
        content = read_json(path)
    except CurateError:
        return None
    scores: dict[str, float] | None = content["scores"] if content.get("key") == key else None
    return scores


def _fold(
    fitting: Fitting,
    title: str,
    seen: Sequence[Row],
    judged: Sequence[Row],
    labelled: "Sequence[tuple[Row, Labeled]]",
    checkpoint: Path,
) -> dict[str, float]:
    """Fit without a fold and score it."""
    made = fitting.fitted(title, seen, [each for _, each in labelled], checkpoint)
    answers = made.predict(iter(Images(judged, fitting.pixels)))
    return {row["sample_id"]: answer.score for row, answer in zip(judged, answers, strict=True)}
