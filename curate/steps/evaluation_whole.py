"""Puts the evaluations of detectors together: means over categories, and how detectors differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from curate.detector_comparison import compare
from curate.evaluation import Options, mean_of
from curate.evaluation_images import GROUP, arrays
from curate.evaluation_table import DECIDED
from curate.steps.evaluation_about import about
from curate.steps.record import Context
from curate.threshold_decisions import Decision

COUNTED = ("n_false_alarms", "n_missed", "n_reviewed_normal", "n_reviewed_anomalous")


@dataclass(frozen=True)
class Scored:
    """A detector with its scores, and the decisions about its thresholds that stand, by level."""

    name: str
    folder: Path
    merged: pd.DataFrame
    decisions: Mapping[str, Decision]

    @property
    def known(self) -> pd.DataFrame:
        """Images with a label."""
        return self.merged[self.merged["label"] != "unknown"]

    @property
    def test(self) -> pd.DataFrame:
        """The images that count here."""
        return self.known[self.known["assigned_split"] == "test"]


def whole(
    context: Context,
    scored: Sequence[Scored],
    parts: Sequence[dict[str, Any]],
    options: Options,
    proposed: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The whole evaluation.

    Args:
        parts: of each detector, in the order of scored: detector and categories.
        proposed: of each detector, see curate.steps.evaluation_truth.

    Returns:
        After data_schemas/evaluation.json.
    """
    categories = sorted({category for part in parts for category in part["categories"]})
    return {
        "dataset": context.paths.name,
        "part": "test",
        "options": options.as_json(),
        "categories": categories,
        "images": {category: _images(scored[0], category) for category in categories},
        "detectors": [
            {
                **part,
                "about": {**about(context, each.name), "own_masks": dict(own)},
                "decision": _decision(each.decisions.get("image")),
                "overall": _overall(part["categories"]),
            }
            for each, part, own in zip(scored, parts, proposed, strict=True)
        ],
        "differences": {category: list(_differences(scored, category, options)) for category in categories},
    }


def _decision(decision: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {key: decision[key] for key in ("id", "at", "by", "why", "rule", "params")}


def _images(scored: Scored, category: str) -> dict[str, int]:
    """What the test part of a category holds."""
    rows = scored.merged[
        (scored.merged["category"] == category) & (scored.merged["assigned_split"] == "test")
    ]
    counts = {
        f"n_{label}": int((rows["label"] == label).sum()) for label in ("normal", "anomalous", "unknown")
    }
    return counts | {"n_groups": int(rows[rows["label"] != "unknown"][GROUP].nunique())}


def _overall(categories: Mapping[str, Any]) -> dict[str, Any] | None:
    """Means over the categories, counts summed; None where there is only one."""
    parts = list(categories.values())
    if len(parts) < 2:
        return None
    out: dict[str, Any] = {}
    for kind in ("image", "object", "pixel"):
        known = [part[kind] for part in parts if part[kind]]
        names = list(dict.fromkeys(name for each in known for name in each))
        out[kind] = {name: mean_of([each[name] for each in known if name in each]) for name in names} or None
    decided = [part["at_threshold"] for part in parts if part["at_threshold"] is not None]
    counts = [part["counts"] for part in parts if part["at_threshold"] is not None]
    out["at_threshold"] = None
    if decided:
        sums = {key: sum(of[key] for of in counts) for key in ("n_normal", "n_anomalous")}
        sums |= {key: sum(found[key] for found in decided) for key in COUNTED}
        means = {key: mean_of([found[key] for found in decided]) for key in DECIDED}
        out["at_threshold"] = {**sums, **means}
    return out


def _differences(scored: Sequence[Scored], category: str, options: Options) -> Iterator[dict[str, Any]]:
    """Every pair of detectors on the images that both have scored."""
    rows = [each.test[each.test["category"] == category] for each in scored]
    ids = sorted(set.intersection(*(set(each["sample_id"]) for each in rows))) if rows else []
    if len(scored) < 2 or not ids:
        return
    aligned = [each.set_index("sample_id").loc[ids] for each in rows]
    by_detector = {each.name: arrays(of)[0] for each, of in zip(scored, aligned, strict=True)}
    _, anomalous, groups = arrays(aligned[0])
    for found in compare(
        by_detector,
        anomalous,
        groups,
        fpr=options.fpr,
        n_replicates=options.n_replicates,
        seed=options.seed,
        level=options.level,
    ):
        yield asdict(found)
