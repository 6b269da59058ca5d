"""curate ingest: takes a folder of images into a dataset."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, command

SHOWN = 5


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
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="KEY=VALUE", help="Setting of the layout (repeatable); VALUE may be JSON."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say what would be taken in, and how; store nothing.")
    ] = False,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file again, even if no size and no time changed.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a folder of images into a dataset; list its faults."""
    arguments: dict[str, Any] = {"source": source, "name": name, "format": format_name, "option": options}
    arguments |= {"source_name": source_name, "explain": explain, "overwrite": overwrite, "rehash": rehash}
    with command("ingest", home, as_json, arguments) as job:
        from curate.recipe import Source
        from curate.workspace import dataset_name

        folder = source.expanduser().absolute()
        paths = job.workspace.dataset(name or dataset_name(folder.name))
        told = Source(folder, format_name, source_name, options=_settings(options or []))
        if explain:
            from curate.steps import explain as explaining

            content = {"dataset": paths.name, **explaining.run(told, paths)}
            job.result(content, _explained)
            raise typer.Exit(1 if content["n_errors"] else 0)
        from curate.steps import ingest, sync

        context = job.alone(paths)
        result = ingest.run(context, told, overwrite, rehash)
        if result["fresh"] or not sync.is_current(context):
            sync.everything(context)
        job.record.add_input("samples", sync.digest(paths.samples))
        job.result({"dataset": paths.name, **result}, _lines)
        if result["n_errors"]:
            raise typer.Exit(1)


def _settings(texts: list[str]) -> dict[str, Any]:
    """Settings from KEY=VALUE; a value that is JSON is taken as such, any other as text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ValueError(f'--option needs KEY=VALUE, e.g. table=labels.csv; found "{text}".')
        try:
            found[key.strip()] = json.loads(value)
        except (ValueError, RecursionError):
            found[key.strip()] = value
    return found


def _explained(content: dict[str, Any]) -> str:
    """What would be taken in, for a person."""
    from curate.wording import faults

    lines = [content["path"], f'  layout {content["format"]}, source "{content["source"]}"']
    lines += [f"  not {name}: {'; '.join(why)}" for name, why in content["not_taken"].items()]
    for name, value in content["options"].items():
        if name != "columns":  # these follow, table by table
            lines.append(f"  option {name} = {json.dumps(value, ensure_ascii=False)}")
    for table in content["columns"]:
        lines.append(f"columns of {table['table']}")
        lines += [f'  {ours:<20} from "{theirs}"' for ours, theirs in table["used"].items()]
        lines.append(f"  not used: {', '.join(table['unused']) or 'none'}")
    having = ", ".join(f"{n} with {what}" for what, n in content["n_with"].items())
    size = f"{content['size_bytes'] / 2**20:.1f} MiB"
    lines.append(f"{content['n_images']} images, {size}, {content['n_parts']} parts; {having}")
    for title, key in (("category", "categories"), ("label", "labels"), ("split", "splits")):
        lines.append(f"  {title:<12} {_counts(content[key])}")
    lines.append(f"  {'defect type':<12} {_counts(content['defect_types'])}")
    return "\n".join([*lines, *_change(content), *faults(content["faults"])])


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in found.items()) or "none"


def _change(content: dict[str, Any]) -> list[str]:
    """How the dataset would change."""
    change = content["change"]
    if not change["stored"]:
        return [f'dataset "{content["dataset"]}" does not hold this source yet']
    kinds = ("new", "changed", "relabelled", "vanished")
    told = ", ".join(f"{change[f'n_{kind}']} {kind}" for kind in kinds)
    lines = [f'against dataset "{content["dataset"]}": {told}']
    for kind in kinds:
        if change[kind]:
            more = ", ..." if change[f"n_{kind}"] > len(change[kind]) else ""
            lines.append(f"  {kind}: {', '.join(change[kind])}{more}")
    return lines


def _lines(content: dict[str, Any]) -> str:
    from curate.wording import faults

    head = (
        f'{content["dataset"]}: {content["n_images"]} images from source "{content["source"]}", '
        f"layout {content['format']}; {content['n_added']} added, {content['n_changed']} changed, "
        f"{content['n_relabelled']} relabelled, {content['n_vanished']} vanished"
    )
    state = "" if content["fresh"] else "  (unchanged since the last time)"
    labels = "  " + ", ".join(f"{label} {n}" for label, n in content["labels"].items())
    return "\n".join([head + state, labels, *_named(content), *faults(content["faults"])])


def _named(content: dict[str, Any]) -> list[str]:
    """The first files that changed or vanished; all are new in a new dataset."""
    lines = []
    for kind in ("changed", "relabelled", "vanished"):
        if names := content["names"][kind]:
            more = content[f"n_{kind}"] - SHOWN
            rest = f" and {more} more" if more > 0 else ""
            lines.append(f"  {kind}: {', '.join(names[:SHOWN])}{rest}")
    return lines
