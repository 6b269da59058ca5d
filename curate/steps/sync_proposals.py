"""What is offered in the FiftyOne dataset: when it is due, and how it is stored."""

from collections.abc import Callable

from curate import offered
from curate.evaluation_words import counted
from curate.files import fingerprint
from curate.progress import bar
from curate.steps import propose
from curate.steps.record import Context, as_made, digest, recorded
from curate.verdicts import read_mirror

Part = tuple[str, Callable[[], None]]
EDITED = "{name}: proposals of {detector} that a person edited stay as they are, in {n}."


def parts(context: Context) -> dict[str, Part]:
    """Part -> checksum of what it should hold, and how to store it."""
    out: dict[str, Part] = {}
    names = [*context.paths.detectors(), *offered.corrected(context.paths)]
    given = read_mirror(context.paths.verdicts) if names else []
    for name in dict.fromkeys(names):
        further = offered.state(context.paths, name, given)
        made = _table(context, name)
        if made is None and not offered.corrections(context.paths, name):
            continue
        held = [digest(context.paths.samples), made or "none", *([further] if further else [])]
        out[f"proposals {name}"] = (fingerprint(held), _storing(context, name, made is not None))
    return out


def _table(context: Context, detector: str) -> str | None:
    """Checksum of a detector's proposals; None where there are none, or maps or images changed since."""
    paths, step = context.paths, propose.step_of(detector)
    table = propose.table_of(paths, detector)
    made_of = recorded(paths, step)["inputs"]
    now = digest(paths.samples), digest(paths.detector(detector) / "predictions.parquet")
    if (made_of.get("images"), made_of.get("predictions")) != now or not as_made(paths, step, table):
        return None
    return digest(table)


def _storing(context: Context, detector: str, proposals: bool) -> Callable[[], None]:
    """A call that stores what is offered for a detector."""

    def store() -> None:
        from curate.store.proposals import save_proposals

        given = read_mirror(context.paths.verdicts)
        rows = offered.rows(context.paths, detector, given, proposals=proposals)
        with bar("proposals", len({row["sample_id"] for row in rows})) as advance:
            edited = save_proposals(context.paths.name, detector, rows, progress=advance)
        if edited:
            told = {"n": counted(len(edited), "image"), "name": context.paths.name, "detector": detector}
            context.say(EDITED.format(**told))

    return store
