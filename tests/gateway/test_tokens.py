"""Tokens: shown once, kept as a digest, refused when they ended or were revoked."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from curate.errors import AlreadyExists, CurateError, Missing, Unreadable
from curate.gateway import tokens
from curate.gateway.sessions import IDLE_S, LONGEST_S, N_PER_PERSON, Sessions
from curate.gateway.tokens import Access

NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.json"


class Clock:
    """Seconds that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_lets_in_whom_it_was_made_for_and_is_kept_nowhere(path: Path) -> None:
    token = tokens.add(path, " Ann ", "deciding", None, NOW)
    found = Access(path).person(token)
    assert found is not None and (found.name, found.role) == ("Ann", "deciding")
    assert len(token) > 32 and token.removeprefix("curate_") not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("wrong", ["", "curate_", "x" * 5000, "\ud800", "curate_" + "A" * 32])
def test_another_token_lets_nobody_in(path: Path, wrong: str) -> None:
    token = tokens.add(path, "Ann", "deciding", None, NOW)
    access = Access(path)
    assert access.person(wrong) is None
    assert access.person(token[:-1]) is None
    assert access.person(token + " ") is None
    assert access.person(token.swapcase()) is None


def test_a_token_ends_on_its_day(path: Path) -> None:
    ended = tokens.add(path, "Ann", "reading", 1, NOW - timedelta(days=1, seconds=1))
    holds = tokens.add(path, "Bob", "reading", 1, NOW)
    access = Access(path)
    assert access.person(ended) is None
    assert access.person(holds) is not None
    assert [row["state"] for row in tokens.listed(path, NOW)] == ["ended", "holds"]


def test_revoking_counts_at_once_where_the_file_was_read_before(path: Path) -> None:
    token = tokens.add(path, "Ann", "deciding", None, NOW)
    access = Access(path)
    found = access.person(token)
    assert found is not None and access.again(found.key) == found
    tokens.revoke(path, "Ann", NOW)
    assert access.person(token) is None
    assert access.again(found.key) is None
    assert "digest" not in str(tokens.listed(path, NOW)) and "sha256" not in str(tokens.listed(path, NOW))


def test_a_person_has_one_token_and_a_new_one_after_the_old_was_revoked(path: Path) -> None:
    first = tokens.add(path, "Ann", "deciding", None, NOW)
    with pytest.raises(AlreadyExists, match="curate access revoke"):
        tokens.add(path, "ANN", "reading", None, NOW)
    tokens.revoke(path, "Ann", NOW)
    second = tokens.add(path, "Ann", "reading", None, NOW)
    access = Access(path)
    found = access.person(second)
    assert access.person(first) is None
    assert found is not None and found.role == "reading"


def test_revoking_a_stranger_names_who_has_a_token(path: Path) -> None:
    tokens.add(path, "Ann", "deciding", None, NOW)
    with pytest.raises(Missing, match=r'"Bob" has no token.*Ann'):
        tokens.revoke(path, "Bob", NOW)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u202eb", "x" * 81])
def test_a_name_must_be_readable_in_a_verdict(path: Path, name: str) -> None:
    with pytest.raises(CurateError, match="printable"):
        tokens.add(path, name, "deciding", None, NOW)


def test_a_broken_file_lets_nobody_in(path: Path) -> None:
    token = tokens.add(path, "Ann", "deciding", None, NOW)
    access = Access(path)
    assert access.person(token) is not None
    content = json.loads(path.read_text())
    content["people"][0]["role"] = "owner"
    path.write_text(json.dumps(content))
    assert access.person(token) is None
    path.unlink()
    assert access.person(token) is None


@pytest.mark.parametrize("told", ["soon", "2030-01-01T00:00:00", "2030-13-01T00:00:00+00:00", ""])
def test_an_end_that_is_no_moment_lets_nobody_in_and_is_told(path: Path, told: str) -> None:
    token = tokens.add(path, "Ann", "deciding", 3, NOW)
    content = json.loads(path.read_text())
    content["people"][0]["expires_at"] = told
    path.write_text(json.dumps(content))
    assert Access(path).person(token) is None
    with pytest.raises(Unreadable, match="no moment in UTC"):
        tokens.listed(path, NOW)


def test_a_folder_or_endless_brackets_in_place_of_the_file_let_nobody_in(path: Path) -> None:
    token = tokens.add(path, "Ann", "deciding", None, NOW)
    access = Access(path)
    path.write_text("[" * 100_000)
    assert access.person(token) is None
    path.unlink()
    path.mkdir()
    assert access.person(token) is None


def test_a_session_ends_when_idle_when_old_and_with_its_token(path: Path) -> None:
    token = tokens.add(path, "Ann", "deciding", None, NOW)
    access, clock = Access(path), Clock()
    person = access.person(token)
    assert person is not None
    sessions = Sessions(access, clock)
    name = sessions.begin(person)
    assert sessions.person(name) == person
    assert sessions.person(name + "x") is None and sessions.person("") is None
    clock.now += IDLE_S + 1
    assert sessions.person(name) is None
    busy = sessions.begin(person)
    for _ in range(int(LONGEST_S / IDLE_S * 2)):
        clock.now += IDLE_S / 2
        assert sessions.person(busy) == person
    clock.now += IDLE_S / 2
    assert sessions.person(busy) is None
    last = sessions.begin(person)
    tokens.revoke(path, "Ann", NOW)
    assert sessions.person(last) is None


def test_logging_out_ends_one_session_and_too_many_end_the_oldest(path: Path) -> None:
    access = Access(path)
    person = access.person(tokens.add(path, "Ann", "deciding", None, NOW))
    assert person is not None
    sessions = Sessions(access)
    first, second = sessions.begin(person), sessions.begin(person)
    sessions.end(first)
    assert sessions.person(first) is None and sessions.person(second) == person
    newer = [sessions.begin(person) for _ in range(N_PER_PERSON)]
    assert sessions.person(second) is None
    assert all(sessions.person(name) == person for name in newer)
