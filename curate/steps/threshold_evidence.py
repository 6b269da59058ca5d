"""What a threshold is chosen from and judged by: scores of images, peaks of regions, counted pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from curate.anomaly_maps import read_raw
from curate.errors import CurateError, DataFault, listed
from curate.images import Array
from curate.masks import label_regions
from curate.schema import load
from curate.steps.pixels import truth_of
from curate.steps.record import Context
from curate.tables import to_rows
from curate.threshold_evidence import LEVELS, Evidence
from curate.threshold_params import GROUPED_BY

N_BINS = 4096
DECIDED = ("normal", "anomalous")
Statistic = Callable[[Array, Array, int], Sequence[float]]


@dataclass(frozen=True)
class Parts:
    """The evidence of one category: what a rule chooses on, and what the choice is judged by.

    Attributes:
        calibration, test: at the level asked for; either may be empty.
        left_out: images without a map, and anomalous ones whose defect is not known pixel by pixel.
        edges: (K,) ascending lower edges of the bins that pixels are counted in; None at other levels.
        shared: groups that have images in both parts.
        judged: of parts that hold unlabelled images, how many labels are verdicts, by name of the part.
    """

    calibration: Evidence
    test: Evidence
    left_out: int = 0
    edges: Array | None = None
    shared: tuple[str, ...] = ()
    judged: Mapping[str, int] = field(default_factory=dict)


def parts(
    context: Context,
    rows: pd.DataFrame,
    detector: str,
    level: str = "image",
    group: str = GROUPED_BY,
    statistic: Statistic | None = None,
) -> Parts:
    """Evidence of the calibration and the test part of one category; images nobody has labelled stay out.

    At the level "region" a normal image stands for its highest map value, and so does each region of the
    ground truth. At the level "pixel" the pixels of a group of images are counted in bins; the bins follow
    from the calibration part alone.

    Args:
        rows: of one category, from curate.steps.joined.with_scores.
        level: "image", "region" or "pixel".
        group: column whose values say which images are not independent.
        statistic: at the level "region", what to take instead of the highest value: from an (H, W) map, its
            labels and the number R of its regions, a number for each region, or for the whole map if R is 0.

    Raises:
        ValueError: no such level or column.
        CurateError: an image has no value in the column, or the level needs maps and there are none.
    """
    if level not in LEVELS:
        raise ValueError(f'Expected a level of {", ".join(LEVELS)}; found "{level}".')
    known = rows[rows["label"] != "unknown"]
    chosen, held = (known[known["assigned_split"] == part] for part in ("calibration", "test"))
    check_group(pd.concat([chosen, held]), group)
    shared = tuple(sorted(set(map(str, chosen[group])) & set(map(str, held[group]))))
    judged = {part: n for part in ("calibration", "test") if (n := _judged(rows, part))}
    if level == "image":
        _check_scores(pd.concat([chosen, held]), detector)
        return Parts(_images(chosen, group), _images(held, group), shared=shared, judged=judged)
    folder = context.paths.detector(detector)
    read = [_mapped(part, folder, context.paths.masks) for part in (chosen, held)]
    left_out = len(chosen) + len(held) - len(read[0]) - len(read[1])
    if not read[0] and len(chosen):
        raise CurateError(
            f"CurateError: the level {level} needs anomaly maps and masks, and of {len(chosen)} calibration "
            f"images none has both from {detector}. Choose --level image, or a detector that makes maps."
        )
    if level == "region":
        both = [_regions(part, group, statistic or _highest) for part in read]
        return Parts(both[0], both[1], left_out, shared=shared, judged=judged)
    if not read[0]:  # nothing to choose on, and so no bins
        nothing = _pixels([], group, np.zeros(1))
        return Parts(nothing, nothing, left_out, shared=shared)
    edges = _edges(read[0])
    both = [_pixels(part, group, edges) for part in read]
    return Parts(both[0], both[1], left_out, edges, shared, judged)


def _judged(rows: pd.DataFrame, part: str) -> int:
    """Labels that are verdicts, where other images of the part have no label: somebody chose among them."""
    inside = rows[rows["assigned_split"] == part]
    return int(inside["verdict"].isin(DECIDED).sum()) if (inside["label"] == "unknown").any() else 0


def check_group(rows: pd.DataFrame, group: str) -> None:
    """Refuse a column that is not in the table, or is empty for some of the images.

    Raises:
        ValueError: there is no such column; names those that have values.
        CurateError: images without a value in it.
    """
    texts = [name for name, kind in load("sample")["properties"].items() if "string" in str(kind.get("type"))]
    if group not in rows.columns or group not in texts:
        used = [name for name in texts if name in rows.columns and rows[name].nunique() > 1]
        raise ValueError(
            f'Unknown column "{group}" to group by; columns with several values: {", ".join(used)}.'
        )
    empty = rows[rows[group].isna() | (rows[group].astype(str) == "")]
    if len(empty):
        raise CurateError(
            f"CurateError: {len(empty)} of {len(rows)} images have no {group}, so it is not known which "
            f"belong together:\n{listed(empty['relative_path'].tolist())}\nFill the column in the source, or "
            "group by another one, such as part_id."
        )


def snapped(threshold: float, edges: Array | None) -> float:
    """A threshold moved up to the next edge of the bins it was chosen from, so that counts of bins are exact.

    >>> snapped(0.3, np.array([0.0, 0.5, 1.0]))
    0.5
    """
    if edges is None or not np.isfinite(threshold) or threshold > edges[-1]:
        return threshold
    return float(edges[np.searchsorted(edges, threshold, side="left")])


@dataclass(frozen=True)
class _Mapped:
    """An image with a map whose defects are known pixel by pixel; both are read when they are asked for."""

    row: dict[str, Any]
    folder: Path
    masks: Path

    @property
    def anomaly_map(self) -> Array:
        """(H, W) float32."""
        return read_raw(self.folder / self.row["raw_map"])

    @property
    def truth(self) -> Array | None:
        """(H, W) bool."""
        return truth_of(self.row, self.masks)


def _check_scores(rows: pd.DataFrame, detector: str) -> None:
    odd = rows[~np.isfinite(rows["anomaly_score"].to_numpy(dtype=np.float64))]
    if len(odd):
        raise DataFault(
            f"DataFault: {len(odd)} of {len(rows)} images have a score of {detector} that is no finite "
            f"number:\n{listed(odd['relative_path'].tolist())}\nLook at these images, score again, or take "
            "another detector."
        )


def _images(rows: pd.DataFrame, group: str) -> Evidence:
    return Evidence.of(
        rows["anomaly_score"].to_numpy(dtype=np.float64),
        (rows["label"] == "anomalous").to_numpy(dtype=bool),
        rows[group].astype(str).to_numpy(dtype=object),
    )


def _mapped(rows: pd.DataFrame, folder: Path, masks: Path) -> list[_Mapped]:
    images = [_Mapped(row, folder, masks) for row in to_rows(rows) if row["raw_map"] is not None]
    return [image for image in images if image.truth is not None]


def _highest(anomaly_map: Array, labels: Array, n_regions: int) -> Sequence[float]:
    if not n_regions:
        return [float(anomaly_map.max())]
    return [float(peak) for peak in ndimage.maximum(anomaly_map, labels, range(1, n_regions + 1))]


def _regions(mapped: list[_Mapped], group: str, statistic: Statistic) -> Evidence:
    scores: list[float] = []
    anomalous: list[bool] = []
    groups: list[str] = []
    for image in mapped:
        labels, n_regions = label_regions(np.asarray(image.truth))
        found = statistic(image.anomaly_map, labels, n_regions)
        scores += found
        anomalous += [n_regions > 0] * len(found)
        groups += [str(image.row[group])] * len(found)
    return Evidence.of(
        np.array(scores, dtype=np.float64), np.array(anomalous, dtype=bool), np.array(groups, dtype=object),
        level="region",
    )  # fmt: skip


def _edges(mapped: list[_Mapped]) -> Array:
    """Lower edges of bins: N_BINS over the range of the maps, and as many above for what the test holds."""
    ends = [(float(m.min()), float(m.max())) for m in (image.anomaly_map for image in mapped)]
    lo, hi = min(end for end, _ in ends), max(end for _, end in ends)
    width = (hi - lo) or max(abs(hi), 1.0)
    return np.asarray(lo + width * np.arange(2 * N_BINS + 1) / N_BINS)


def _pixels(mapped: list[_Mapped], group: str, edges: Array) -> Evidence:
    """Pixels counted by group and bin; what lies below the bins counts in one of its own."""
    counts: dict[str, Array] = {}
    for image in mapped:
        truth = image.truth
        bins = np.searchsorted(edges, image.anomaly_map.astype(np.float64), side="right")
        held = counts.setdefault(str(image.row[group]), np.zeros((2, len(edges) + 1)))
        for side in (0, 1):
            held[side] += np.bincount(bins[truth == bool(side)], minlength=len(edges) + 1)
    values = np.append(np.nextafter(edges[0], -np.inf), edges)
    evidence = [
        Evidence.of(
            values[held[side] > 0],
            np.full(np.count_nonzero(held[side]), bool(side)),
            np.full(np.count_nonzero(held[side]), name, dtype=object),
            held[side][held[side] > 0],
            "pixel",
        )
        for name, held in sorted(counts.items())
        for side in (0, 1)
    ]
    return Evidence(
        np.concatenate([np.empty(0), *(each.scores for each in evidence)]),
        np.concatenate([np.empty(0, dtype=bool), *(each.anomalous for each in evidence)]),
        np.concatenate([np.empty(0, dtype=object), *(each.groups for each in evidence)]),
        np.concatenate([np.empty(0), *(each.weights for each in evidence)]),
        "pixel",
    )
