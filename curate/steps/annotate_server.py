"""Step: the same tasks through FiftyOne's annotation back ends, where a server is configured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.annotation_tasks import Region
from curate.errors import Missing
from curate.files import write_json
from curate.steps import annotate_receive, annotate_send
from curate.steps.record import Context

Row = dict[str, Any]


def check_configured(tool: str) -> None:
    """Raise Missing unless a server is named; see curate.store.annotation_servers."""
    from curate.store import annotation_servers

    annotation_servers.check_configured(tool)


def send(context: Context, asked: annotate_send.Asked, proposals: Mapping[str, Sequence[Region]]) -> Row:
    """Upload a package; see curate.steps.annotate_send.run for what it returns, without `out`."""
    from curate.store import annotation_servers
    from curate.store.server import connect

    if asked.kind != "brush":
        raise ValueError(
            "Through a server, proposals are sent as masks only. Leave --type out, or use --out FOLDER."
        )
    made = annotate_send.prepare(context, asked, Path(context.paths.name), proposals)
    package, rows = made.content["package"], made.content["images"]
    write_json(context.paths.sent / f"{package}.json", made.content)
    with connect(context.workspace.home):
        key = annotation_servers.upload(context.paths.name, made.content, made.regions)
    return {
        "tool": asked.tool, "kind": asked.kind, "package": package, "annotation_run": key,
        "n_images": len(rows), "n_with_proposals": sum(row["sent"] is not None for row in rows),
        "n_regions": sum(len(each) for each in made.regions.values()), "n_converted": 0, "n_too_large": 0,
    }  # fmt: skip


def receive(context: Context, asked: annotate_receive.Asked, package: str) -> Row:
    """Download what a server has of a package now, and treat it as a file; see annotate_receive.run.

    Raises:
        Missing: no such package was sent, or no server is configured.
    """
    from curate.store import annotation_servers
    from curate.store.server import connect

    check_configured(asked.tool)
    packages = annotate_receive.sent_packages(context, None, asked.tool)
    if package not in packages:
        known = ", ".join(sorted(packages))
        raise Missing(f"Missing: no package {package} was sent to {asked.tool} (sent: {known}).")
    with connect(context.workspace.home):
        answers = annotation_servers.download(context.paths.name, packages[package])
    submits = asked.tool == "label_studio"
    return annotate_receive.report(context, asked, f"package {package}", answers, packages, submits)
