"""Whether the values given for a threshold rule's parameters can be meant; wrong ones are refused by name."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from curate.registry import lookup
from curate.threshold_evidence import Evidence
from curate.thresholds import THRESHOLDS

KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}
N_PROBE = 8


def check_kinds(rule: str, given: Mapping[str, Any]) -> None:
    """Refuse values of another kind than the rule's parameters have; those it does not have are passed over.

    Raises:
        ValueError: no such rule, or a value is of the wrong kind; numbers have to be finite.

    >>> check_kinds("k_sigma", {"robust": "no"})
    Traceback (most recent call last):
    ValueError: Expected true or false for robust of the rule "k_sigma"; found "no". The default is false.
    """
    module = lookup(THRESHOLDS, rule, "threshold rule")
    signature = inspect.signature(module.choose)
    for name, value in _stated(module, given):
        one = signature.parameters.get(name)
        if one is None or one.kind is not one.KEYWORD_ONLY or (value is None and one.default is None):
            continue
        kind = next(known for known in KINDS if known in (one.annotation, *_members(one.annotation)))
        if not _is(value, kind):
            raise ValueError(
                f'Expected {KINDS[kind]} for {name} of the rule "{rule}"; found {told(value)}. '
                f"The default is {told(one.default)}."
            )


def check_values(rule: str, params: Mapping[str, Any], level: str) -> None:
    """Refuse parameters that the rule refuses whatever it is given, before any image is looked at.

    Args:
        params: all of the rule's, of the right kinds.
        level: one that the rule works on.

    Raises:
        ValueError: the rule's own, about a value out of its range.
    """
    scores, labels = np.arange(float(N_PROBE)), np.arange(N_PROBE) >= N_PROBE // 2
    module = lookup(THRESHOLDS, rule, "threshold rule")
    for category in categories_of(params) or [""]:
        own = of_category(params, category)
        module.choose(Evidence.of(scores, labels, level=level), **(own or {}))


def categories_of(params: Mapping[str, Any]) -> list[str]:
    """Categories for which a parameter is stated by itself; sorted.

    >>> categories_of({"value": {"sus": 3.0, "acf": 2.5}})
    ['acf', 'sus']
    """
    return sorted({name for value in params.values() if isinstance(value, Mapping) for name in value})


def of_category(params: Mapping[str, Any], category: str) -> dict[str, Any] | None:
    """A rule's parameters for one category; None where they are stated for other categories only.

    >>> of_category({"value": {"acf": 2.5}, "review_from": None}, "acf")
    {'value': 2.5, 'review_from': None}
    """
    named = categories_of(params)
    if named and category not in named:
        return None
    return {
        name: value.get(category) if isinstance(value, Mapping) else value for name, value in params.items()
    }


def _stated(module: Any, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and values; one that may be stated for each category comes once for each."""
    found: list[tuple[str, Any]] = []
    for name, value in given.items():
        several = isinstance(value, Mapping) and value and name in getattr(module, "BY_CATEGORY", ())
        found += [(name, each) for each in value.values()] if several else [(name, value)]
    return found


def told(value: Any) -> str:
    """A value as a person types it.

    >>> told(False), told("no"), told(None)
    ('false', '"no"', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _members(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
