"""curate export: the dataset as another tool reads it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

LEFT_OUT = {
    "no_mask": "anomalous without mask or boxes",
    "empty_mask": "anomalous with an empty mask",
    "mask_size": "anomalous with a mask of another size",
    "unreadable_mask": "anomalous with a mask that cannot be read",
    "label_unknown": "that nobody has looked at",
    "anomalous_in_train": "anomalous that share a part with training images",
}


def run(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", help="Target folder (default: in the workspace).")
    ] = None,
    format_name: Annotated[str, typer.Option("--format", help="Layout to write.")] = "mvtec_ad",
    subset: Annotated[
        str | None, typer.Option("--subset", help="Only the images of this subset (see curate subset).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the dataset with masks, verdicts and checksums."""
    arguments = {"name": name, "out": out, "format": format_name, "overwrite": overwrite, "subset": subset}
    with command("export", home, as_json, arguments) as job:
        from curate.steps import export, sync
        from curate.steps.record import digest

        context = job.alone(job.workspace.existing(name))
        sync.everything(context)  # verdicts that only the database holds come to the workspace
        target = out.expanduser().absolute() if out else None
        result = export.run(context, format_name, target, overwrite, target is None, subset)
        job.record.add_input("samples", digest(context.paths.samples))
        job.result({"dataset": name, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """Where the export lies, and what was left out and why."""
    out = [
        f"{content['n_exported']} images exported to {content['out']} ({content['format']}, "
        f"{content['n_verdicts']} human verdicts applied)"
    ]
    for reason, count in sorted(content["left_out"].items()):
        out.append(f"  left out: {count} {LEFT_OUT.get(reason, '')} ({reason})")
    if content["n_anomalous_tested"] == 0:
        out.append("  WARNING: the test part of this export holds no defect.")
    return "\n".join(out)
