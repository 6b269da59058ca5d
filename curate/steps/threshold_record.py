"""What is decided about thresholds, and what is shown of it: threshold.json and the step's record.

The files of decisions are what counts; the others are made from the decision that is shown. So a command that
was killed in between is completed by the next one.
"""

from typing import Any

from curate.files import fingerprint, write_json
from curate.steps import labels
from curate.steps.joined import masks_digest, set_aside
from curate.steps.record import Context, as_made, digest, finish, recorded
from curate.threshold_decisions import PERSON, Decision, read, standing

STEP = "threshold"


def data_of(context: Context, detector: str) -> dict[str, str]:
    """Checksums of what decisions about a detector are made from, as they are now."""
    paths = context.paths
    return {
        "predictions": digest(paths.detector(detector) / "predictions.parquet"),
        "split": digest(paths.split),
        "samples": digest(paths.samples),
        "verdicts": labels.digest(context),
        "masks": masks_digest(context),
        "set_aside": fingerprint(set_aside(context, detector)),
    }


def shown(context: Context, history: list[Decision]) -> Decision | None:
    """The decision about images that threshold.json holds.

    It is the last one of a person that has not lapsed, else the last of those that stand.
    """
    ids = {row["detector"] for row in history if row["level"] == "image"}
    held = [row for name in ids if (row := standing(history, name, "image"))]
    of_people = [row for row in held if row["origin"] == PERSON and not lapsed(context, row)]
    return max(of_people or held, key=lambda row: str(row["at"]), default=None)


def show(context: Context, history: list[Decision]) -> None:
    """Make threshold.json and the step's record from the decision that is shown, unless they are."""
    paths, decision = context.paths, shown(context, history)
    if decision is None:
        return
    made_of = recorded(paths, STEP)["inputs"]
    if as_made(paths, STEP, paths.threshold) and made_of.get("decision") == decision["id"]:
        return
    write_json(paths.threshold, decision)
    inputs = {
        **{key: decision[key] for key in ("detector", "rule", "params", "level", "group", "defect_rate")},
        **decision["data"],
        "decision": decision["id"],
    }
    finish(paths, STEP, inputs, [paths.threshold], {"decision": decision["id"]})


def settle(context: Context) -> None:
    """Complete what a killed command decided but did not show."""
    show(context, read(context.paths.decisions))


def history_of(context: Context) -> list[Decision]:
    """Every decision of a dataset, oldest first, each with `stands`: whether no later one replaced it."""
    rows = read(context.paths.decisions)
    replaced = {row["replaces"] for row in rows}
    return [{**row, "stands": row["id"] not in replaced} for row in rows]


def lapsed(context: Context, content: dict[str, Any]) -> bool:
    """Whether thresholds are about scores that their detector no longer gives."""
    made_of = content.get("data", recorded(context.paths, STEP)["inputs"]).get("predictions")
    now = digest(context.paths.detector(content["detector"]) / "predictions.parquet")
    return made_of is not None and made_of != now
