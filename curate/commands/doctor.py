"""curate doctor: does every part of this installation work?"""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, command


def run(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what does not work.")] = False,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="Leave a part out (may be repeated).")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Try every part of the installation; --fix repairs."""
    with command("doctor", home, as_json, {"fix": fix, "skip": skip or []}) as job:
        from curate.doctor.run import examine

        report = examine(job.workspace.home, skip or [], fix, job.say)
        failing = [row for row in report if not row["ok"] and row["needed"]]
        job.result({"ok": not failing, "parts": report}, _lines)
        if failing:
            raise typer.Exit(1)


def _lines(content: dict[str, Any]) -> str:
    lines = []
    for row in content["parts"]:
        state = "ok" if row["ok"] else ("FAILS" if row["needed"] else "absent")
        repaired = " (repaired)" if row["fixed"] else ""
        lines.append(f"{state:>6}  {row['part']:<9} {row['found']}{repaired}")
        if not row["ok"]:
            lines.append(f"{'':>18}-> {row['remedy']}")
    repairable = [row["part"] for row in content["parts"] if not row["ok"] and row["repairable"]]
    if repairable:
        lines.append(f"`curate doctor --fix` repairs: {', '.join(repairable)}.")
    lines.append("Everything needed works." if content["ok"] else "Some parts that are needed do not work.")
    return "\n".join(lines)
