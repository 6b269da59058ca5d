"""curate build: a whole recipe, from folders of images to a verified export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, command


def run(
    recipe_path: Annotated[Path, typer.Argument(metavar="RECIPE", help="dataset.toml")] = Path(
        "dataset.toml"
    ),
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every image again, even if no size and no time changed.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a recipe, all of it; finished steps are kept."""
    with command("build", home, as_json, {"recipe": recipe_path, "rehash": rehash}) as job:
        from curate.files import sha256_file
        from curate.recipe import load
        from curate.steps import build

        path = recipe_path.expanduser().absolute()
        recipe = load(path)
        job.record.add_input("recipe", sha256_file(path))
        job.record.content["seed"] = recipe.seed
        context = job.alone(job.workspace.dataset(recipe.name))
        result = build.run(context, recipe, rehash)
        job.record.add_input("samples", result["samples_sha256"])
        job.result(result, lines)
        end_if_unverified(result)


def end_if_unverified(result: dict[str, Any]) -> None:
    """End with 1 when an export is not what it should be."""
    if not all(written["verified"] for written in result["exports"]):
        raise typer.Exit(1)


def lines(content: dict[str, Any]) -> str:
    """The build's results for a person."""
    from curate.commands import export, score, split, threshold

    out = [f"\nDataset {content['dataset']}"]
    for source in content["sources"]:
        out.append(f'{source["n_images"]} images from source "{source["source"]}", layout {source["format"]}')
    checked = content["check"]
    counts = ", ".join(f"{checked[f'n_{kind}']} {kind}" for kind in ("errors", "warnings", "notes"))
    out.append(f"checks: {counts}")
    out += _counted(checked["findings"])
    out += ["", split.lines(content["split"]), ""]
    out += [f"{content['score'][0]['n_scored']} images scored", *score.lines(content["score"])]
    out += ["", threshold.lines(content["threshold"]), ""]
    for written in content["exports"]:
        out += [export.lines(written), *_verified(written)]
    out.append(f"picture: {content['picture']}")
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in content["seconds"].items())
    return "\n".join([*out, spent])


def _verified(written: dict[str, Any]) -> list[str]:
    """Whether an export is as it was written; else what is wrong, and what to do."""
    from curate.wording import faults

    if written["verified"]:
        return ["  verified: yes"]
    remedy = f"Move {written['out']} away and build again; a changed export is not replaced by itself."
    return ["  verified: NO", *faults(written["verify_findings"]), remedy]


def _counted(findings: list[dict[str, Any]]) -> list[str]:
    """One line a kind of finding; `curate check` lists them all."""
    by_code: dict[str, list[str]] = {}
    for row in findings:
        by_code.setdefault(row["code"], []).append(row["relative_path"])
    return [
        f"  {code}: {len(files)}{f', e.g. {files[0]}' if files[0] else ''}"
        for code, files in sorted(by_code.items())
    ]
