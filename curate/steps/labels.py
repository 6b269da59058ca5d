"""What is held to be true of each image now: what the source delivered, unless a person decided otherwise."""

from typing import Any

import pandas as pd

from curate import drawn_masks, tables, verdicts
from curate.files import fingerprint
from curate.opinions import Standing
from curate.steps.record import Context
from curate.truth import TRUTH

DELIVERED = ("sample_id", "label", "defect_types", "boxes", *TRUTH)


def current(context: Context) -> pd.DataFrame:
    """The sample table with the standing verdicts applied, masks included; see curate.verdicts.apply.

    Raises:
        MissingMask, Unreadable: masks that verdicts name are gone or altered; all are listed.
    """
    samples = _applied(context)
    _facts(context, samples)
    return samples


def digest(context: Context) -> str:
    """Checksum of what verdicts change against the source: labels, defect types, masks.

    Verdicts that change nothing of that leave it as it is: skipped, unsure, taken back, or what the source
    says, too.
    """
    held = standing(context)
    if not held:
        return fingerprint([])
    changed = []
    for rows in tables.batches(context.paths.samples, columns=DELIVERED):
        own = (row for row in rows if row["sample_id"] in held)
        found = ((row["sample_id"], verdicts.changes(row, held[row["sample_id"]])) for row in own)
        changed += [[name, told] for name, told in found if told]
    return fingerprint(sorted(changed, key=lambda each: str(each[0])))


def standing(context: Context) -> dict[str, Standing]:
    """The verdicts that hold, by sample id; see curate.verdicts.standing."""
    given = verdicts.read_mirror(context.paths.verdicts)
    if not given:
        return {}
    wanted = ("sample_id", "sha256")
    rows = (row for rows in tables.batches(context.paths.samples, columns=wanted) for row in rows)
    return verdicts.standing(given, {row["sample_id"]: row["sha256"] for row in rows})


def drawn(context: Context) -> dict[str, str]:
    """The masks in force that people accepted or drew: sample id -> digest."""
    return {name: one.mask for name, one in sorted(standing(context).items()) if one.mask}


def delivered_but_drawn(context: Context) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """The sample table as delivered, but where a person accepted or drew a mask, with theirs and its label.

    Returns:
        The table, with the column verdict_mask; and what curate.mask_facts measures in those masks, by
        sample id.

    Raises:
        MissingMask, Unreadable: see current.
    """
    delivered, now = tables.read(context.paths.samples), _applied(context)
    facts = _facts(context, now)
    if not facts:
        return delivered.assign(verdict_mask=None), {}
    of_person = {row["sample_id"]: row for row in tables.to_rows(now) if row["verdict_mask"]}
    columns = [*delivered.columns, "verdict_mask"]
    rows = [
        of_person.get(row["sample_id"], row | {"verdict_mask": None}) for row in tables.to_rows(delivered)
    ]
    return tables.from_rows(rows, columns), facts


def _applied(context: Context) -> pd.DataFrame:
    paths = context.paths
    return verdicts.apply(tables.read(paths.samples), verdicts.read_mirror(paths.verdicts), paths.drawn_masks)


def _facts(context: Context, now: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """See curate.drawn_masks.facts; of the masks in force."""
    named = now[now["verdict_mask"].notna()]
    wanted = dict(zip(named["sample_id"], named["verdict_mask"], strict=True))
    paths = context.paths
    images = dict(zip(named["sample_id"], named["relative_path"], strict=True))
    return drawn_masks.facts(paths.drawn_masks, wanted, paths.root / drawn_masks.CACHE, images)
