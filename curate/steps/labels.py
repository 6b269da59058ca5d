"""What is held to be true of each image now: what the source delivered, unless a person decided otherwise."""

from typing import Any

import pandas as pd

from curate import drawn_masks, tables, verdicts
from curate.files import fingerprint
from curate.steps.record import Context


def current(context: Context) -> pd.DataFrame:
    """The sample table with the standing verdicts applied, masks included; see curate.verdicts.apply.

    Raises:
        MissingMask, Unreadable: masks that verdicts name are gone or altered; all are listed.
    """
    samples = _applied(context)
    _facts(context, samples)
    return samples


def digest(context: Context) -> str:
    """Checksum of the verdicts given so far."""
    return fingerprint(verdicts.read_mirror(context.paths.verdicts))


def drawn(context: Context) -> dict[str, str]:
    """The masks in force that people accepted or drew: sample id -> digest."""
    given = verdicts.read_mirror(context.paths.verdicts)
    if not any(row.get("mask") for row in given):
        return {}
    samples = tables.read(context.paths.samples)
    checksums = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    held = verdicts.standing(given, checksums)
    return {name: one.mask for name, one in sorted(held.items()) if one.mask}


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
    return drawn_masks.facts(paths.drawn_masks, wanted, paths.root / drawn_masks.CACHE)
