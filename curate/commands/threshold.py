"""curate threshold: where normal ends."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

ON_TEST = (
    "a threshold is chosen on the calibration part only. The test part tells what the choice is worth, and "
    "can tell it only while no choice has seen it: a threshold fitted to it looks better than it will be on "
    "the line. Where calibration has too few images, give it more: split.fractions in the recipe, or "
    "`curate split NAME --policy random`."
)


def run(
    name: Name,
    rule: Annotated[
        str, typer.Option("--rule", help="Which rule; --advise shows them all. max_normal needs no defect.")
    ] = "f1_max",
    detector: Annotated[str, typer.Option("--detector", help="Whose scores.")] = "padim",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter of the rule: alpha=0.01, cost_miss=200 (may be repeated)."),
    ] = None,
    level: Annotated[
        str, typer.Option("--level", help="What is cut: image (scores), region or pixel (maps).")
    ] = "image",
    defect_rate: Annotated[
        float | None,
        typer.Option("--defect-rate", help="Share of the line's parts that are defective, such as 0.001."),
    ] = None,
    group: Annotated[
        str,
        typer.Option("--group", help="Column whose values say which images belong together, such as lot."),
    ] = "part_id",
    on: Annotated[
        str, typer.Option("--on", help="Part to choose on; only calibration can be right.")
    ] = "calibration",
    advise: Annotated[
        bool,
        typer.Option("--advise", help="Show all rules side by side, and which one fits; decide nothing."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a decision that stands; needs --why.")
    ] = False,
    why: Annotated[str, typer.Option("--why", help="Reason, kept with the decision.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who decides (default: $CURATE_USER, else you).")] = "",
    history: Annotated[bool, typer.Option("--list", help="Show every decision ever made.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Choose and show, but store nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Choose where normal ends, see what that gives, and keep the decision."""
    arguments = {
        "name": name, "rule": rule, "detector": detector, "settings": settings, "level": level,
        "defect_rate": defect_rate, "group": group, "on": on, "advise": advise, "replace": replace,
        "why": why or None, "by": by or None, "list": history, "dry_run": dry_run,
    }  # fmt: skip
    with command("threshold", home, as_json, arguments) as job:
        from curate.threshold_params import Settings, parse

        if on != "calibration":
            raise ValueError(f"--on {on} is refused: {ON_TEST}")
        modes = {"--list": history, "--advise": advise, "--replace": replace}
        if len(both := [option for option, given in modes.items() if given]) > 1:
            raise ValueError(f"Choose one of {' and '.join(both)}: only a decision can replace another one.")
        asked = Settings(parse(settings or []), level, group, defect_rate)
        context = job.alone(job.workspace.existing(name))
        if level in ("region", "pixel") and not history:
            context.say("reading the anomaly maps of the calibration and the test part, which takes a while")
        if history:
            _list(job, context)
        elif advise:
            _advise(job, context, detector, asked)
        else:
            choice = {"replace": replace, "why": why, "by": by, "dry_run": dry_run}
            _decide(job, context, detector, rule, asked, choice)


def _decide(job: Any, context: Any, detector: str, rule: str, asked: Any, choice: dict[str, Any]) -> None:
    from curate.steps import sync, threshold, threshold_picture

    result = threshold.run(context, detector, rule, asked, **choice)
    if not choice["dry_run"]:
        result["picture"] = str(threshold_picture.run(context, result))
        sync.everything(context)
    job.record.add_input("predictions", result["data"]["predictions"])
    job.result({"dataset": context.paths.name, **result}, lines)


def _advise(job: Any, context: Any, detector: str, asked: Any) -> None:
    from curate.steps import sync, threshold_advice, threshold_picture
    from curate.threshold_tables import advice

    result = threshold_advice.run(context, detector, asked)
    result["picture"] = str(threshold_picture.of_advice(context, result))
    predictions = context.paths.detector(detector) / "predictions.parquet"
    job.record.add_input("predictions", sync.digest(predictions))
    job.result({"dataset": context.paths.name, **result}, advice)


def _list(job: Any, context: Any) -> None:
    from curate.steps.threshold_record import history_of
    from curate.threshold_tables import history

    rows = history_of(context)
    job.result(
        {"dataset": context.paths.name, "decisions": rows}, lambda content: history(content["decisions"])
    )


def lines(content: dict[str, Any]) -> str:
    """A decision about thresholds for a person."""
    from curate.threshold_tables import chosen

    return chosen(content)
