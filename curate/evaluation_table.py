"""An evaluation as one long table: a row for each figure of each detector, category and slice."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from curate.tables import from_rows

COLUMNS = (
    "detector", "category", "slice_column", "slice_value", "level", "metric", "value", "low", "high",
    "interval_level", "method", "n", "note",
)  # fmt: skip
DECIDED = (
    "false_alarm_rate", "miss_rate", "review_rate", "false_alarms_per_1000", "escapes_per_million",
    "precision", "f1", "precision_at_defect_rate",
)  # fmt: skip
AT_THRESHOLD = {  # told apart from figures of the ranking
    "precision": "precision_at_threshold",
    "f1": "f1_at_threshold",
    "precision_at_defect_rate": "precision_at_threshold_and_defect_rate",
}
ALL = "(all)"  # stands in the column category for the mean over categories
Part = Mapping[str, Any]


def table(evaluation: Part) -> pd.DataFrame:
    """Every figure of an evaluation that has an interval, or could have one.

    Args:
        evaluation: after data_schemas/evaluation.json.

    Returns:
        COLUMNS. slice_column and slice_value are "" for a whole category; a comparison of two detectors has
        the slice_column "minus" and the other detector as slice_value.
    """
    rows = [row for detector in evaluation["detectors"] for row in _detector(detector)]
    for category, differences in evaluation["differences"].items():
        for difference in differences:
            place = (difference["first"], category, "minus", difference["second"], "image")
            rows.append(_row(place, f"{difference['metric']}_difference", _with_p(difference)))
    return from_rows(rows, list(COLUMNS))


def _with_p(difference: Part) -> dict[str, Any]:
    """A difference whose note tells its p-value."""
    if difference["p_holm"] is None:
        return dict(difference)
    told = f"p {difference['p_value']:.4g}, after Holm {difference['p_holm']:.4g}."
    return {**difference, "note": f"{told} {difference['note']}".strip()}


def _detector(detector: Part) -> Iterator[dict[str, Any]]:
    name = detector["detector"]
    for category, part in detector["categories"].items():
        yield from _levels(part, (name, category))
        yield from _decided(part["at_threshold"], (name, category, "", "", "image"))
        yield from _regions(part["regions"], (name, category))
        for reduction, estimate in part["reductions"].items():
            yield _row((name, category, "reduction", reduction, "image"), "image_auroc", estimate)
        for row in part["by_defect_type"]:
            if row["recall"] is not None:
                place = (name, category, "defect_type", row["defect_type"], "image")
                yield _row(place, "recall_at_threshold", row["recall"])
        for row in part["slices"]:
            place = (name, category, row["column"], row["value"], "image")
            for metric in ("image_auroc", "image_average_precision", "false_alarm_rate", "miss_rate"):
                yield _row(place, metric, row[metric])
        yield from _pixel_slices(part, (name, category))
    if detector["overall"] is not None:
        yield from _levels(detector["overall"], (name, ALL))
        yield from _decided(detector["overall"]["at_threshold"], (name, ALL, "", "", "image"))


def _levels(part: Part, place: tuple[str, str]) -> Iterator[dict[str, Any]]:
    for level in ("image", "object", "pixel"):
        for metric, estimate in (part[level] or {}).items():
            yield _row((*place, "", "", level), metric, estimate)


def _decided(found: Part | None, place: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for metric in DECIDED:
        if found is not None and found[metric] is not None:
            yield _row(place, AT_THRESHOLD.get(metric, metric), found[metric])


def _regions(regions: Part | None, place: tuple[str, str]) -> Iterator[dict[str, Any]]:
    if regions is None:
        return
    for metric in ("found_any", "found_overlap"):
        yield _row((*place, "", "", "region"), f"region_recall_{metric}", regions[metric])
    for metric in ("found_any", "found_overlap"):
        for size in regions["sizes"]["bins"]:
            if size[metric] is not None:
                at = (*place, "region_size", size["bin"], "region")
                yield _row(at, f"region_recall_{metric}", size[metric])
        smallest = regions["sizes"]["smallest"][metric]
        if smallest is not None:
            unit = regions["sizes"]["unit"]
            yield _row((*place, "", "", "region"), f"smallest_{metric}_diameter_{unit}", smallest)


def _pixel_slices(part: Part, place: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Figures of pixels and regions by slice; recalls by size are among those of the regions already."""
    regions = part["regions"]
    known = set() if regions is None else {("region_size", size["bin"]) for size in regions["sizes"]["bins"]}
    for row in part["pixel_slices"]:
        key = row["column"], row["value"]
        for metric, estimate in row["figures"].items():
            level = "region" if metric.startswith("region_recall") else "pixel"
            if level == "pixel" or key not in known:
                yield _row((*place, *key, level), metric, estimate)


def _row(place: tuple[str, ...], metric: str, estimate: Part) -> dict[str, Any]:
    keys = ("value", "low", "high", "interval_level", "method", "n", "note")
    known = {**estimate, "interval_level": estimate["level"]}
    return dict(zip(COLUMNS, (*place, metric, *(known[key] for key in keys)), strict=True))
