"""curate example: writes an example of data as it comes from outside, with faults planted in it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Seed, command


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one: fpc.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; must be new or empty.")],
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an example to try the tool on: images, a machine's table, and faults."""
    with command("example", home, as_json, {"name": name, "out": out, "seed": seed}) as job:
        from dataclasses import asdict

        from curate.examples import EXAMPLES
        from curate.registry import lookup

        folder = out.expanduser().absolute()
        planted = lookup(EXAMPLES, name, "example").write(folder, seed, show_progress=True)
        content = {"name": name, "out": str(folder), "planted": [asdict(fault) for fault in planted]}
        job.result(content, _lines)


def _lines(content: dict[str, Any]) -> str:
    out = content["out"]
    return "\n".join(
        [
            f"{out}: an example with {len(content['planted'])} faults planted in it; README.txt lists them.",
            f"Look at it with: curate ingest {out} --explain",
        ]
    )
