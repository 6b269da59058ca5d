"""Step: decides on a threshold per category; a decision that stands is replaced only when asked to."""

import json
import shlex
from typing import Any

from curate.cut_points import PLURALS
from curate.errors import AlreadyExists, CurateError, listed
from curate.files import read_json
from curate.runs import versions
from curate.steps.joined import with_scores
from curate.steps.record import Context
from curate.steps.threshold_choice import choose
from curate.steps.threshold_record import data_of, show, shown
from curate.threshold_advice import parameters
from curate.threshold_decisions import (
    PERSON,
    RECIPE,
    Decision,
    append,
    complete,
    differences,
    of_these_scores,
    one_line,
    read,
    same_choice,
    signed,
    standing,
)
from curate.threshold_params import Settings, choice


def run(
    context: Context,
    detector: str,
    rule: str = "f1_max",
    settings: Settings | None = None,
    *,
    replace: bool = False,
    why: str = "",
    by: str = "",
    origin: str = PERSON,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Decide on thresholds with a rule; the test part is never looked at for the choice.

    The same choice on the same data is decided once. A decision whose scores are no more has lapsed, and any
    other one takes its place.

    Args:
        replace: take the place of a decision that stands.
        why: reason; needed to replace a decision.
        by: who decides.
        origin: "person", or "recipe" for an unattended build.
        dry_run: choose, but store nothing.

    Returns:
        The decision, after data_schemas/threshold_decision.json, and fresh: whether it was made now; `note`
        where there is something to say about it. A dry run has neither id nor time.

    Raises:
        ValueError: no such rule, level, column or parameter; or no reason to replace a decision is given.
        AlreadyExists: another decision stands; says which, and how to replace it.
        Missing: the dataset has not been split or scored.
        CurateError: a category has no calibration image the rule needs, or no category gets a threshold.
    """
    asked = choice(detector, rule, settings or Settings())
    merged = with_scores(context, detector)  # also refuses scores that are no longer those of the images
    data = data_of(context, detector)
    history = read(context.paths.decisions)
    stands = standing(history, detector, asked["level"])
    if stands and not replace and not dry_run and not differences(stands, asked, data):
        return _kept(context, history, stands)
    if not dry_run:
        why = _reason(context, stands, asked, data, replace, why)
    kept = stands if stands and of_these_scores(stands, data) else None
    by_category, test = choose(context, merged, asked, kept)
    content = {
        **asked,
        "by": one_line(by) or _user(),
        "origin": origin,
        "why": one_line(why),
        "replaces": stands["id"] if stands else None,
        "by_category": by_category,
        "test": test,
        "data": data,
        "versions": versions(),
    }
    if dry_run:
        return {**content, "fresh": False, "note": "Nothing is stored: this was a dry run."}
    if origin == PERSON:
        _need_a_threshold(context, asked, by_category)
    decision = complete(content, history)
    append(context.paths.decisions, decision)
    show(context, [*history, decision])
    return {**decision, "fresh": True, "note": ""}


def _need_a_threshold(context: Context, asked: dict[str, Any], by_category: dict[str, Any]) -> None:
    """Refuse a decision without a single threshold: it would leave every image without an answer."""
    if any(row["threshold"] is not None or row["band"] != "none" for row in by_category.values()):
        return
    reasons = dict.fromkeys(row["reason"] for row in by_category.values())
    raise CurateError(
        f"CurateError: nothing is decided, because these data support no threshold by the rule "
        f"{asked['rule']}:\n{listed(list(reasons))}\nCollect more images, ask for less, or take another "
        f"rule: curate threshold {context.paths.name} --detector {asked['detector']} --advise"
    )


def _kept(context: Context, history: list[Decision], decision: Decision) -> dict[str, Any]:
    show(context, history)
    note = f"Decided before: {signed(decision)}"
    if decision["level"] == "image":
        held = read_json(context.paths.threshold)
        if held["id"] != decision["id"]:
            note += f"\nthreshold.json and the triage page show another one, made later: {signed(held)}"
    return {**decision, "fresh": False, "note": note}


def _reason(
    context: Context,
    stands: Decision | None,
    asked: dict[str, Any],
    data: dict[str, str],
    replace: bool,
    why: str,
) -> str:
    """Why a decision takes the place of the one that stands; raises where it may not."""
    if stands is None:
        return why
    changed = differences(stands, asked, data)
    if not of_these_scores(stands, data):
        return why or f"{stands['id']} was made of other scores"
    if replace and why.strip():
        return why
    if replace:
        raise ValueError(
            f"--replace needs a reason, for whoever reads the history: --why TEXT. It takes the place of "
            f"{signed(stands)}."
        )
    why_stands = f'\n  why: "{stands["why"]}"' if stands["why"] else ""
    raise AlreadyExists(
        f"AlreadyExists: a decision about {PLURALS[asked['level']]} of {asked['detector']} stands:\n"
        f"  {signed(stands)}{why_stands}\n"
        + "".join(f"  {line}\n" for line in changed)
        + "It is not overwritten unless you say so, and stays in the history then:\n"
        f'  {command_of(context, asked)} --replace --why "..."\n'
        "To see what another choice gives without deciding: --dry-run, or --advise for all rules."
    )


def command_of(context: Context, asked: dict[str, Any]) -> str:
    """The command line that asks for a choice."""
    words = [
        "curate",
        "threshold",
        context.paths.name,
        "--detector",
        asked["detector"],
        "--rule",
        asked["rule"],
    ]
    defaults = parameters(asked["rule"])
    for key, value in asked["params"].items():
        if value != defaults.get(key) and not (key == "defect_rate" and value == asked["defect_rate"]):
            words += ["--set", f"{key}={json.dumps(value) if isinstance(value, dict) else value}"]
    for option, standard in (("level", "image"), ("group", "part_id"), ("defect_rate", None)):
        if asked[option] != standard:
            words += [f"--{option.replace('_', '-')}", str(asked[option])]
    return shlex.join(words)


def _user() -> str:
    from curate.store.acting import user

    return user()


def by_recipe(context: Context, detector: str, rule: str, settings: Settings | None = None) -> dict[str, Any]:
    """Decide as a recipe says, unattended; a decision of a person is kept.

    An earlier decision of a recipe is replaced, with what changed as the reason.

    Returns:
        As `run`. A person's decision that stands, with `note`; it may have lapsed, and then says what to do.
    """
    asked = choice(detector, rule, settings or Settings())
    history = read(context.paths.decisions)
    stands = standing(history, detector, asked["level"])
    if stands is None:
        return run(context, detector, rule, settings, origin=RECIPE)
    with_scores(context, detector)
    data = data_of(context, detector)
    changed = differences(stands, asked, data)
    if stands["origin"] == PERSON and changed:
        return _of_a_person(context, history, stands, asked, data)
    held = shown(context, history)
    if not changed and held and held["origin"] == RECIPE and held["detector"] != detector:
        changed = [f"the recipe names {detector} again"]
    return run(
        context, detector, rule, settings, origin=RECIPE, replace=bool(changed), why="; ".join(changed)
    )


def _of_a_person(
    context: Context, history: list[Decision], stands: Decision, asked: dict[str, Any], data: dict[str, str]
) -> dict[str, Any]:
    """A person's decision that a build leaves alone, and what to say about it."""
    show(context, history)
    note = f"The recipe does not replace what a person decided: {signed(stands)}"
    if not of_these_scores(stands, data):
        again = {**asked, **{key: stands[key] for key in ("rule", "params", "group", "defect_rate")}}
        note += (
            f"\nIt was made of other scores, so it holds no more: nothing is predicted. Decide again:\n"
            f"  {command_of(context, again)}"
        )
    elif not same_choice(stands, asked):
        note += f"\nTo follow the recipe: {command_of(context, asked)} --replace --why TEXT"
    context.say(note)
    return {**stands, "fresh": False, "note": note}
