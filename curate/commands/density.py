"""curate density: where on the part the defects lie."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

KINDS = ("truth", "proposals", "alarms")
SAID = {
    "truth": "anomalous images",
    "proposals": "images with proposals",
    "alarms": "false alarms (normal, but at or above the threshold)",
}


def run(
    name: Name,
    of: Annotated[
        str,
        typer.Option(
            "--of", help="What is counted: truth (marked defects), proposals, or alarms (false alarms)."
        ),
    ] = "truth",
    detector: Annotated[str, typer.Option("--detector", help="Whose proposals or false alarms.")] = "padim",
    category: Annotated[str | None, typer.Option("--category", help="Only this category.")] = None,
    defect_type: Annotated[
        str | None, typer.Option("--defect-type", help="Only defects of this type.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Draw it to this PNG file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Count, cell by cell of the part, the images that have a defect there."""
    arguments = {
        "name": name, "of": of, "detector": detector, "category": category, "defect_type": defect_type,
        "out": out and str(out), "overwrite": overwrite,
    }  # fmt: skip
    with command("density", home, as_json, arguments) as job:
        if of not in KINDS:
            raise ValueError(f'--of must be one of {", ".join(KINDS)}; found "{of}".')
        from curate.steps import density, sync
        from curate.store.fields import detector_fields
        from curate.store.server import connect

        context = job.alone(job.workspace.existing(name))
        plain = detector_fields(detector)[0].removesuffix("_score")
        source = of if of == "truth" else f"{of}:{plain}"
        picture = out.expanduser().absolute() if out else None
        with connect(job.workspace.home):
            sync.everything(context)
            result = density.run(context, source, category, defect_type, picture, overwrite)
        job.result({"dataset": name, "of": of, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """What was counted, for a person."""
    out = []
    for category, found in content["by_category"].items():
        n = found["n_marked"]
        rows, columns = found["grid_hw"]
        out.append(
            f"{category}: {n} of {found['n_images']} {SAID[content['of']]}, on {columns} x {rows} cells; "
            f"{found['highest']} in the fullest cell"
        )
        if found["n_unmarked"]:
            out.append(
                f"  {found['n_unmarked']} tell no place: no mask, no box, or a file that cannot be read"
            )
        if len(found["types"]) > 1 and content["defect_type"] is None:
            told = ", ".join(f"{name} {count}" for name, count in found["types"].items())
            out.append(f"  by type: {told}")
    if "picture" in content:
        out.append(f"picture: {content['picture']}")
    return "\n".join(out)
