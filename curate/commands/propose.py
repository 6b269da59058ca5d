"""curate propose: from heat maps to masks that a person accepts or edits."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command


def run(
    name: Name,
    detector: Annotated[str, typer.Option("--detector", help="Whose maps.")] = "padim",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="How outlines come to the image's edges: auto (the best measured), watershed, grabcut, "
            "random_walker, active_contour, contrast, or plain, the map's threshold alone.",
        ),
    ] = "auto",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Map value from which on pixels are taken (default: as decided with `curate threshold "
            "--level pixel` or region, else the 0.999 quantile of normal calibration pixels).",
        ),
    ] = None,
    min_area_px: Annotated[
        int, typer.Option("--min-area-px", min=1, help="Smaller regions are no proposals.")
    ] = 5,
    min_area_um2: Annotated[
        float | None, typer.Option("--min-area-um2", help="The same in square micrometres.")
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="For all images, not only those that are labelled anomalous or score that high.",
        ),
    ] = False,
    view: Annotated[
        str | None, typer.Option("--view", help="For the images of a saved view of the App.")
    ] = None,
    polygons: Annotated[
        Path | None, typer.Option("--polygons", help="Also write outlines, a COCO file for other tools.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace proposals with other settings, and the COCO file.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Propose masks for suspicious images, to be edited in the App's Annotate mode."""
    arguments = {
        "name": name, "detector": detector, "method": method, "threshold": threshold, "all": every,
        "min_area_px": min_area_px, "min_area_um2": min_area_um2, "view": view,
        "polygons": polygons and str(polygons), "overwrite": overwrite,
    }  # fmt: skip
    with command("propose", home, as_json, arguments) as job:
        from curate.steps import propose, propose_polygons, sync

        if every and view is not None:
            raise ValueError("--all and --view contradict each other: choose one.")
        context = job.alone(job.workspace.existing(name))
        propose_polygons.check(polygons, overwrite)
        if view is not None:
            sync.everything(context)
        only = None if view is None else _in_view(context, view)
        asked = propose.Asked(method, threshold, min_area_px, min_area_um2, every, only)
        result = propose.run(context, detector, asked, overwrite)
        sync.everything(context)
        if polygons is not None:
            result |= propose_polygons.run(context, detector, polygons, overwrite)
        job.record.add_input(
            "predictions", sync.digest(context.paths.detector(detector) / "predictions.parquet")
        )
        job.result({"dataset": name, **result}, lines)


def _in_view(context: Any, view: str) -> tuple[str, ...]:
    from curate.store.proposals import samples_of_view
    from curate.store.server import connect

    with connect(context.workspace.home):
        return tuple(samples_of_view(context.paths.name, view))


def lines(content: dict[str, Any]) -> str:
    """What was proposed, for a person."""
    n, before = content["n_images"], "" if content["fresh"] else " (done before)"
    n_with = n - content["n_empty"]
    out = [
        f"{content['dataset']}: {content['n_proposals']} proposals in {n_with} of {n} images, "
        f"outlines by {content['method']}{before}"
    ]
    for category, cut in content["thresholds"].items():
        out.append(f"  {category}: map values from {cut['threshold']:.4g} on, {cut['said']}")
    if content["n_empty"]:
        out.append(f"  {content['n_empty']} images have no region of the map that is large and high enough")
    if content["method"] != "plain" and content["n_plain"]:
        out.append(f"  {content['n_plain']} kept the map's own outline: no edge near it is believed")
    if "polygons" in content:
        out.append(f"  outlines for other tools: {content['polygons']}")
    return "\n".join([*out, f"Look at them with: curate triage {content['dataset']}"])
