"""Decisions of outside annotators become verdicts, each once, however often their file is received."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from curate import drawn_masks
from curate.annotation_answers import Decision
from curate.decisions import decide
from curate.drawn_types import Drawn, known_values
from curate.store import verdicts
from curate.store.alone import alone
from curate.tables import from_rows, to_rows
from curate.workspace import DatasetPaths

BATCH = 200
Row = dict[str, Any]


def receive(
    paths: DatasetPaths,
    tool: str,
    decisions: Sequence[Decision],
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, int]:
    """Store what is new as verdicts; a killed call leaves whole verdicts, and the next one the rest.

    A person's decision is known when it is the last that came from them, on that picture, through that tool;
    also when they took it back since, or judged otherwise in the App.

    Args:
        decisions: at most one of each person on a sample, on samples and pictures of the dataset.
        tool: that they came through; becomes the place of what was shown.
        progress: told the number of decisions that are dealt with.

    Returns:
        n_stored and n_known.

    Raises:
        DatabaseDown: the database stopped; what was stored counts.
        StorageFull: no space is left; what was stored counts.
    """
    people: dict[str, list[Decision]] = defaultdict(list)
    for each in decisions:
        people[each.by].append(each)
    stored = 0
    for by, own in sorted(people.items()):
        for start in range(0, len(own), BATCH):
            batch = own[start : start + BATCH]
            with alone(paths.verdicts):  # what holds must not change between the look and the verdict
                stored += _store(paths, tool, by, batch)
            progress(len(batch))
    return {"n_stored": stored, "n_known": len(decisions) - stored}


def known_of(log: Sequence[Row], tool: str) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """The last decision of each person through a tool: (sample, picture, person) -> see Decision.key."""
    known = {}
    for row in sorted(log, key=lambda each: str(each["at"])):
        if (row.get("shown") or {}).get("place") == tool and row["verdict"] != "undone":
            said = (row["verdict"], row["defect_type"], row.get("mask"))
            known[row["sample_id"], row["sha256"], row["by"]] = said
    return known


def new_of(
    log: Sequence[Row], tool: str, decisions: Sequence[Decision], values: Mapping[str, int]
) -> list[tuple[Decision, Drawn | None]]:
    """The decisions that a log of verdicts does not have yet, with their masks; see receive.

    Args:
        values: that defect types have in the masks of the dataset.
    """
    known, used = known_of(log, tool), dict(values)
    fresh = []
    for each in decisions:
        drawn = each.drawn(used) if each.regions else None
        if known.get((each.sample_id, each.sha256, each.by)) != each.key(drawn):
            fresh.append((each, drawn))
            used |= known_values([{"mask_classes": drawn.classes}]) if drawn else {}
    return fresh


def _store(paths: DatasetPaths, tool: str, by: str, decisions: Sequence[Decision]) -> int:
    name, wanted = paths.name, [each.sample_id for each in decisions]
    samples = verdicts.situation(name, wanted)
    now = {row["sample_id"]: row["sha256"] for row in to_rows(samples)}
    ours = [each for each in decisions if now.get(each.sample_id) == each.sha256]
    log, values = verdicts.read_log(name, wanted), verdicts.values_in_use(name)
    fresh = {each.sample_id: (each, drawn) for each, drawn in new_of(log, tool, ours, values)}
    if not fresh:
        return 0
    masks = {  # on the disk before a verdict names them
        sample_id: drawn_masks.store(paths.drawn_masks, sample_id, drawn.mask)
        for sample_id, (_, drawn) in fresh.items()
        if drawn
    }
    asked = samples[samples["sample_id"].isin(list(fresh))]
    made = decide(asked, "unsure", by=by, at=verdicts.now_after(name), masks=masks)
    columns, rows = list(made.columns), to_rows(made)
    for row in rows:
        each, drawn = fresh[row["sample_id"]]
        row["verdict"], row["defect_type"], _ = each.key(drawn)
        row["mask_classes"] = drawn.classes if drawn else None
    rows = to_rows(verdicts.with_after(name, from_rows(rows, columns)))
    for row in rows:
        each, _ = fresh[row["sample_id"]]
        row["seconds"] = each.seconds
        row["shown"] = {
            "place": tool, "detector": each.detector, "threshold": None, "proposals": list(each.proposals),
        }  # fmt: skip
    return verdicts.add(name, from_rows(rows, columns), paths.verdicts)
