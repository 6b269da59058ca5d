"""curate check: looks for faults of a dataset before anything is trained on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

if TYPE_CHECKING:
    from curate.fixes import Fix
    from curate.steps.record import Context

Names = list[str] | None


def run(
    name: Name,
    only: Annotated[
        Names, typer.Option("--only", help="Run one check, storing nothing (may be repeated).")
    ] = None,
    skip: Annotated[
        Names, typer.Option("--skip", help="Leave out one check, storing nothing (may be repeated).")
    ] = None,
    gate: Annotated[
        Path | None, typer.Option("--gate", help="Limits (TOML) that decide the exit code.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the findings with pictures to one HTML file.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the findings to a .parquet or .csv file.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without touching your files.")
    ] = False,
    undo_fixes: Annotated[bool, typer.Option("--undo-fixes", help="Take all mends back.")] = False,
    list_fixes: Annotated[bool, typer.Option("--list-fixes", help="Only say which mends hold.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier report or table.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Look for faults of a dataset; exit code 1 if there are errors, or if the gate is not kept."""
    arguments: dict[str, Any] = {
        "name": name, "only": only, "skip": skip, "gate": gate, "report": report, "table": table, "fix": fix,
        "undo_fixes": undo_fixes, "list_fixes": list_fixes, "overwrite": overwrite,
    }  # fmt: skip
    with command("check", home, as_json, arguments) as job:
        from curate import gate as gates
        from curate.steps import check_outputs, sync

        limits = gates.load(gate) if gate else None
        check_outputs.refuse(report, table, overwrite)
        context = job.alone(job.workspace.existing(name))
        if list_fixes:
            job.result({"dataset": name, "fixes": _rows(_held(context))}, _fixes)
            return
        content = _look(context, only, skip, fix, undo_fixes)
        content["gate"] = None if limits is None else gates.judge_result(limits, content)
        check_outputs.write(context, content, report, table)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        passed = _passed(content)
        plain = content | {key: _rows(content[key]) for key in ("fixes", "mended", "taken_back")}
        plain["gate"] = gates.result(content["gate"]) if content["gate"] is not None else None
        job.result({"dataset": name, **plain, "passed": passed}, lambda _: _lines(name, content))
        if not passed:
            raise typer.Exit(1)


def _look(context: "Context", only: Names, skip: Names, fix: bool, undo: bool) -> dict[str, Any]:
    """Mend or take back as asked, run the checks, and bring the page up to date."""
    from curate.steps import check, sync
    from curate.steps import fix as mending

    if fix and undo:
        raise ValueError("--fix makes mends and --undo-fixes takes them back: give one of them.")
    names = check.chosen(only, skip)
    taken_back = mending.undo(context) if undo else []
    mended = mending.mend(context, names) if fix else []
    result = check.run(context) if names is None else check.only(context, names)
    sync.everything(context)
    return {**result, "fixes": _held(context), "mended": mended, "taken_back": taken_back}


def _held(context: "Context") -> list["Fix"]:
    from curate.steps import fix

    return fix.held(context)


def _rows(fixes: list["Fix"]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(fix) for fix in fixes]


def _passed(content: dict[str, Any]) -> bool:
    """Whether the gate is kept, or without one, whether there is no error."""
    if content["gate"] is not None:
        return all(limit.ok for limit in content["gate"])
    return not content["n_errors"]


def _lines(name: str, content: dict[str, Any]) -> str:
    from curate.errors import listed
    from curate.gate import lines as gate_lines
    from curate.wording import faults

    counts = ", ".join(f"{content[f'n_{kind}']} {kind}" for kind in ("errors", "warnings", "notes"))
    lines = [f"{name}: {counts} in {content['n_images']} images ({_checks(content['checks'])})"]
    for what, fixes in (("mended", content["mended"]), ("taken back", content["taken_back"])):
        if fixes:
            lines += [f"{what}: {len(fixes)}", listed([fix.detail for fix in fixes])]
    lines += faults(content["findings"])
    lines += [f"not run: {check}: {reason}." for check, reason in content["not_run"].items()]
    alike: dict[str, list[str]] = {}
    for check, categories in content["not_judged"].items():
        alike.setdefault(categories, []).append(check)
    lines += [f"not judged by {', '.join(checks)}: {few}." for few, checks in alike.items()]
    if content["fixes"]:
        lines.append(f"{len(content['fixes'])} fixes hold; --list-fixes shows them, --undo-fixes ends them.")
    if content["gate"] is not None:
        lines += gate_lines(content["gate"])
        lines.append("The gate is kept." if _passed(content) else "The gate is NOT kept.")
    return "\n".join(lines)


def _checks(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} checks"


def _fixes(content: dict[str, Any]) -> str:
    head = f"{content['dataset']}: {len(content['fixes'])} fixes hold"
    told = [f"  {fix['at']}  {fix['check']}: {fix['detail']}" for fix in content["fixes"]]
    return "\n".join([head, *told])
