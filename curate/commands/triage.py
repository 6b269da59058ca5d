"""curate triage: a person looks, decides, and every decision is kept."""

import contextlib
from typing import Annotated, Any

import typer

from curate.shell import Home, Job, Json, Name, command

HINT = (
    "Tick images, then press a button above them: tick = normal, exclamation mark = anomalous,\n"
    "arrow = skip, bent arrow = undo. More: docs/triage.md.\n"
    "Ctrl-C ends the page; it answers on this machine only."
)


def run(
    name: Name,
    port: Annotated[int, typer.Option("--port", help="Port of the page; 0 takes any free one.")] = 5151,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Begin with undecided images that came then or later: 2026-11-01."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decide in the browser: normal, anomalous, skip, undo."""
    with command("triage", home, as_json, {"name": name, "port": port, "since": since}) as job:
        job.workspace.existing(name)
        serve_until_stopped(job, name, port, since=since)


def serve_until_stopped(
    job: Job, name: str, port: int, result: dict[str, Any] | None = None, since: str | None = None
) -> None:
    """Serve the page, print its address, and wait for Ctrl-C; no process is left behind.

    Args:
        result: of the work before, to be told in one JSON object with the address.
        since: see curate.steps.triage.page.
    """
    from curate.steps import triage
    from curate.steps.record import Context

    context = Context(job.workspace, job.workspace.existing(name), job.say)
    # Ctrl-C is the way to end the page, not a failure: from the first moment the address can be seen
    with triage.page(context, port, since) as (address, wait), contextlib.suppress(KeyboardInterrupt):
        job.result(
            {**(result or {}), "dataset": name, "address": address},
            lambda content: f"\nTriage page: {content['address']}\n{HINT}",
        )
        wait()
    job.say("Stopped. Every verdict is stored.")
