"""curate annotate send, curate annotate receive: outsiders draw the masks, in CVAT or Label Studio."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

app = typer.Typer(
    help="Send images with proposals to annotators who work in CVAT or Label Studio; take their answers in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Tool(StrEnum):
    """Annotation tools."""

    cvat = "cvat"
    label_studio = "label_studio"


class Kind(StrEnum):
    """What the proposals are in the tool."""

    brush = "brush"
    polygon = "polygon"
    box = "box"


ToolOption = Annotated[Tool, typer.Option("--tool", help="Where annotators work.")]
Detector = Annotated[str, typer.Option("--detector", help="Whose proposals.")]
Server = Annotated[
    bool,
    typer.Option("--server", help="Through FiftyOne, to the server that FIFTYONE_CVAT_URL or "
                 "FIFTYONE_LABELSTUDIO_URL names."),
]  # fmt: skip


@app.command()
def send(
    name: Name,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Sample ids; default: images with proposals.")
    ] = None,
    tool: ToolOption = Tool.cvat,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to make.")] = None,
    view: Annotated[str | None, typer.Option("--view", help="The images of a saved view of the App.")] = None,
    subset: Annotated[str | None, typer.Option("--subset", help="The images of a subset.")] = None,
    detector: Detector = "padim",
    kind: Annotated[Kind, typer.Option("--type", help="Proposals as masks, outlines or boxes.")] = Kind.brush,
    bare: Annotated[
        bool, typer.Option("--no-proposals", help="Send the images alone; --view, --subset or ids say which.")
    ] = False,
    links: Annotated[
        bool, typer.Option("--links", help="Link images instead of copying them, where that can be.")
    ] = False,
    image_prefix: Annotated[
        str | None,
        typer.Option("--image-prefix", help="Label Studio: address that the images get before their names."),
    ] = None,
    server: Server = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier folder.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a folder with images, proposals and labels for an annotation tool."""
    arguments = {
        "name": name, "ids": ids, "tool": tool.value, "out": out and str(out), "view": view, "subset": subset,
        "detector": detector, "type": kind.value, "no_proposals": bare, "links": links,
        "image_prefix": image_prefix, "server": server, "overwrite": overwrite,
    }  # fmt: skip
    with command("annotate-send", home, as_json, arguments) as job:
        if (out is None) != server:
            raise ValueError("Give either --out FOLDER or --server.")
        from curate.steps import annotate_choice, annotate_send, annotate_server, sync

        if server:
            annotate_server.check_configured(tool.value)
        context = job.alone(job.workspace.existing(name))
        sync.everything(context)
        only = annotate_choice.chosen(context, ids, view, subset)
        proposals = {} if bare else annotate_choice.proposed(context, detector, only)
        asked = annotate_send.Asked(
            tool.value, kind.value, None if bare else detector, only, links, image_prefix
        )
        if server:
            result = annotate_server.send(context, asked, proposals)
        else:
            assert out is not None
            result = annotate_send.run(context, asked, out.expanduser().absolute(), proposals, overwrite)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        job.result({"dataset": name, **result}, sent_lines)


@app.command()
def receive(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="What the tool exported; or --server.")] = None,
    tool: ToolOption = Tool.cvat,
    by: Annotated[
        str | None, typer.Option("--by", help="Who annotated, where the file does not say (CVAT).")
    ] = None,
    finished: Annotated[
        bool,
        typer.Option("--finished", help="Every image was looked at: unchanged proposals count as accepted."),
    ] = False,
    boxes_as_masks: Annotated[
        bool, typer.Option("--boxes-as-masks", help="Store the whole area of boxes as masks.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="NAME=LABEL: a label of theirs that means one of ours."),
    ] = None,
    package: Annotated[
        Path | None, typer.Option("--package", help="The folder that was sent, if from another workspace.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="The package that went to a server (see send --server).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and report; store nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check what annotators send back, report it, and store it as their verdicts."""
    arguments = {
        "name": name, "file": file and str(file), "tool": tool.value, "by": by, "finished": finished,
        "boxes_as_masks": boxes_as_masks, "label": label, "package": package and str(package),
        "server": server, "dry_run": dry_run,
    }  # fmt: skip
    with command("annotate-receive", home, as_json, arguments) as job:
        if (file is None) == (server is None):
            raise ValueError("Give either the FILE that the tool exported or --server PACKAGE.")
        from curate.steps import annotate_receive, annotate_server, sync

        renamed = annotate_receive.renamed_of(label or [])
        asked = annotate_receive.Asked(tool.value, by, finished, boxes_as_masks, renamed, package, dry_run)
        context = job.alone(job.workspace.existing(name))
        sync.everything(context)  # verdicts that only the database holds come to the workspace
        if server is not None:
            result = annotate_server.receive(context, asked, server)
        else:
            assert file is not None
            result = annotate_receive.run(context, asked, file.expanduser())
            job.record.add_input("file", sync.digest(file.expanduser()))
        job.result({"dataset": name, **result}, received_lines)
        if any(fault["severity"] == "error" for fault in result["faults"]):
            raise typer.Exit(1)


def sent_lines(content: dict[str, Any]) -> str:
    """What was written, for a person."""
    out = [
        f"{content['n_images']} images of {content['dataset']} for {content['tool']}, package "
        f"{content['package']}: {content['n_regions']} proposals ({content['kind']}) in "
        f"{content['n_with_proposals']} of them"
    ]
    if content["n_converted"]:
        out.append(f"  {content['n_converted']} images that a browser cannot show were converted to PNG")
    if content["n_too_large"]:
        out.append(f"  WARNING: {content['n_too_large']} images have more pixels than CVAT accepts")
    return "\n".join([*out, f"{content['out']}: see README.txt there"] if "out" in content else out)


def received_lines(content: dict[str, Any]) -> str:
    """What came back, for a person."""
    done = "would be stored" if content["dry_run"] else "stored"
    people = ", ".join(content["people"]) or "nobody"
    out = [
        f"{content['file']}: {content['n_answers']} answers, {content['n_new']} new verdicts {done}, "
        f"{content['n_known']} known before; by {people}",
        f"  {content['n_anomalous']} anomalous, {content['n_normal']} normal, {content['n_unsure']} unsure",
        f"  masks: {content['n_unedited']} as proposed, {content['n_edited']} edited, "
        f"{content['n_new_masks']} drawn new, {content['n_deleted']} deleted",
    ]
    if content["median_iou"] is not None:
        out.append(f"  IoU of the masks with the proposals: {content['median_iou']:.2f} (median)")
    for n, text in (
        (
            content["n_without_mask"],
            "anomalous by boxes only, so without a mask (--boxes-as-masks takes them)",
        ),
        (content["n_untouched"], "untouched: nobody has said anything of them"),
        (content["n_skipped"], "skipped by the annotator"),
    ):
        out += [f"  {n} {text}"] if n else []
    faults = content["faults"]
    if faults:
        out.append(f"{len(faults)} answers need a look; those with an error are not stored:")
        out += [f"  {each['severity']}: {each['message']} {each['remedy']}" for each in faults[:10]]
        out += [f"  and {len(faults) - 10} more (--json lists all)"] if len(faults) > 10 else []
    return "\n".join(out)
