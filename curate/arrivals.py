"""When each picture came into a dataset: kept in a file of the workspace, as a database can be lost."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

Arrival = tuple[str, str]  # checksum of the picture, and when it came: ISO 8601 in UTC
COLUMNS = ["sample_id", "sha256", "arrived_at"]


def updated(
    known: Mapping[str, Arrival], pictures: Iterable[tuple[str, str]], now: str
) -> dict[str, Arrival]:
    """Arrivals of the pictures that are there; those that were there before keep their time.

    A file that was replaced by another picture has come anew. What is not there any more is forgotten.

    Args:
        known: by sample id.
        pictures: sample id and checksum (sha256) of each.
        now: time of those that are new, all the same: it tells what came together.

    >>> updated({"a": ("1", "monday"), "b": ("2", "monday")}, [("a", "1"), ("b", "3")], "friday")
    {'a': ('1', 'monday'), 'b': ('3', 'friday')}
    """
    found = {}
    for sample_id, checksum in pictures:
        held = known.get(sample_id)
        found[sample_id] = held if held and held[0] == checksum else (checksum, now)
    return found


def moment(text: str) -> datetime:
    """A date or time as a person types it; without a zone it is local time, and a date is its first moment.

    Returns:
        In UTC.

    Raises:
        ValueError: neither a date nor a time after ISO 8601.

    >>> moment("2026-11-01T12:00+00:00").isoformat()
    '2026-11-01T12:00:00+00:00'
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f'Expected a date or a time, such as 2026-11-01 or 2026-11-01T14:30; found "{text}".'
        ) from error
