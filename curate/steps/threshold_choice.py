"""Chooses the thresholds of every category on its calibration part, and tells what they give on the test."""

import functools
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from curate import threshold_advice as advising
from curate.errors import CurateError
from curate.intervals import Estimate
from curate.max_area import region_levels
from curate.metrics import METRICS
from curate.registry import lookup
from curate.steps.pixels import pixel_auroc
from curate.steps.record import Context
from curate.steps.threshold_evidence import Parts, Statistic, parts, snapped
from curate.threshold_evidence import Cut, Evidence
from curate.threshold_values import categories_of, of_category

N_REPLICATES = 200
COUNTS = ("n_normal", "n_anomalous", "n_false_alarms", "n_missed", "n_to_review")
LEFT_OUT = "{n} images without a map, or without a mask of their defect, are left out."
MEANS = ("image_auroc", "pixel_auroc", "f1")
UNSTATED = "no value is stated for it, and no decision about these scores stands that has one to keep."
Row = dict[str, Any]


def choose(
    context: Context, merged: pd.DataFrame, asked: Row, stands: Row | None = None
) -> tuple[dict[str, Row], Row]:
    """Apply a rule to the calibration part of each category; the test part is never looked at for the choice.

    Args:
        merged: from curate.steps.joined.with_scores.
        asked: from curate.threshold_params.choice.
        stands: decision about these scores, of which categories that `asked` says nothing of are kept.

    Returns:
        Category -> its cut, after data_schemas/threshold_decision.json; and the figures over all categories.

    Raises:
        CurateError: a category has no calibration image that the rule needs; every such category is named.
        ValueError: a parameter is stated for a category that there is not.
    """
    statistic = map_statistic(asked["params"])
    by_category: dict[str, Row] = {}
    problems = []
    _check_categories(asked, merged)
    for category, rows in merged.groupby("category", sort=True):
        own = of_category(asked["params"], str(category))
        if own is None:
            held = (stands or {}).get("by_category", {}).get(str(category))
            if held is None:
                problems.append(f"category {category}: {UNSTATED}")
            else:
                by_category[str(category)] = _kept(held, stands)
            continue
        given = parts(context, rows, asked["detector"], asked["level"], asked["group"], statistic)
        if not len(given.calibration.scores):
            problems.append(f"category {category}: no labelled image is in the calibration part")
            continue
        try:
            by_category[str(category)] = _cut(context, rows, given, {**asked, "params": own})
        except ValueError as error:
            lost = f" {LEFT_OUT.format(n=given.left_out)}" if given.left_out else ""
            problems.append(f"category {category}: {error}{lost}")
    if problems:
        raise CurateError(_nothing_to_choose_on(context, asked["rule"], problems))
    return by_category, totals(by_category)


def _check_categories(asked: Row, merged: pd.DataFrame) -> None:
    known = sorted(map(str, merged["category"].unique()))
    if unknown := [name for name in categories_of(asked["params"]) if name not in known]:
        raise ValueError(f"No category {', '.join(unknown)} in this dataset; it has: {', '.join(known)}.")


def _kept(held: Row, stands: Row | None) -> Row:
    """A category's cut of the decision that stands, which says where it comes from."""
    first = held["facts"].get("kept_from") or (stands or {})["id"]
    return {**held, "facts": {**held["facts"], "kept_from": first}}


def map_statistic(params: Mapping[str, Any]) -> Statistic | None:
    """What a rule takes of maps and regions instead of the highest value; None for all rules but max_area."""
    if "max_area_px" not in params:
        return None
    return functools.partial(region_levels, max_area_px=params["max_area_px"])


def _nothing_to_choose_on(context: Context, rule: str, problems: list[str]) -> str:
    name = context.paths.name
    return (
        f"CurateError: the rule {rule} cannot choose a threshold on the calibration part:\n  "
        + "\n  ".join(problems)
        + "\nThe test part is not taken instead: figures of images that it was chosen on say nothing "
        f"of the next ones. Give the calibration part more images (split.fractions in the recipe, or "
        f"`curate split {name} --policy random`), label unknown ones in `curate triage {name}`, or use a "
        'rule that needs no defect, such as "max_normal".'
    )


def _cut(context: Context, rows: pd.DataFrame, given: Parts, asked: Row) -> Row:
    """One category's cut, its figures, and what to expect of it."""
    rule, params = asked["rule"], asked["params"]
    cut = advising.choose(rule, given.calibration, params)
    interval = advising.threshold_interval(rule, given.calibration, params, n_replicates=N_REPLICATES, seed=0)
    cut, interval = on_edges(cut, given), interval_on_edges(interval, given)
    point = advising.report(cut, given.test, defect_rate=asked["defect_rate"])
    test = figures(given.test, cut)
    if asked["level"] == "image":
        labelled = rows[(rows["label"] != "unknown") & (rows["assigned_split"] == "test")]
        test["pixel_auroc"] = pixel_auroc(context, labelled, asked["detector"])
    return {
        "threshold": number(cut.threshold),
        "review_from": number(cut.review_from),
        "band": band(cut),
        "interval": plain(interval),
        "supported": cut.supported,
        "claim": cut.claim,
        "reason": cut.reason,
        "warnings": [*cut.warnings, *warnings_of(given, asked["group"])],
        "facts": {key: _fact(value) for key, value in cut.facts.items()},
        "calibration": figures(given.calibration, cut),
        "test": test,
        "expected": expected(point, cut),
    }


def expected(point: advising.OperatingPoint, cut: Cut) -> Row:
    """What to expect of a cut, by name; nothing where there is no finite threshold to expect it of."""
    if not math.isfinite(cut.threshold) and cut.review_from is None:
        return {}
    named = {each.name: getattr(point, each.name) for each in fields(point)}
    return {name: plain(value) for name, value in named.items() if isinstance(value, Estimate)}


def band(cut: Cut) -> str:
    """Whether a cut has a review band: "none"; "finite"; or "open", where its lower end is not supported."""
    if cut.review_from is None:
        return "none"
    return "finite" if math.isfinite(cut.review_from) else "open"


def on_edges(cut: Cut, given: Parts) -> Cut:
    """A cut on counted pixels, moved up to the edges of their bins; others as they are."""
    if given.edges is None:
        return cut
    review = None if cut.review_from is None else snapped(cut.review_from, given.edges)
    return Cut(
        snapped(cut.threshold, given.edges), review, cut.supported, cut.claim, cut.reason, cut.warnings,
        cut.facts,
    )  # fmt: skip


def interval_on_edges(interval: Estimate, given: Parts) -> Estimate:
    """The interval of a cut on counted pixels, moved as the cut itself is; others as they are."""
    ends = (interval.value, interval.low, interval.high)
    value, low, high = (None if end is None else snapped(end, given.edges) for end in ends)
    return replace(interval, value=value, low=low, high=high)


def warnings_of(given: Parts, group: str) -> list[str]:
    """What makes the figures of a part worth less than they seem."""
    told = []
    if given.left_out:
        told.append(LEFT_OUT.format(n=given.left_out))
    if given.shared:
        n = len(given.shared)
        names = ", ".join(given.shared[:3]) + (f" and {n - 3} more" if n > 3 else "")
        told.append(
            f"Calibration and test have images of the same {group} ({names}): the figures of the test are "
            f"too good. Split again with --group {group}."
        )
    if given.judged:
        counts = " and ".join(f"{n:,} of the {part} part" for part, n in given.judged.items())
        told.append(
            f"Labels from triage: {counts}; other images there have no label yet and are left out. If people "
            "looked at images for their scores, these are not like parts to come, and no rate or bound holds."
        )
    return told


def figures(evidence: Evidence, cut: Cut) -> Row:
    """Counts and figures of one part at a cut; a figure that needs a missing label, or a threshold, is None.

    With a review band, missed are the anomalous below the band, and images within it are to be reviewed.
    """
    scores, labels, weights = evidence.scores, evidence.anomalous, evidence.weights
    n_normal, n_anomalous = int(weights[~labels].sum()), int(weights[labels].sum())
    lower = cut.threshold if cut.review_from is None else min(cut.review_from, cut.threshold)
    alarms, passed = scores >= cut.threshold, scores < lower
    both = n_anomalous > 0 and n_normal > 0
    told = math.isfinite(cut.threshold) or cut.review_from is not None
    row: Row = {
        "n_normal": n_normal,
        "n_anomalous": n_anomalous,
        "n_false_alarms": int(weights[alarms & ~labels].sum()) if told else None,
        "n_missed": int(weights[passed & labels].sum()) if told else None,
        "n_to_review": int(weights[~alarms & ~passed].sum()) if told else None,
        "f1": None,
    }
    if math.isfinite(cut.threshold) and n_anomalous:
        hits = float(weights[alarms & labels].sum())
        row["f1"] = 2 * hits / (float(weights[alarms].sum()) + n_anomalous)
    if evidence.level == "image":
        auroc = lookup(METRICS, "auroc", "metric")
        row["image_auroc"] = float(auroc.compute(scores, labels)) if both else None
    return row


def totals(by_category: Mapping[str, Row]) -> Row:
    """Means over the categories, counts summed, of the test figures; None where no category has one."""
    rows = [row["test"] for row in by_category.values()]
    out: Row = {}
    for key in (*COUNTS, *MEANS):
        values = [row[key] for row in rows if row.get(key) is not None]
        whole = sum(values) if key in COUNTS else float(np.mean(values)) if values else None
        out[key] = whole if values else None
    return out


def plain(estimate: Estimate) -> Row:
    """An estimate as JSON: infinite ends are null."""
    return {
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "level": estimate.level,
        "method": estimate.method,
        "n": None if estimate.n is None else int(estimate.n),
        "note": estimate.note,
    }


def number(value: float | None) -> float | None:
    """A number that JSON has: None for infinite ones and for those that are none.

    >>> number(float("inf")), number(1)
    (None, 1.0)
    """
    return float(value) if value is not None and math.isfinite(value) else None


def _fact(value: Any) -> Any:
    plain_value = value.item() if isinstance(value, np.generic) else value
    return number(plain_value) if isinstance(plain_value, float) else plain_value
