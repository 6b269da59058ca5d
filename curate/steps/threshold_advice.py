"""All threshold rules side by side on a scored dataset; decides nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from curate import threshold_advice as advising
from curate.errors import CurateError
from curate.steps.joined import with_scores
from curate.steps.record import Context
from curate.steps.threshold_choice import (
    band,
    expected,
    interval_on_edges,
    map_statistic,
    number,
    on_edges,
    plain,
    warnings_of,
)
from curate.steps.threshold_evidence import Parts, parts
from curate.threshold_advice import Advice
from curate.threshold_evidence import Evidence
from curate.threshold_params import Settings, rate_of
from curate.threshold_values import check_kinds
from curate.thresholds import THRESHOLDS

N_REPLICATES = 200
OWN_STATISTIC = "max_area"  # its evidence is made of the maps with its own parameter
Row = dict[str, Any]


def run(context: Context, detector: str, settings: Settings | None = None) -> Row:
    """What every rule would choose on the calibration part, and what that gives on the test part.

    Args:
        settings: parameters are for every rule that has them.

    Returns:
        detector, level, group, defect_rate, params, and by_category: counts of `calibration` and `test`,
        `warnings`, and `rules`, a row each: rule, when, levels, needs, threshold, review_from, band,
        interval, supported, claim, reason, warnings, expected (name -> estimate), recommended, why.

    Raises:
        ValueError: no rule has a parameter given, or its value is of another kind; no such level or column;
            or the defect rate is no share.
        Missing: the dataset has not been split or scored.
        CurateError: no category has a labelled image in its calibration part.
    """
    asked = settings or Settings()
    asked = replace(asked, defect_rate=rate_of(asked))
    for rule in THRESHOLDS:
        check_kinds(rule, asked.params)
    merged = with_scores(context, detector)
    by_category: dict[str, Row] = {}
    for category, rows in merged.groupby("category", sort=True):
        given = parts(context, rows, detector, asked.level, asked.group)
        if len(given.calibration.scores):
            by_category[str(category)] = _category(context, rows, detector, given, asked)
    if not by_category:
        raise CurateError(
            "CurateError: no labelled image is in the calibration part, so no rule can choose. The test part "
            "is not taken instead. Give the calibration part images: split.fractions in the recipe, or "
            f"`curate split {context.paths.name} --policy random`."
        )
    return {
        "detector": detector,
        "level": asked.level,
        "group": asked.group,
        "defect_rate": asked.defect_rate,
        "params": dict(asked.params),
        "by_category": by_category,
    }


def _category(context: Context, rows: pd.DataFrame, detector: str, given: Parts, asked: Settings) -> Row:
    advice = _advice(given, asked, None)
    if asked.level == "region":
        params = {**advising.parameters(OWN_STATISTIC), **_own(OWN_STATISTIC, asked.params)}
        own = parts(context, rows, detector, asked.level, asked.group, map_statistic(params))
        (of_its_own,) = _advice(own, asked, OWN_STATISTIC)
        advice = [of_its_own if row.rule == OWN_STATISTIC else row for row in advice]
    return {
        "calibration": _counts(given.calibration),
        "test": _counts(given.test),
        "warnings": warnings_of(given, asked.group),
        "rules": [_row(row, given) for row in advice],
    }


def _advice(given: Parts, asked: Settings, rule: str | None) -> list[Advice]:
    """Advice on all rules, or on one."""
    return advising.advise(
        given.calibration,
        given.test,
        None if rule is None else [rule],
        dict(asked.params) if rule is None else _own(rule, asked.params),
        defect_rate=asked.defect_rate,
        n_replicates=N_REPLICATES,
    )


def _own(rule: str, params: Mapping[str, Any]) -> dict[str, Any]:
    known = advising.parameters(rule)
    return {name: value for name, value in params.items() if name in known}


def _counts(evidence: Evidence) -> Row:
    return {
        "n_normal": int(evidence.normals.weights.sum()),
        "n_anomalous": int(evidence.anomalies.weights.sum()),
    }


def _row(advice: Advice, given: Parts) -> Row:
    module = THRESHOLDS[advice.rule].load()
    cut = on_edges(advice.cut, given) if advice.cut else None
    return {
        "rule": advice.rule,
        "when": advice.when,
        "levels": list(module.LEVELS),
        "needs": list(module.NEEDS),
        "threshold": number(cut.threshold) if cut else None,
        "review_from": number(cut.review_from) if cut else None,
        "band": band(cut) if cut else "none",
        "interval": plain(interval_on_edges(advice.interval, given)) if advice.interval else None,
        "supported": cut.supported if cut else False,
        "claim": cut.claim if cut else "",
        "reason": cut.reason if cut else advice.reason,
        "warnings": list(cut.warnings) if cut else [],
        "expected": expected(advice.point, cut) if advice.point and cut else {},
        "recommended": advice.recommended,
        "why": advice.reason if advice.recommended else "",
    }
