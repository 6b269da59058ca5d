"""curate ingest: takes a folder of images into a dataset."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, command


def run(
    source: Annotated[Path, typer.Argument(help="Folder of images.")],
    name: Annotated[str | None, typer.Option("--name", help="Dataset (default: the folder's name).")] = None,
    format_name: Annotated[str, typer.Option("--format", help="Layout of the folder.")] = "auto",
    source_name: Annotated[
        str | None, typer.Option("--source", help="Name of this source, part of every sample id.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take the place of a source of the same name elsewhere.")
    ] = False,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file again, even if no size and no time changed.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a folder of images into a dataset; list its faults."""
    arguments: dict[str, Any] = {"source": source, "name": name, "format": format_name}
    arguments |= {"source_name": source_name, "overwrite": overwrite, "rehash": rehash}
    with command("ingest", home, as_json, arguments) as job:
        from curate.recipe import Source
        from curate.steps import ingest, sync
        from curate.workspace import dataset_name

        folder = source.expanduser().absolute()
        paths = job.workspace.dataset(name or dataset_name(folder.name))
        context = job.alone(paths)
        result = ingest.run(context, Source(folder, format_name, source_name), overwrite, rehash)
        sync.everything(context)
        job.record.add_input("samples", sync.digest(paths.samples))
        job.result({"dataset": paths.name, **result}, _lines)
        if result["n_errors"]:
            raise typer.Exit(1)


def _lines(content: dict[str, Any]) -> str:
    from curate.wording import faults

    head = (
        f'{content["dataset"]}: {content["n_images"]} images from source "{content["source"]}", '
        f"layout {content['format']}; {content['n_added']} added, {content['n_changed']} changed, "
        f"{content['n_vanished']} vanished"
    )
    state = "" if content["fresh"] else "  (unchanged since the last time)"
    return "\n".join([head + state, *faults(content["faults"])])
