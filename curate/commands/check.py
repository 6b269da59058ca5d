"""curate check: looks for faults of a dataset before anything is trained on it."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command


def run(
    name: Name,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run one check, storing nothing (may be repeated).")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Look for faults of a dataset; exit code 1 if there are errors."""
    with command("check", home, as_json, {"name": name, "only": only}) as job:
        from curate.steps import check, sync

        context = job.alone(job.workspace.existing(name))
        result = check.only(context, only) if only else check.run(context)
        sync.everything(context)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        job.result({"dataset": name, **result}, _lines)
        if result["n_errors"]:
            raise typer.Exit(1)


def _lines(content: dict[str, Any]) -> str:
    from curate.wording import faults

    head = (
        f"{content['dataset']}: {content['n_errors']} errors, {content['n_warnings']} warnings "
        f"({', '.join(content['checks'])})"
    )
    lines = [head, *faults(content["findings"])]
    if not content["split"]:
        lines.append("There is no split yet: leaks between parts are looked for after `curate split`.")
    return "\n".join(lines)
