"""All threshold rules side by side: what each would choose, what it gives on the test, and which one fits."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from curate import threshold_interval as bootstrap
from curate.cut_points import NORMALS, PLURALS
from curate.intervals import LEVEL, Estimate
from curate.operating_point import OperatingPoint, report
from curate.registry import lookup
from curate.threshold_evidence import Cut, Evidence
from curate.thresholds import THRESHOLDS

__all__ = ["Advice", "OperatingPoint", "advise", "choose", "parameters", "report", "threshold_interval"]

KIND = "threshold rule"
STATED = "The threshold is stated, not estimated: it has no interval."


@dataclass(frozen=True)
class Advice:
    """One rule on the given items.

    Attributes:
        rule: its name.
        when: the situation it suits.
        cut: what it chose; None where it cannot run, and `reason` says why.
        interval: of the threshold, under a bootstrap over groups; None where there is no cut.
        point: what the cut gives on the test items; None without test items or a cut.
        recommended: whether this is the one to take in the given situation.
        reason: why it is recommended, why it cannot run, or why its claim is not supported; otherwise "".
    """

    rule: str
    when: str
    cut: Cut | None
    interval: Estimate | None
    point: OperatingPoint | None
    recommended: bool
    reason: str


def parameters(rule: str) -> dict[str, Any]:
    """Names and defaults of a rule's parameters.

    Raises:
        ValueError: no such rule.
    """
    signature = inspect.signature(lookup(THRESHOLDS, rule, KIND).choose)
    return {name: one.default for name, one in signature.parameters.items() if one.kind is one.KEYWORD_ONLY}


def by_hand(rule: str) -> bool:
    """Whether a person states the value, so that there is nothing to advise.

    Raises:
        ValueError: no such rule.
    """
    return bool(getattr(lookup(THRESHOLDS, rule, KIND), "BY_HAND", False))


def choose(rule: str, evidence: Evidence, params: Mapping[str, Any] | None = None) -> Cut:
    """Apply a rule.

    Args:
        params: parameters of the rule by name; those left out have their defaults.

    Raises:
        ValueError: no such rule, no such parameter, a level the rule does not work on, or missing labels.
    """
    module, given, known = lookup(THRESHOLDS, rule, KIND), dict(params or {}), parameters(rule)
    if evidence.level not in module.LEVELS:
        levels = " or ".join(PLURALS[level] for level in module.LEVELS)
        raise ValueError(f'The rule "{rule}" works on {levels}; found {PLURALS[evidence.level]}.')
    unknown = [name for name in given if name not in known]
    if unknown:
        takes = ", ".join(known) or "none"
        raise ValueError(f'The rule "{rule}" has no parameter {", ".join(unknown)}. It takes: {takes}.')
    cut: Cut = module.choose(evidence, **given)
    return cut


def threshold_interval(
    rule: str,
    evidence: Evidence,
    params: Mapping[str, Any] | None = None,
    n_replicates: int = 200,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """The threshold of a rule with its interval under a bootstrap over groups.

    Raises:
        ValueError: as choose.
    """
    quick = getattr(lookup(THRESHOLDS, rule, KIND), "QUICK", {})
    settings = {**(params or {}), **quick}
    if by_hand(rule):
        value = choose(rule, evidence, settings).threshold
        return Estimate(value if np.isfinite(value) else None, level=level, note=STATED)
    again = functools.partial(choose, rule, params=settings)
    return bootstrap.interval(again, evidence, n_replicates, seed, level)


def advise(
    calibration: Evidence,
    test: Evidence | None,
    rules: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    defect_rate: float | None = None,
    n_replicates: int = 200,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Advice]:
    """Every rule on the calibration items, with what it gives on the test items.

    A rule that cannot run says why instead of failing.

    Args:
        test: items the rules never look at; None without a test part.
        rules: their names; when None, all but those whose value a person states.
        params: by name ("alpha", "cost_miss"); each rule takes those it knows.
        defect_rate: share of the line's parts that are anomalous; goes to the rules that take it, too.

    Raises:
        ValueError: an unknown rule, or a parameter that none of the rules takes.
    """
    names = [name for name in THRESHOLDS if not by_hand(name)] if rules is None else list(rules)
    stated = dict(params or {}) | ({} if defect_rate is None else {"defect_rate": defect_rate})
    known = {name: parameters(name) for name in names}
    every = sorted({param for one in known.values() for param in one} | {"defect_rate"})
    unknown = [name for name in stated if name not in every]
    if unknown:
        raise ValueError(f"No rule has a parameter {', '.join(unknown)}. They take: {', '.join(every)}.")
    rows = []
    for name in names:
        own = {param: value for param, value in stated.items() if param in known[name]}
        when = str(lookup(THRESHOLDS, name, KIND).WHEN)
        try:
            cut = choose(name, calibration, own)
            around = threshold_interval(name, calibration, own, n_replicates, seed, level)
        except ValueError as error:
            rows.append(Advice(name, when, None, None, None, False, str(error)))
            continue
        rate = stated.get("defect_rate")
        point = None if test is None else report(cut, test, defect_rate=rate, level=level, seed=seed)
        rows.append(Advice(name, when, cut, around, point, False, cut.reason))
    return _with_recommendation(rows, stated, calibration.level)


def _with_recommendation(rows: list[Advice], stated: Mapping[str, Any], level: str) -> list[Advice]:
    """Mark the first rule, of those that suit what is known, that the data support."""
    supported = {row.rule for row in rows if row.cut is not None and row.cut.supported}
    for rule, why in _preferences(stated, level):
        if rule in supported:
            return [replace(row, recommended=True, reason=why) if row.rule == rule else row for row in rows]
    return rows


def _preferences(stated: Mapping[str, Any], level: str) -> list[tuple[str, str]]:
    """Rules from the most to the least fitting one for what is known of the line, each with its reason."""
    costs = {"cost_miss", "cost_false_alarm", "defect_rate"} <= stated.keys()
    normals, wanted = f"normal {NORMALS[level]}", []
    if costs and "cost_review" in stated:
        why = "Costs, also of a review, and the line's defect rate are known: the band costs least in sum."
        wanted.append(("review_band", why))
    if costs:
        why = "Costs and the line's defect rate are known: this threshold costs least."
        wanted.append(("cost_minimal", why))
    if "beta" in stated and "alpha" in stated:
        why = "Both rates are bounded, and what lies between the two thresholds goes to a person."
        wanted.append(("review_band", why))
    elif "beta" in stated:
        why = f"The miss rate is bounded, and there are enough anomalous {PLURALS[level]} for that."
        wanted.append(("conformal_risk", why))
    return [
        *wanted,
        (
            "conformal",
            f"It bounds false alarms for any distribution, and there are enough {normals} for that.",
        ),
        ("evt", f"There are too few {normals} for the bound of conformal, but their tail can be fitted."),
        ("fixed_fpr", f"The rate of false alarms can be measured on these {normals}."),
        (
            "max_normal",
            f"There are too few {normals} to bound the rate of false alarms; none of those seen raises one.",
        ),
    ]
