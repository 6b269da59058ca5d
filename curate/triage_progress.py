"""How far people are with triage: who decided how much, how fast, and what they decided last."""

import statistics
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from curate.opinions import stacked

Row = Mapping[str, Any]
DECISIONS = 5  # how many of the last ones are listed


def midnight(now: datetime, zone: tzinfo | None = None) -> str:
    """When the day of a moment began, as verdicts tell the time.

    Args:
        now: with a time zone.
        zone: whose day; None: that of this machine.

    >>> midnight(datetime(2026, 11, 26, 15, 30, tzinfo=UTC), UTC)
    '2026-11-26T00:00:00.000000+00:00'
    """
    local = now.astimezone(zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return start.astimezone(UTC).isoformat(timespec="microseconds")


def by_person(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """What each person decided and did not take back, the busiest first.

    Args:
        rows: verdicts of a day, in any order.

    Returns:
        by; n_images, each counted once; seconds: median of those that are known, None without any.
    """
    held: dict[str, list[Row]] = {}
    for given in _of_samples(rows).values():
        for person, stack in stacked(given).items():
            held.setdefault(person, []).append(stack[-1])
    found = []
    for person, last in held.items():
        known = [row["seconds"] for row in last if row.get("seconds") is not None]
        found.append({"by": person, "n_images": len(last), "seconds": _median(known)})
    return sorted(found, key=lambda each: (-each["n_images"], each["by"]))


def last_decisions(rows: Iterable[Row], by: str, shown: int = DECISIONS) -> list[dict[str, Any]]:
    """The last decisions of a person that can still be taken back, newest first.

    Images decided at once are one decision; an image is named only with the last decision about it, because
    that one is taken back first.

    Args:
        rows: every verdict on the images concerned, in any order; those of others are passed over.

    Returns:
        at, verdict, defect_type and sample_ids of each.
    """
    own = [row for row in rows if row["by"] == by]
    decided: dict[tuple[str, str, str | None], list[str]] = {}
    for sample_id, given in _of_samples(own).items():
        stack = stacked(given).get(by)
        if stack:
            key = (stack[-1]["at"], stack[-1]["verdict"], stack[-1].get("defect_type"))
            decided.setdefault(key, []).append(sample_id)
    newest = sorted(decided, key=lambda key: key[0], reverse=True)[:shown]
    return [
        {"at": at, "verdict": verdict, "defect_type": kind, "sample_ids": sorted(decided[at, verdict, kind])}
        for at, verdict, kind in newest
    ]


def _of_samples(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["sample_id"], []).append(row)
    return found


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 2) if values else None
