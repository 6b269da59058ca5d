"""curate demo: the whole job on demo data, or on your own images, then the triage page."""

from pathlib import Path
from typing import Annotated

import typer

from curate.shell import Home, Json, Seed, command


def run(
    data: Annotated[Path | None, typer.Option("--data", help="Your own folder of images.")] = None,
    format_name: Annotated[str, typer.Option("--format", help="Layout of your folder.")] = "auto",
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open the triage page at the end.")
    ] = True,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port of the triage page; 0 takes any free one.")
    ] = 5151,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run the whole job on drawn or your own images. Start here."""
    arguments = {"data": data, "format": format_name, "serve": serve, "seed": seed}
    with command("demo", home, as_json, arguments) as job:
        from curate import recipe
        from curate.commands.build import end_if_unverified, lines
        from curate.files import sha256_file
        from curate.steps import build
        from curate.steps.demo import prepare

        path = prepare(job.workspace, data, format_name, seed, job.say)
        told = recipe.load(path)
        job.record.add_input("recipe", sha256_file(path))
        context = job.alone(job.workspace.dataset(told.name))
        result = build.run(context, told)
        job.record.add_input("samples", result["samples_sha256"])
        if not (serve and as_json):
            job.result(result, lines)
        job.say(f"The recipe: {path}\nRun it again with: curate build {path}")
        end_if_unverified(result)
        if serve:
            from curate.commands.triage import serve_until_stopped

            job.leave()
            serve_until_stopped(job, told.name, port, result)
