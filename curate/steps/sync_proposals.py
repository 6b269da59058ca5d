"""Proposals in the FiftyOne dataset: when they are due, and how they are stored."""

from collections.abc import Callable

from curate import tables
from curate.files import fingerprint
from curate.progress import bar
from curate.steps import propose
from curate.steps.record import Context, as_made, digest, recorded

EDITED = "{n} images of {name} hold proposals of {detector} that a person edited; those stay as they are."


def checksum(context: Context, detector: str) -> str | None:
    """What a detector's stored proposals are made of; None where its maps or images changed since."""
    paths, step = context.paths, propose.step_of(detector)
    table = propose.table_of(paths, detector)
    made_of = recorded(paths, step)["inputs"]
    now = digest(paths.samples), digest(paths.detector(detector) / "predictions.parquet")
    if (made_of.get("images"), made_of.get("predictions")) != now or not as_made(paths, step, table):
        return None
    return fingerprint([now[0], digest(table)])


def storing(context: Context, detector: str) -> Callable[[], None]:
    """A call that stores a detector's proposals."""

    def store() -> None:
        from curate.store.proposals import save_proposals

        rows = tables.to_rows(tables.read(propose.table_of(context.paths, detector)))
        with bar("proposals", len({row["sample_id"] for row in rows})) as advance:
            edited = save_proposals(context.paths.name, detector, rows, progress=advance)
        if edited:
            told = {"n": len(edited), "name": context.paths.name, "detector": detector}
            context.say(EDITED.format(**told))

    return store
