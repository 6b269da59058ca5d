"""curate export-model: a fitted detector as a file that other programs run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command


def run(
    name: Name,
    detector: Annotated[
        str, typer.Option("--detector", help="A detector that curate score fitted.")
    ] = "padim",
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Only this category (may be repeated).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Target folder (default: in the workspace).")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write ONNX only, unless --openvino is given.")
    ] = False,
    openvino: Annotated[
        bool, typer.Option("--openvino", help="Write OpenVINO only, unless --onnx is given.")
    ] = False,
    fpr: Annotated[
        float,
        typer.Option(
            "--fpr",
            min=0,
            max=1,
            help="Accepted share of false alarms on held-out normals, if curate threshold has chosen none.",
        ),
    ] = 0.01,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace models that are there.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a detector as one graph: pixels in, score, map and verdict out; checked against Python."""
    arguments = {"name": name, "detector": detector, "category": category, "out": out, "onnx": onnx,
                 "openvino": openvino, "fpr": fpr, "overwrite": overwrite}  # fmt: skip
    with command("export-model", home, as_json, arguments) as job:
        from curate.score_settings import check_names
        from curate.steps import export_model

        check_names([detector])
        context = job.alone(job.workspace.existing(name))
        target = out.expanduser().absolute() if out else context.paths.detector(detector) / "exported"
        both = onnx == openvino
        try:
            result = export_model.run(
                context, detector, target, categories=category, onnx=onnx or both,
                openvino=openvino or both, fpr=fpr, overwrite=overwrite or out is None,
            )  # fmt: skip
        except NotImplementedError as error:
            raise ValueError(str(error)) from error
        job.result({"dataset": name, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """Where each model lies, its threshold, and how far it is from Python."""
    out = [f"{content['dataset']}: {content['detector']} written to {content['out']}"]
    for row in content["models"]:
        away = ", ".join(
            f"{name} within {max(each['score'], each['map']):.0e} of Python"
            for name, each in row["agreement"].items()
        )
        out.append(f"  {row['category']}: threshold {row['threshold']:.4g} ({row['threshold_from']}); {away}")
    return "\n".join(out)
