"""curate cost: what detectors cost in time and memory, measured or forecast."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Job, Json, Name, Seed, command


def run(
    name: Name,
    detectors: Annotated[
        list[str] | None,
        typer.Option("--detector", help="Which detector (may be repeated; default: padim)."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Settings to start from: cpu (default), paper or smoke.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, as in curate score: key=value or DETECTOR:key=value."),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option("--category", help="Whose images (default: the one with most normal training images)."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            min=2,
            metavar="N",
            help="Most images to fit on, and most test images to predict on (default: all).",
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", min=1, metavar="N", help="Images timed one by one, after the first.")
    ] = 30,
    measure_growth: Annotated[
        bool,
        typer.Option(
            "--measure-growth",
            help="Measure growth by fits at half the images and half the side, not by forecast.",
        ),
    ] = False,
    forecast_images: Annotated[
        int | None,
        typer.Option(
            "--forecast-images",
            min=2,
            metavar="N",
            help="Measure nothing: say what a fit on N normal images would need, and whether that is free.",
        ),
    ] = None,
    forecast_side: Annotated[
        int | None,
        typer.Option(
            "--forecast-side", min=1, metavar="PIXELS", help="The same for a model input of another side."
        ),
    ] = None,
    added: Annotated[
        list[Path] | None,
        typer.Option("--add", help="Rows measured elsewhere, as JSON with the same keys (may be repeated)."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure also what was measured before.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="The picture (default: cost.png in the dataset's folder).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture at --out.")] = False,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Measure what detectors cost: time, memory, size on disk, and how well they tell defects."""
    names = detectors or ["padim"]
    arguments = {
        "name": name, "detectors": names, "profile": profile, "settings": settings, "category": category,
        "images": images, "runs": runs, "measure_growth": measure_growth,
        "forecast_images": forecast_images, "forecast_side": forecast_side,
        "added": [str(path) for path in added or []], "again": again, "out": out, "seed": seed,
    }  # fmt: skip
    with command("cost", home, as_json, arguments) as job:
        from curate.score_settings import check_names, parse
        from curate.steps import cost

        check_names(names)
        given = {key: {"profile": profile} if profile else {} for key in names}
        wanted = {key: given[key] | own for key, own in parse(settings or [], names).items()}
        if forecast_images is not None or forecast_side is not None:
            context = job.alone(job.workspace.existing(name))
            found = cost.forecasts(context, wanted, seed, forecast_images, forecast_side, category)
            job.result({"dataset": name, **found}, _forecast)
            return
        plan = cost.Plan(category, images, runs, measure_growth, again)
        _measure(job, name, wanted, seed, plan, added or [], out, overwrite)


def _measure(
    job: Job, name: str, wanted: Any, seed: int, plan: Any, added: list[Path], out: Path | None, replace: bool
) -> None:
    from curate.cost_added import read_added
    from curate.errors import AlreadyExists
    from curate.steps import cost, cost_picture

    if out is not None and out.exists() and not replace:
        raise AlreadyExists(f"AlreadyExists: {out} is there already. Give --overwrite, or another --out.")
    more = read_added(added, list(wanted))  # before anything takes long
    context = job.alone(job.workspace.existing(name))
    found = cost.run(context, wanted, seed, plan)
    found["detectors"] += more
    target = out or context.paths.root / "cost.png"
    drawn = cost_picture.draw(found["detectors"], f"{name}, {found['category']}", target)
    job.result({"dataset": name, **found, "picture": str(target) if drawn else None}, lines)
    if any(row.get("error") for row in found["detectors"]):
        raise typer.Exit(1)


def lines(content: dict[str, Any]) -> str:
    """The table, and what there is to say of each detector."""
    from curate.cost import notes, table

    place, rows = content["machine"], content["detectors"]
    out = [
        f"{content['dataset']}, {content['category']}: fitted on {content['n_normals']} images; "
        f"{place['processor']}, {place['n_cores']} cores",
        *table(rows),
        *notes(rows),
    ]
    drawn = f"Picture: {content['picture']}" if content["picture"] else "No picture: no detector has an AUROC"
    return "\n".join([*out, f"  {drawn}"])


def _forecast(content: dict[str, Any]) -> str:
    from curate.cost import forecast_lines

    rows = content["forecast"]
    n = next((row["n_images"] for row in rows if "n_images" in row), "the")
    return "\n".join([f"{content['dataset']}, {content['category']}: {n} images", *forecast_lines(rows)])
