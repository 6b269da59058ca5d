"""The defect regions of a dataset as a table, from its canonical masks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from curate.anomaly_maps import read_raw
from curate.masks import label_regions
from curate.progress import bar
from curate.region_table import found, regions_of
from curate.schema import load
from curate.steps.pixels import truth_of
from curate.steps.record import Context
from curate.tables import from_rows
from curate.truth import in_force

if TYPE_CHECKING:
    from curate.input_sizes import Inputs

Row = Mapping[str, Any]
TRUTHS = ("exact", "weak", "boxes", "none")
COPIED = ("category", "part_id")


def region_table(
    context: Context,
    rows: Sequence[Row],
    detector: str | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    inputs: "Mapping[str, Inputs] | None" = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The regions of anomalous images; what is not asked for is None.

    Args:
        rows: of the sample table; normal ones are passed over. With raw_map where thresholds are given.
        detector: whose maps; only its name is noted without thresholds.
        thresholds: category -> map value from which on pixels count as found.
        inputs: category -> how the detector sees an image.

    Returns:
        The table after data_schemas/region.json, all its columns; and how many images have which truth: an
        exact mask, a weak one, boxes only, or none.
    """
    from curate.input_sizes import sizes_at_input

    found_rows: list[dict[str, Any]] = []
    truths = dict.fromkeys(TRUTHS, 0)
    anomalous = [row for row in rows if row["label"] == "anomalous"]
    with bar("regions", len(anomalous)) as advance:
        for row in anomalous:
            truth = truth_of(dict(row), context.paths.masks)
            truths[_kind(context, row, truth is not None)] += 1
            advance(1)
            if truth is None:
                continue
            own: list[dict[str, Any]] = regions_of(row, truth)
            labels, n_regions = label_regions(truth)
            facts = {name: row[name] for name in COPIED} | {"assigned_split": row.get("assigned_split")}
            for region in own:
                region |= {**facts, "detector": detector}
            seen = (inputs or {}).get(row["category"])
            if seen is not None:
                for name, values in sizes_at_input(labels, n_regions, seen).items():
                    for region, value in zip(own, values, strict=True):
                        region[name] = value
            threshold = (thresholds or {}).get(row["category"])
            if threshold is not None and row.get("raw_map"):
                folder = context.paths.detector(str(detector))
                touched, overlap = found(read_raw(folder / row["raw_map"]), labels, n_regions, threshold)
                for region, hit, share in zip(own, touched.tolist(), overlap.tolist(), strict=True):
                    region |= {"found_any": hit, "found_overlap": share}
            found_rows += own
    return from_rows(found_rows, list(load("region")["properties"])), truths


def _kind(context: Context, row: Row, known: bool) -> str:
    if not known:
        return "none"
    if in_force(row, context.paths.masks) is None:
        return "boxes"
    return "weak" if row["mask_quality"] == "weak" else "exact"
