"""curate verify: is an export still what was written?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, command


def run(
    folder: Annotated[Path, typer.Argument(help="An exported dataset.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Re-check an export: checksums, masks, split."""
    with command("verify", home, as_json, {"folder": folder}) as job:
        from curate.steps.record import digest
        from curate.steps.verify import run as verify

        target = folder.expanduser().absolute()
        job.record.add_input("manifest", digest(target / "manifest.json"))
        result = verify(target)
        job.result(result, lines)
        if result["n_errors"]:
            raise typer.Exit(1)


def lines(content: dict[str, Any]) -> str:
    """The verdict on an export, and its faults."""
    from curate.wording import faults

    head = (
        f"{content['folder']}: {content['n_files']} files, {content['n_errors']} errors, "
        f"{content['n_warnings']} warnings"
    )
    return "\n".join([head, *faults(content["findings"])])
