"""When pictures came."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from curate.arrivals import moment, updated


@pytest.fixture
def in_new_york() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "EST5EDT"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_what_came_together_has_one_time_and_keeps_it() -> None:
    first = updated({}, [("a", "1"), ("b", "2")], "monday")
    assert updated(first, [("a", "1"), ("b", "2"), ("c", "3")], "friday") == {
        "a": ("1", "monday"), "b": ("2", "monday"), "c": ("3", "friday"),
    }  # fmt: skip


def test_what_vanished_and_came_back_is_new() -> None:
    first = updated({}, [("a", "1"), ("b", "2")], "monday")
    without = updated(first, [("b", "2")], "friday")
    assert updated(without, [("a", "1"), ("b", "2")], "sunday")["a"] == ("1", "sunday")


def test_a_date_is_its_first_moment_where_the_person_is(in_new_york: None) -> None:
    assert moment("2026-11-01") == datetime(2026, 11, 1, 4, tzinfo=UTC)  # before the clocks go back
    assert moment(" 2026-12-01T08:30 ") == datetime(2026, 12, 1, 13, 30, tzinfo=UTC)
    assert moment("2026-12-01T08:30+09:00") == datetime(2026, 11, 30, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "01.11.2026", "2026-13-01", "", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 2026-11-01.*found"):
        moment(text)
