"""curate evaluate: how good detectors are on images that nothing was chosen on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command


def run(
    name: Name,
    detector: Annotated[
        list[str] | None, typer.Option("--detector", help="Whose scores; repeat. Default: all that scored.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Column to slice by, such as lot or camera; repeat.")
    ] = None,
    defect_rate: Annotated[
        float | None, typer.Option("--defect-rate", help="Share of defective parts on the line, 0 to 1.")
    ] = None,
    cost_miss: Annotated[float | None, typer.Option("--cost-miss", help="Cost of a missed part.")] = None,
    cost_false_alarm: Annotated[
        float | None, typer.Option("--cost-false-alarm", help="Cost of a good part that alarms.")
    ] = None,
    cost_review: Annotated[
        float | None, typer.Option("--cost-review", help="Cost of a person looking at a part.")
    ] = None,
    fpr: Annotated[float, typer.Option("--fpr", help="False-alarm rate to tell the found share at.")] = 0.05,
    miss_rate: Annotated[
        float, typer.Option("--miss-rate", help="Miss rate to tell the passed share at.")
    ] = 0.05,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report to one HTML file.")] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Write every figure to a .parquet file.")
    ] = None,
    replicates: Annotated[
        int, typer.Option("--replicates", min=2, help="Draws of the bootstrap behind the intervals.")
    ] = 1000,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier report or table.")
    ] = False,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Evaluate detectors on the untouched test part: figures with intervals, curves, slices, pictures."""
    arguments: dict[str, Any] = {
        "name": name, "detector": detector, "by": by, "defect_rate": defect_rate, "cost_miss": cost_miss,
        "cost_false_alarm": cost_false_alarm, "cost_review": cost_review, "fpr": fpr, "miss_rate": miss_rate,
        "out": out, "table": table, "replicates": replicates, "overwrite": overwrite, "seed": seed,
    }  # fmt: skip
    with command("evaluate", home, as_json, arguments) as job:
        from curate.evaluation import Options
        from curate.steps import evaluate, evaluation_outputs
        from curate.steps.record import digest

        options = Options(
            tuple(by or ()),
            defect_rate,
            cost_miss,
            cost_false_alarm,
            cost_review,
            fpr,
            miss_rate,
            replicates,
            seed,
        )
        evaluation_outputs.refuse(out, table, overwrite)
        context = job.alone(job.workspace.existing(name))
        result = evaluate.run(context, detector or (), options)
        evaluation_outputs.write(context, result["evaluation"], result["evaluated_at"], out, table)
        for each in result["evaluation"]["detectors"]:
            path = context.paths.detector(each["detector"]) / "predictions.parquet"
            job.record.add_input(f"predictions of {each['detector']}", digest(path))
        files = {"report": str(out) if out else None, "table": str(table) if table else None}
        told = {key: result[key] for key in ("evaluated_at", "fresh")}
        job.result({**result["evaluation"], **told, **files}, lines)


def lines(content: dict[str, Any]) -> str:
    """A sentence per category of the first detector, and the figures of all as a table."""
    from curate.evaluation_words import caveats, sentence
    from curate.wording import wrapped

    decided = sorted(content["detectors"], key=lambda each: each["decision"] is None)
    told = [sentence(name, decided[0]["detector"], part) for name, part in decided[0]["categories"].items()]
    out = wrapped(told, "")
    out += ["", f"{'category':<16}{'detector':<22}{'image AUROC':>20}{'pixel AUROC':>20}{'AUPRO 0.3':>20}"]
    for each in content["detectors"]:
        for name, part in each["categories"].items():
            cells = (
                part["image"].get("image_auroc"),
                part["pixel"].get("pixel_auroc"),
                part["pixel"].get("aupro_0.3"),
            )
            out.append(f"{name:<16}{each['detector']:<22}" + "".join(f"{_cell(cell):>20}" for cell in cells))
    out += wrapped(caveats(content))
    out += [f"written: {content[key]}" for key in ("report", "table") if content[key]]
    if not content["report"]:
        out.append(f"Pictures and curves: curate evaluate {content['dataset']} --out report.html")
    return "\n".join(out)


def _cell(estimate: dict[str, Any] | None) -> str:
    from curate.wording import number

    if estimate is None or estimate["value"] is None:
        return "-"
    ends = "" if estimate["low"] is None else f" ({number(estimate['low'])}-{number(estimate['high'])})"
    return f"{number(estimate['value'])}{ends}"
