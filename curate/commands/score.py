"""curate score: anomaly maps and scores for every image."""

import json
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command


def run(
    name: Name,
    detector: Annotated[str, typer.Option("--detector", help="Which detector: padim.")] = "padim",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the detector, as key=value (may be repeated)."),
    ] = None,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit a detector on normal images, and score every image."""
    arguments = {"name": name, "detector": detector, "settings": settings, "seed": seed}
    with command("score", home, as_json, arguments) as job:
        from curate.steps import score, sync

        context = job.alone(job.workspace.existing(name))
        result = score.run(context, detector, _parsed(settings or []), seed)
        sync.everything(context)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        job.result({"dataset": name, **result}, _lines)


def _parsed(settings: list[str]) -> dict[str, Any]:
    """key=value pairs; a value is JSON where it reads as JSON, else text."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ValueError(f'--set expects key=value, got "{setting}".')
        try:
            parsed[key] = json.loads(text)
        except json.JSONDecodeError:
            parsed[key] = text
    return parsed


def _lines(content: dict[str, Any]) -> str:
    state = "" if content["fresh"] else " (done before)"
    return (
        f"{content['dataset']}: {content['n_scored']} images scored by {content['detector']}{state}\n"
        + cost(content["report"])
    )


def cost(report: dict[str, Any]) -> str:
    """What a detector cost, in a line: time, memory, size."""
    return (
        f"  fit {report['fit_seconds']:.1f} s on {report['n_normals']} normal images, "
        f"{report['ms_per_image']:.0f} ms per image with {report['runtime']}, "
        f"peak memory {report['peak_rss_bytes'] / 2**20:.0f} MiB, "
        f"detector on disk {report['state_bytes'] / 2**20:.0f} MiB"
    )
