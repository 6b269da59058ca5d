"""How far people are: hand-made logs with undone, repeated and shared decisions."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from curate.triage_progress import by_person, last_decisions, midnight


def given(
    sample: str, by: str, minute: int, verdict: str = "normal", seconds: float | None = None
) -> dict[str, Any]:
    at = f"2026-11-26T10:{minute:02d}:00.000000+00:00"
    return {
        "sample_id": sample,
        "by": by,
        "at": at,
        "verdict": verdict,
        "defect_type": None,
        "seconds": seconds,
    }


def test_a_day_begins_at_midnight_where_the_person_is() -> None:
    tokyo = timezone(timedelta(hours=9))
    moment = datetime(2026, 11, 26, 16, 0, tzinfo=UTC)  # one in the morning of the 27th there
    assert midnight(moment, tokyo) == "2026-11-26T15:00:00.000000+00:00"


def test_an_image_counts_once_for_each_person_and_not_when_taken_back() -> None:
    rows = [
        given("a", "anna", 1, seconds=1.0), given("a", "anna", 2, "anomalous", 4.0), given("b", "anna", 3),
        given("c", "anna", 4, seconds=2.0), given("d", "anna", 5), given("d", "anna", 6, "undone"),
        given("a", "ben", 7, seconds=9.0),
    ]  # fmt: skip
    assert by_person(reversed(rows)) == [
        {"by": "anna", "n_images": 3, "seconds": 3.0},
        {"by": "ben", "n_images": 1, "seconds": 9.0},
    ]
    assert by_person([given("a", "anna", 1)]) == [{"by": "anna", "n_images": 1, "seconds": None}]
    assert by_person([]) == []


def test_the_last_decisions_are_those_that_can_be_taken_back() -> None:
    rows = [
        given("a", "anna", 1), given("b", "anna", 1), given("c", "anna", 2, "unsure"),
        given("c", "ben", 3), given("b", "anna", 4, "anomalous"), given("d", "anna", 5),
        given("d", "anna", 6, "undone"),
    ]  # fmt: skip
    found = last_decisions(rows, "anna")
    assert [(each["verdict"], each["sample_ids"]) for each in found] == [
        ("anomalous", ["b"]),
        ("unsure", ["c"]),
        ("normal", ["a"]),  # b's earlier one comes back only when the later one is taken back
    ]
    assert [each["sample_ids"] for each in last_decisions(rows, "anna", 1)] == [["b"]]
    assert last_decisions(rows, "cem") == []
