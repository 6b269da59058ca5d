"""The settings a dataset was made with, as its exports state them, without the places of this machine."""

from pathlib import PurePath
from typing import Any
from urllib.parse import unquote

from curate.steps import sources
from curate.steps.record import Context, digest, recorded

THRESHOLD = ("detector", "rule", "params", "defect_rate")


def settings(context: Context) -> dict[str, Any]:
    """What the records of the dataset's steps say, so that every command states the same.

    Detectors and a threshold of an earlier split are left out.

    Returns:
        name, sources, split (policy, group, seed, fractions), detectors (name, seed and settings; sorted by
        name) and threshold (detector, rule, parameters); a step that did not run is empty.
    """
    paths = context.paths
    split = recorded(paths, "split")["inputs"]
    threshold = _of_this_split(context, "threshold")
    detectors = []
    for record in sorted(paths.steps.glob("score-*.json")):
        made_of = _of_this_split(context, record.stem)
        if made_of:
            detectors.append(
                {**made_of.get("config", {}), "name": unquote(record.stem.removeprefix("score-"))}
            )
    return {
        "name": paths.name,
        "sources": [_source(context, name) for name in sources.present(paths)],
        "split": {key: split[key] for key in ("policy", "group", "seed", "fractions") if key in split},
        "detectors": detectors,
        "threshold": {key: threshold[key] for key in THRESHOLD if threshold.get(key)},
    }


def _of_this_split(context: Context, step: str) -> dict[str, Any]:
    """Inputs of a step that used the present split; empty without one."""
    inputs: dict[str, Any] = recorded(context.paths, step)["inputs"]
    return inputs if inputs.get("split") == digest(context.paths.split) else {}


def _source(context: Context, name: str) -> dict[str, Any]:
    inputs = recorded(context.paths, sources.key(name))["inputs"]
    folder = PurePath(inputs.get("path", "")).name
    return {"name": name, "format": inputs.get("format"), "folder": folder}
