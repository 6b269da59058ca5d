"""From where on map values are proposed as defects: what was decided, else a quantile of normal pixels."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.anomaly_maps import read_raw
from curate.errors import CurateError
from curate.images import Array
from curate.steps import propose_doubts
from curate.steps.evaluation_thresholds import decisions_of, in_force
from curate.steps.record import Context
from curate.tables import to_rows

QUANTILE = 0.999
LEVELS = ("pixel", "region")  # the extent of a mask is a question about pixels first


@dataclass(frozen=True)
class Cut:
    """What holds for one category.

    Attributes:
        threshold: of the map.
        said: how it was chosen, in words.
        image_threshold: of the anomaly score, for the choice of images; None where there is none.
        normal_peaks: highest map value of each normal calibration image.
        doubtful: see curate.steps.propose_doubts.found.
    """

    threshold: float
    said: str
    image_threshold: float | None
    normal_peaks: list[float]
    doubtful: dict[str, Any] | None = None


def cuts(context: Context, detector: str, rows: pd.DataFrame, threshold: float | None) -> dict[str, Cut]:
    """The thresholds of each category.

    Args:
        rows: all images, from curate.steps.joined.with_scores.
        threshold: of the map, stated by the person; else what was decided about pixels, else about regions,
            else the QUANTILE of the pixels of normal calibration images.

    Raises:
        CurateError: a category has neither a decision nor a normal calibration image with a map.
    """
    decisions, folder = decisions_of(context, detector), context.paths.detector(detector)
    of_source = propose_doubts.normal_by_source(context)
    found = {}
    for category, own in rows.groupby("category"):
        name = str(category)
        calibration = own[(own["assigned_split"] == "calibration") & (own["label"] != "unknown")]
        normal = [row for row in to_rows(calibration[calibration["label"] == "normal"]) if row["raw_map"]]
        decided = None if threshold is None else (threshold, "stated")
        decided = decided or _decided(decisions, name)
        quantile, peaks = of_normals(_maps(normal, folder), _n_pixels(normal))
        if decided is None and quantile is None:
            raise CurateError(
                f'CurateError: category "{name}" has no normal calibration image with a map of {detector}, '
                "and nothing is decided about its pixels. State the threshold with --threshold, or split "
                "again with more images in calibration."
            )
        value, said = decided or (
            quantile,
            f"the {QUANTILE:g} quantile of the pixels of {len(normal)} normal calibration images",
        )
        image = in_force(decisions, name, calibration)
        doubtful = propose_doubts.found(to_rows(calibration[calibration["label"] == "normal"]), of_source)
        if doubtful:
            aside = {row["sample_id"] for row in doubtful["images"]}
            kept = [row for row in normal if row["sample_id"] not in aside]
            without = in_force(decisions, name, calibration[~calibration["sample_id"].isin(aside)])
            doubtful |= {
                "threshold_without": None if decided else of_normals(_maps(kept, folder), _n_pixels(kept))[0],
                "image_threshold": image.value if image.source == "calibration" else None,
                "image_threshold_without": without.value if image.source == "calibration" else None,
            }
        found[name] = Cut(float(str(value)), said, image.value, peaks, doubtful)
    return found


def of_normals(maps: Iterable[Array], n_pixels: int, q: float = QUANTILE) -> tuple[float | None, list[float]]:
    """A high quantile of all pixels of maps and each map's highest value, with one map in memory at a time.

    Args:
        maps: (H, W) float32 each.
        n_pixels: how many pixels all of them have.
        q: in (0, 1); linear between neighbours, as numpy's default.

    Returns:
        None instead of the quantile where there is no map.

    >>> of_normals([np.arange(5.0), np.arange(5.0, 11.0)], 11, 0.95)
    (9.5, [4.0, 10.0])
    """
    place = q * (n_pixels - 1)
    below = math.floor(place)
    n_kept = n_pixels - below  # the values from the place on
    top, peaks = np.empty(0, dtype=np.float64), []
    for each in maps:
        peaks.append(float(each.max()))
        values = np.concatenate([top, each.ravel()])
        if len(values) > n_kept:
            values = np.partition(values, len(values) - n_kept)[-n_kept:]
        top = values
    if not peaks:
        return None, []
    ordered = np.sort(top)
    upper = ordered[min(1, len(ordered) - 1)]
    return float(ordered[0] + (upper - ordered[0]) * (place - below)), peaks


def _decided(decisions: Mapping[str, Any], category: str) -> tuple[float, str] | None:
    for level in LEVELS:
        chosen = decisions[level]["by_category"].get(category) if level in decisions else None
        if chosen is not None and chosen["threshold"] is not None:
            return float(chosen["threshold"]), f"decided about {level}s by {decisions[level]['rule']}"
    return None


def _maps(rows: list[dict[str, Any]], folder: Path) -> Iterable[Array]:
    return (read_raw(folder / row["raw_map"]) for row in rows)


def _n_pixels(rows: list[dict[str, Any]]) -> int:
    return sum(int(row["height"]) * int(row["width"]) for row in rows)
