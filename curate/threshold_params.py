"""How a threshold rule is asked: its parameters as they are typed, the level, the groups, the defect rate."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.registry import lookup
from curate.threshold_advice import parameters
from curate.threshold_evidence import LEVELS
from curate.threshold_values import check_kinds, check_values
from curate.thresholds import THRESHOLDS

GROUPED_BY = "part_id"
Params = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How a rule is asked: its parameters, and what it works on.

    Attributes:
        params: given for the rule; others keep their defaults.
        level: "image", "region" or "pixel".
        group: column whose values say which images are not independent.
        defect_rate: share of the parts on the line that are defective; None where it is not known.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    level: str = "image"
    group: str = GROUPED_BY
    defect_rate: float | None = None


def parse(texts: Sequence[str]) -> Params:
    """Name -> value of texts such as "alpha=0.01"; a value is JSON where it reads as JSON, else text.

    Raises:
        ValueError: a text is not of this form, or a name is there twice.

    >>> parse(["alpha=0.01", "method=pwm"])
    {'alpha': 0.01, 'method': 'pwm'}
    """
    params: Params = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f'--set expects key=value; found "{text}".')
        if name in params:
            raise ValueError(f'--set {name} is there twice: {params[name]}, then "{value}".')
        params[name] = _value(value)
    return params


def complete(rule: str, given: Mapping[str, Any]) -> Params:
    """The parameters a rule works with: those given, and the defaults of the others.

    Raises:
        ValueError: no such rule; or it has no parameter of this name, and the message lists those it has; or
            a value is of another kind than the parameter.

    >>> complete("f1_max", {"alpha": 0.01})
    Traceback (most recent call last):
    ValueError: Unknown parameter "alpha": the rule "f1_max" has none.
    """
    own = parameters(rule)
    for name in given:
        if name not in own:
            raise ValueError(_unknown(name, rule, own))
    check_kinds(rule, given)
    return {**own, **given}


def choice(detector: str, rule: str, settings: Settings) -> Params:
    """What is decided, as a decision states it; refuses what cannot be asked for.

    Raises:
        ValueError: no such rule, level or parameter; the rule makes no sense at the level; the defect rate
            is no share; or a value is out of the range that the rule has for it.
    """
    module = lookup(THRESHOLDS, rule, "threshold rule")
    if settings.level not in LEVELS:
        raise ValueError(f'Expected a level of {", ".join(LEVELS)}; found "{settings.level}".')
    if settings.level not in module.LEVELS:
        fit = [name for name, entry in THRESHOLDS.items() if settings.level in entry.load().LEVELS]
        raise ValueError(
            f'The rule "{rule}" is for the level {" or ".join(module.LEVELS)}, not for {settings.level}. '
            f"Rules for {settings.level}: {', '.join(fit)}."
        )
    params = complete(rule, settings.params)
    rate = rate_of(settings)
    if rate is not None and "defect_rate" in params and "defect_rate" not in settings.params:
        params["defect_rate"] = rate
    check_values(rule, params, settings.level)
    return {
        "detector": detector,
        "level": settings.level,
        "rule": rule,
        "params": params,
        "group": settings.group,
        "defect_rate": rate,
    }


def rate_of(settings: Settings) -> float | None:
    """The line's defect rate, stated for itself or as a parameter of the rule; None where it is not known.

    Raises:
        ValueError: it lies outside (0, 1), or the two differ.

    >>> rate_of(Settings({"defect_rate": 0.01}))
    0.01
    """
    own, rate = settings.params.get("defect_rate"), settings.defect_rate
    for each in (own, rate):
        if each is not None and not (isinstance(each, int | float) and 0 < each < 1):
            raise ValueError(
                f"Expected a defect rate in (0, 1); found {each}. Write one in a hundred as 0.01."
            )
    if own is not None and rate is not None and own != rate:
        raise ValueError(
            f"Expected one defect rate of the line; found {rate:g} (--defect-rate) and {own:g} (--set)."
        )
    return own if rate is None else rate


def _unknown(name: str, rule: str, own: Params) -> str:
    if not own:
        return f'Unknown parameter "{name}": the rule "{rule}" has none.'
    near = difflib.get_close_matches(name, own, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    told = ", ".join(f"{key} (default {_told(value)})" for key, value in own.items())
    return f'Unknown parameter "{name}" of the rule "{rule}".{hint} Known: {told}.'


def _told(value: Any) -> str:
    return "none" if value is None else str(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
