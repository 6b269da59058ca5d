"""curate propose: from heat maps to masks that a person accepts or edits."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command


def run(
    name: Name,
    detector: Annotated[str | None, typer.Option("--detector", help="Whose maps (default: padim).")] = None,
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
    sample: Annotated[
        list[str] | None, typer.Option("--sample", help="For this sample id; may be given several times.")
    ] = None,
    from_truth: Annotated[
        bool | None,
        typer.Option(
            "--from-truth/--no-from-truth",
            help="Offer ground-truth masks for correction instead, of all anomalous images or of the chosen "
            "ones; or offer proposals there again.",
        ),
    ] = None,
    truth_polygons: Annotated[
        Path | None,
        typer.Option(
            "--truth-polygons", help="Only write the outlines of the ground truth in force, a COCO file."
        ),
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
        "min_area_px": min_area_px, "min_area_um2": min_area_um2, "view": view, "sample": sample,
        "from_truth": from_truth, "truth_polygons": truth_polygons and str(truth_polygons),
        "polygons": polygons and str(polygons), "overwrite": overwrite,
    }  # fmt: skip
    with command("propose", home, as_json, arguments) as job:
        from curate.steps import correct, propose, propose_polygons, sync

        if sum((every, view is not None, bool(sample))) > 1:
            raise ValueError("--all, --view and --sample contradict each other: choose one.")
        context = job.alone(job.workspace.existing(name))
        propose_polygons.check(polygons, overwrite)
        propose_polygons.check(truth_polygons, overwrite)
        if view is not None:
            sync.everything(context)
        only = _chosen(context, view, sample)
        if truth_polygons is not None:
            told = propose_polygons.of_truth(context, truth_polygons, only, overwrite)
            job.result({"dataset": name, **told}, _truth_lines)
            return
        if from_truth is not None:
            told = correct.run(context, detector, only, stop=not from_truth)
            sync.everything(context)
            job.result({"dataset": name, "from_truth": from_truth, **told}, _truth_lines)
            return
        asked = propose.Asked(method, threshold, min_area_px, min_area_um2, every, only)
        maps = detector or "padim"
        result = propose.run(context, maps, asked, overwrite)
        sync.everything(context)
        if polygons is not None:
            result |= propose_polygons.run(context, maps, polygons, overwrite)
        job.record.add_input("predictions", sync.digest(context.paths.detector(maps) / "predictions.parquet"))
        job.result({"dataset": name, **result}, lines)


def _chosen(context: Any, view: str | None, sample: list[str] | None) -> tuple[str, ...] | None:
    """Sample ids of a view, or those given; None: neither."""
    if view is not None:
        return _in_view(context, view)
    if not sample:
        return None
    from curate.tables import read

    known = set(read(context.paths.samples)["sample_id"])
    if unknown := [name for name in sample if name not in known]:
        raise ValueError(f"{context.paths.name} has no sample {', '.join(unknown)}.")
    return tuple(sample)


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


def _truth_lines(content: dict[str, Any]) -> str:
    """What was offered for correction, or written, for a person."""
    name, n = content["dataset"], content["n_images"]
    if "polygons" in content:
        return f"{name}: outlines of the ground truth of {n} images: {content['polygons']}"
    if not content["from_truth"]:
        return f"{name}: the ground truth of {n} images is not offered for correction any more"
    out = [
        f"{name}: the ground truth of {n} images is offered in place of proposals of {content['detector']}"
    ]
    if content["n_without"]:
        out.append(f"  {content['n_without']} chosen images have no ground-truth mask and no boxes")
    return "\n".join([*out, f"Correct it in the App, and accept the mask: curate triage {name}"])
