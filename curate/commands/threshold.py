"""curate threshold: where normal ends."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command


def run(
    name: Name,
    rule: Annotated[
        str, typer.Option("--rule", help="f1_max, or max_normal, which needs no defect.")
    ] = "f1_max",
    detector: Annotated[str, typer.Option("--detector", help="Whose scores.")] = "padim",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Choose where normal ends, and see what that gives."""
    with command("threshold", home, as_json, {"name": name, "rule": rule, "detector": detector}) as job:
        from curate.steps import sync, threshold

        context = job.alone(job.workspace.existing(name))
        result = threshold.run(context, detector, rule)
        sync.everything(context)
        job.record.add_input(
            "predictions", sync.digest(context.paths.detector(detector) / "predictions.parquet")
        )
        job.result({"dataset": name, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """Thresholds and test figures as a table."""
    from curate.wording import number

    out = [
        f"{content['detector']}, rule {content['rule']}; figures of the test part, unseen by the choice",
        f"{'category':<16}{'threshold':>10}{'image AUROC':>13}{'pixel AUROC':>13}{'F1':>7}"
        f"{'false alarms':>15}{'missed':>11}",
    ]
    for category, row in content["by_category"].items():
        test = row["test"]
        alarms, missed = (
            f"{test['n_false_alarms']} of {test['n_normal']}",
            f"{test['n_missed']} of {test['n_anomalous']}",
        )
        out.append(
            f"{category:<16}{row['threshold']:>10.3f}{number(test['image_auroc']):>13}"
            f"{number(test['pixel_auroc']):>13}{number(test['f1']):>7}{alarms:>15}{missed:>11}"
        )
    return "\n".join(out)
