"""curate triage: a person looks, decides, and every decision is kept."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Job, Json, Name, asked_to_end, command

HINT = (
    "Press ? on the page for the keys: o opens an image, n = normal, a = anomalous, b takes it back.\n"
    "Or tick images and press a button above them. More: docs/triage.md.\n"
    "Ctrl-C ends the page; it answers on this machine only."
)

SHARED_HINT = (
    "People log in with a token: curate access add NAME PERSON. More: docs/sharing.md.\n"
    "Ctrl-C ends the page for everybody."
)


def run(
    name: Name,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port of the page; 0 takes any.")
    ] = 5151,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Begin with undecided images that came then or later: 2026-11-01."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Share the page at this address; people need a token: curate access."),
    ] = None,
    cert: Annotated[Path | None, typer.Option("--cert", help="With --host: certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="With --host: its private key, PEM.")] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", help="With --host: another name by which people reach this machine."),
    ] = None,
    people: Annotated[
        int, typer.Option("--people", min=1, help="With --host: who may be at work at a time, 0.4 GB each.")
    ] = 8,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="With --host: no certificate, though others can listen.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decide in the browser: normal, anomalous, skip, undo."""
    arguments = {"name": name, "port": port, "since": since, "host": host}
    with command("triage", home, as_json, arguments) as job:
        job.workspace.existing(name)
        if host is None:
            if cert or key or names or insecure:
                raise ValueError("--cert, --key, --name and --insecure belong to --host.")
            serve_until_stopped(job, name, port, since=since)
            return
        from curate.steps import share
        from curate.steps.record import Context

        place = share.place_of(host, port, cert, key, names or [], insecure)
        context = Context(job.workspace, job.workspace.existing(name), job.say)
        _told_and_served(job, name, share.page(context, place, people, since), SHARED_HINT, {})


def _told_and_served(
    job: Job,
    name: str,
    page: AbstractContextManager[tuple[str, Callable[[], None]]],
    hint: str,
    result: dict[str, Any],
) -> None:
    """Print the page's address, and wait for Ctrl-C."""
    # Ctrl-C is the way to end the page, not a failure: from the first moment the address can be seen
    with page as (address, wait), contextlib.suppress(KeyboardInterrupt):
        job.result(
            {**result, "dataset": name, "address": address},
            lambda content: f"\nTriage page: {content['address']}\n{hint}",
        )
        if not asked_to_end():
            wait()
    job.say("Stopped. Every verdict is stored.")


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
    _told_and_served(job, name, triage.page(context, port, since), HINT, result or {})
