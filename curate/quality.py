"""Numbers about each image that a person wants to sort and filter by, from what the checks looked at."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from curate.checks import Evidence
from curate.tables import from_rows, to_rows

# name -> (type, what it says); empty where nothing was measured
FIELDS: dict[str, tuple[type, str]] = {
    "brightness": (float, "Median grey value; 1 is the end of the range."),
    "contrast": (float, "Between the darkest and the brightest hundredth; 1 is the whole range."),
    "overexposed": (float, "Share of the pixels at the upper end of the range."),
    "sharpness": (float, "Of the edges along the worse axis: 2 is an ideal step, near 1 is blurred."),
    "noise": (float, "Deviation of the pixel noise; 1 is the end of the range."),
    "defect_px": (int, "Pixels that the ground truth marks as defect."),
    "n_regions": (int, "Regions of the ground-truth mask."),
    "smallest_region_px": (int, "Size of its smallest region."),
    "duplicate_group": (str, "Path of the first image of those that show the same, exactly or nearly."),
}
DUPLICATES = ("exact_duplicates", "near_duplicates")
MEASURED = {
    "brightness": "brightness_p50",
    "contrast": "contrast",
    "overexposed": "over_fraction",
    "noise": "noise",
}


def numbers(evidence: Evidence, findings: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per sample.

    Args:
        evidence: statistics and mask facts are used as far as they are there.
        findings: rows of curate.faults.to_rows, each with the check that made it.

    Returns:
        sample_id and FIELDS; None where there is no number.
    """
    measured = _by_id(evidence.statistics)
    masks = _by_id(evidence.mask_facts)
    groups = _duplicate_groups(findings)
    rows = []
    for sample_id, path in zip(evidence.samples["sample_id"], evidence.samples["relative_path"], strict=True):
        row: dict[str, Any] = {"sample_id": sample_id, "duplicate_group": groups.get(path)}
        if found := measured.get(sample_id):
            row |= {name: found[column] for name, column in MEASURED.items()}
            row["sharpness"] = min(found["sharpness_x"], found["sharpness_y"])
        if found := masks.get(sample_id):
            row |= {"defect_px": found["n_px"], "n_regions": found["n_regions"]}
            row["smallest_region_px"] = found["smallest_px"] if found["n_regions"] else None
        rows.append(row)
    return from_rows(rows, ["sample_id", *FIELDS])


def _by_id(table: pd.DataFrame | None) -> dict[str, dict[str, Any]]:
    if table is None:
        return {}
    wanted = {
        "sample_id",
        "sharpness_x",
        "sharpness_y",
        *MEASURED.values(),
        "n_px",
        "n_regions",
        "smallest_px",
    }
    columns = [name for name in table.columns if name in wanted]
    return {row["sample_id"]: row for row in to_rows(table[columns])}


def _duplicate_groups(findings: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Relative path -> first path of its group; findings that share a file make one group."""
    groups: dict[str, set[str]] = {}
    for row in findings:
        if row["check"] in DUPLICATES:
            members = {row["relative_path"], *row["related"]}
            merged = members.union(*(groups[path] for path in members if path in groups))
            groups |= dict.fromkeys(merged, merged)
    return {path: min(group) for path, group in groups.items()}
