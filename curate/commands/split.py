"""curate split: train, calibration and test, without leaks."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command


def run(
    name: Name,
    policy: Annotated[str, typer.Option("--policy", help="auto, delivered or random.")] = "auto",
    group: Annotated[
        str, typer.Option("--group", help="Images that share this column stay together.")
    ] = "part_id",
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Divide into train, calibration and test, without leaks."""
    arguments = {"name": name, "policy": policy, "group": group, "seed": seed}
    with command("split", home, as_json, arguments) as job:
        from curate.steps import split, sync

        context = job.alone(job.workspace.existing(name))
        sync.everything(context)  # verdicts that only the database holds come to the workspace
        result = split.run(context, policy, group, seed)
        sync.everything(context)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        job.result({"dataset": name, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """The split as a table of counts."""
    out = [f"{'category':<16}{'split':<14}{'normal':>8}{'anomalous':>11}{'unknown':>9}"]
    for category, parts in content["counts"].items():
        for part in ("train", "calibration", "test"):
            row = parts.get(part, {})
            out.append(
                f"{category:<16}{part:<14}{row.get('normal', 0):>8}{row.get('anomalous', 0):>11}"
                f"{row.get('unknown', 0):>9}"
            )
    out += [f"warning: {line}" for line in content["shortages"]]
    return "\n".join(out)
