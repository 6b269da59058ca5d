"""Step: assigns every sample to train, calibration or test."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import pandas as pd

from curate import tables
from curate.files import fingerprint
from curate.schema import load
from curate.splits import Fractions, assign, shortages
from curate.steps import labels
from curate.steps.record import Context, digest, once


def run(
    context: Context,
    policy: str = "auto",
    group: str = "part_id",
    seed: int = 0,
    fractions: Fractions | None = None,
) -> dict[str, Any]:
    """Split the dataset without letting a group cross the parts.

    A person's verdict counts for images that were delivered without a label. For others the delivered label
    counts, so that correcting one moves no image from one part to another.

    Returns:
        policy, group, seed, counts (category -> split -> label -> images), shortages
        (what calibration or test lacks, in words), fresh.

    Raises:
        ValueError: unknown policy or group column.
        CurateError: the delivered split leaks, or nothing is left to train on.
    """
    paths = context.paths
    shares = fractions or Fractions()
    samples, told = _labelled(context)
    inputs = {
        "policy": policy,
        "group": group,
        "seed": seed,
        "fractions": asdict(shares),
        "samples": digest(paths.samples),
        "labels": fingerprint(told),
    }

    def work() -> dict[str, Any]:
        split = assign(samples, seed=seed, fractions=shares, policy=policy, group=group)
        tables.write(split, paths.split)
        merged = samples.merge(split, on="sample_id")
        counts: dict[str, dict[str, dict[str, int]]] = {}
        tally = Counter(zip(merged["category"], merged["assigned_split"], merged["label"], strict=True))
        for (category, part, label), size in sorted(tally.items()):
            counts.setdefault(category, {}).setdefault(part, {})[label] = size
        return {
            "policy": policy,
            "group": group,
            "seed": seed,
            "counts": counts,
            "shortages": shortages(samples, split),
        }

    return once(paths, "split", inputs, [paths.split], work)


def _labelled(context: Context) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Sample table with what a person said of unlabelled images; and that alone, by sample_id."""
    delivered = tables.to_rows(tables.read(context.paths.samples))
    now = {row["sample_id"]: row for row in tables.to_rows(labels.current(context))}
    told: dict[str, Any] = {}
    rows = []
    for row in delivered:
        said = {key: now[row["sample_id"]][key] for key in ("label", "defect_types")}
        if row["label"] == "unknown" and said["label"] != "unknown":
            told[row["sample_id"]] = said
        rows.append({**row, **told.get(row["sample_id"], {})})
    return tables.from_rows(rows, list(load("sample")["properties"])), told
