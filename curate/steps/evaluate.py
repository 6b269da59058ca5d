"""Step: evaluates detectors on the test part, which no fit and no choice of a threshold has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate import schema, tables
from curate.errors import CurateError, Missing
from curate.evaluation import Options, told
from curate.evaluation_decision import Threshold
from curate.evaluation_images import arrays, check_columns
from curate.evaluation_images import evaluate as evaluate_scores
from curate.files import read_json, write_json
from curate.map_reductions import compare_reductions
from curate.progress import Advance, bar
from curate.steps import labels
from curate.steps.evaluation_about import cost_digests
from curate.steps.evaluation_pixels import evaluate as evaluate_maps
from curate.steps.evaluation_pixels import region_table
from curate.steps.evaluation_thresholds import decisions_of, in_force, map_threshold
from curate.steps.evaluation_truth import proposed
from curate.steps.evaluation_whole import Scored, whole
from curate.steps.joined import masks_digest, set_aside, with_scores
from curate.steps.record import Context, digest, once
from curate.workspace import file_name

FILE = "evaluation.json"
FORMAT = 2  # of the file; a new number evaluates again


def run(context: Context, detectors: Sequence[str] = (), options: Options | None = None) -> dict[str, Any]:
    """Evaluate detectors; what was evaluated before with equal inputs is kept, also after an interruption.

    Args:
        detectors: all that have scores when none is named.

    Returns:
        evaluation (after data_schemas/evaluation.json, also in evaluation.json of the dataset's folder),
        evaluated_at (when it was computed), fresh.

    Raises:
        Missing: the dataset has not been split or scored, or not since its images changed.
        ValueError: a column to slice by is unknown or empty.
        CurateError: the test part has no labelled image.
    """
    wanted = options or Options()
    scored = [_scored(context, name) for name in _names(context, detectors)]
    check_columns(pd.concat([each.test for each in scored]), wanted.by)
    shared = {
        "format": FORMAT,
        "options": wanted.as_json(),
        "split": digest(context.paths.split),
        "samples": digest(context.paths.samples),
        "verdicts": labels.digest(context),
        "masks": masks_digest(context),
    }
    files = []
    with bar("evaluate", sum(len(each.test) for each in scored)) as advance:
        for each in scored:
            files.append(_part(context, each, wanted, shared, advance))
    target = context.paths.root / FILE
    drawn = [proposed(context, each.name, _categories(each)) for each in scored]
    parts = [digest(path) for path in files]
    inputs = {**shared, "parts": parts, "costs": cost_digests(context), "proposed": drawn}

    def work() -> dict[str, Any]:
        content = whole(context, scored, [read_json(path) for path in files], wanted, drawn)
        schema.check_rows([content], "evaluation")
        write_json(target, content)
        return {"evaluated_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}

    result = once(context.paths, "evaluate", inputs, [target], work)
    return {**result, "evaluation": read_json(target)}


def _categories(scored: Scored) -> dict[str, str]:
    return dict(zip(scored.test["sample_id"], scored.test["category"], strict=True))


def _names(context: Context, wanted: Sequence[str]) -> list[str]:
    known = context.paths.detectors()
    if not wanted and not known:
        raise Missing(
            f'Missing: dataset "{context.paths.name}" has no scores. Run: curate score {context.paths.name}'
        )
    return list(dict.fromkeys(wanted or known))


def _scored(context: Context, name: str) -> Scored:
    merged = with_scores(context, name)
    folder = context.paths.detector(name)
    extra = tables.read(folder / "predictions.parquet")
    more = [column for column in ("detector", "reduction", "reductions") if column in extra]
    found = Scored(
        name, folder, merged.merge(extra[["sample_id", *more]], on="sample_id"), decisions_of(context, name)
    )
    if found.test.empty:
        raise CurateError(
            f'CurateError: the test part of dataset "{context.paths.name}" has no labelled image: there is '
            "nothing to evaluate on. Label images with curate triage, or split with a larger test part."
        )
    return found


def _part(
    context: Context, scored: Scored, options: Options, shared: Mapping[str, Any], advance: Advance
) -> Path:
    """One detector's evaluation as a file."""
    name = file_name(scored.name)
    target = context.paths.root / "evaluation" / f"{name}.json"
    inputs = {
        **shared,
        "detector": scored.name,
        "predictions": digest(scored.folder / "predictions.parquet"),
        "set_aside": set_aside(context, scored.name),
        "decisions": {level: each["id"] for level, each in scored.decisions.items()},
    }

    def work() -> dict[str, Any]:
        categories = {
            str(category): _category(context, scored, str(category), rows, options, advance)
            for category, rows in scored.test.groupby("category", sort=True)
        }
        write_json(target, {"detector": scored.name, "categories": categories})
        return {}

    if not once(context.paths, f"evaluate-{name}", inputs, [target], work)["fresh"]:
        advance(len(scored.test))
    return target


def _category(
    context: Context, scored: Scored, category: str, test: pd.DataFrame, options: Options, advance: Advance
) -> dict[str, Any]:
    rows = test.sort_values("sample_id")
    known = scored.known
    calibration = known[(known["category"] == category) & (known["assigned_split"] == "calibration")]
    not_a_number = ~np.isfinite(rows["anomaly_score"].astype(float))
    odd = rows[not_a_number]["relative_path"].tolist()
    rows = rows[~not_a_number]
    if rows.empty:
        raise CurateError(
            f"CurateError: no test image of {category} has a finite score of {scored.name}. Score it again."
        )
    cut = in_force(scored.decisions, category, calibration)
    at, how = map_threshold(
        context, scored.name, scored.decisions, category, {"test": rows, "calibration": calibration}, cut
    )
    regions = region_table(rows, context.paths.masks)
    maps = evaluate_maps(rows, scored.folder, context.paths.masks, at, options, advance, regions)
    advance(len(odd))
    scores = evaluate_scores(rows, cut, options, regions)
    return {
        **scores,
        **maps,
        "curves": {**scores["curves"], **maps["curves"]},
        "threshold": _threshold(cut) | {"map_value": at, "map_value_from": how},
        "reductions": _reductions(rows, options),
        "scores_not_finite": odd,
    }


def _threshold(cut: Threshold) -> dict[str, Any]:
    return {**asdict(cut), "warnings": list(cut.warnings)}


def _reductions(rows: pd.DataFrame, options: Options) -> dict[str, Any]:
    """Image AUROC of each way from map to score, where the scores were recorded with them."""
    if "reductions" not in rows or rows["reductions"].isna().all():
        return {}
    _, anomalous, groups = arrays(rows)
    found = compare_reductions(
        rows, anomalous, groups, n_replicates=options.n_replicates, seed=options.seed, level=options.level
    )
    return {name: told(estimate) for name, estimate in found.items()}
