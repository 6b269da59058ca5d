"""Runs a whole recipe: ingest, check, split, score, threshold, export, verify."""

import time
from pathlib import Path
from typing import Any

from curate import gate
from curate.errors import CurateError, listed
from curate.faults import SEVERITIES
from curate.files import sha256_file
from curate.recipe import Recipe
from curate.score_training import Choice
from curate.splits import Fractions
from curate.steps import check, export, ingest, picture, score, sources, split, sync, threshold
from curate.steps import threshold_picture as cuts
from curate.steps import verify as verifying
from curate.steps.record import Context
from curate.threshold_params import Settings


class Stopped(CurateError):
    """The checks found what the recipe does not tolerate."""


def run(context: Context, recipe: Recipe, rehash: bool = False) -> dict[str, Any]:
    """Run every step of a recipe; finished steps are not repeated unless their inputs changed.

    Args:
        rehash: read every image again, even if no size and no time changed.

    Returns:
        dataset, one entry per step with its result, and seconds (step -> seconds spent now).

    Raises:
        Stopped: the checks found faults that the recipe's gate, or its `stop_on`, does not tolerate.
        CurateError: a step failed; what was finished before is kept.
    """
    clock = _Clock(context)
    _check_sources(recipe)
    limits = gate.load(recipe.gate) if recipe.gate else None
    taken = [clock("ingest", ingest.run, context, source, True, rehash) for source in recipe.sources]
    sources.retire(context, {one["source"] for one in taken})
    clock("page", sync.everything, context)
    divided = clock(
        "split",
        split.run,
        context,
        recipe.split_policy,
        recipe.split_group,
        recipe.seed,
        Fractions(**recipe.fractions),
    )
    checked = clock("check", check.run, context, recipe.checks)
    clock("page", sync.everything, context)
    _stop_if_bad(context, checked, recipe.stop_on, limits)
    wanted = {
        settings["name"]: {key: value for key, value in settings.items() if key != "name"}
        for settings in recipe.detectors
    }
    scored = clock("score", score.run_all, context, wanted, recipe.seed, Choice(**recipe.learning))
    chosen = recipe.threshold_detector or recipe.detectors[0]["name"]
    asked = Settings(**recipe.threshold_settings)
    cut = clock("threshold", threshold.by_recipe, context, chosen, recipe.threshold_rule, asked)
    clock("page", sync.everything, context)
    drawn = clock("picture", _pictures, context, cut)
    exports = []
    for target in recipe.exports:
        written = clock("export", export.run, context, target.format, target.out)
        verified = clock("verify", verifying.run, Path(written["out"]))
        exports.append(written | {"verified": verified["ok"], "verify_findings": verified["findings"]})
    return {
        "dataset": context.paths.name,
        "sources": taken,
        "split": divided,
        "check": checked,
        "score": scored,
        "threshold": cut,
        "picture": drawn["path"],
        "exports": exports,
        "seconds": clock.seconds,
        "samples_sha256": sha256_file(context.paths.samples),
    }


def _pictures(context: Context, cut: dict[str, Any]) -> dict[str, Any]:
    """The overview, and the scores with the threshold beside threshold.json."""
    cuts.run(context, cut)
    return picture.run(context)


def _check_sources(recipe: Recipe) -> None:
    """Raise when two sources of a recipe have one name: one would take the other's place."""
    if len(recipe.sources) < 2:
        return
    by_name: dict[str, list[str]] = {}
    for source in recipe.sources:
        by_name.setdefault(ingest.identity(source)[0], []).append(str(source.path))
    same = [f"{name}: {' and '.join(places)}" for name, places in by_name.items() if len(places) > 1]
    if same:
        raise CurateError(
            f"CurateError: several sources of the recipe have the same name:\n{listed(same)}\n"
            'Without a name a source is called after its format. Give each its own: name = "line 2".'
        )


def _stop_if_bad(
    context: Context, checked: dict[str, Any], stop_on: str, limits: dict[str, Any] | None
) -> None:
    from curate.wording import faults

    if limits is not None:
        judged = gate.judge_result(limits, checked)
        if all(limit.ok for limit in judged):
            return
        rule, told = "its gate is not kept", gate.lines(judged)
    else:
        tolerated = {"error": ("warning", "note"), "warning": ("note",), "never": SEVERITIES}[stop_on]
        if all(row["severity"] in tolerated for row in checked["findings"]):
            return
        rule, told = f'the recipe says stop_on = "{stop_on}"', []
    counts = f"{checked['n_errors']} errors and {checked['n_warnings']} warnings"
    raise Stopped(
        "\n".join(
            [
                f'Stopped: the checks of "{context.paths.name}" found {counts}; {rule}.',
                *faults(checked["findings"]),
                *told,
                "What is good is stored. Mend the files and run the build again, or set the limits.",
            ]
        )
    )


class _Clock:
    """Runs steps, tells what they do, and adds up their seconds."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Any, *arguments: Any) -> Any:
        begun = time.monotonic()
        result = work(*arguments)
        spent = time.monotonic() - begun
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 2)
        results = result if isinstance(result, list) else [result]
        fresh = any(each.get("fresh", True) if isinstance(each, dict) else True for each in results)
        self.context.say(f"{name:<10} {'done' if fresh else 'kept'}  {spent:6.1f} s")
        return result
