"""Who guesses is held back; the log holds lines, not secrets, and stays small."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curate.errors import CurateError
from curate.gateway import accesslog
from curate.gateway.accesslog import N_OLD, AccessLog
from curate.gateway.limits import N_FAILURES, N_FAILURES_ALL, N_KNOWN, WINDOW_S, AtATime, Failures, client
from curate.gateway.server import Place, opened


class Clock:
    """Seconds that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_five_failures_hold_one_client_back_and_not_the_others() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(N_FAILURES):
        assert failures.wait_s("a") == 0
        failures.note("a")
        clock.now += 1
    assert failures.wait_s("a") == WINDOW_S - N_FAILURES
    assert failures.wait_s("b") == 0
    clock.now = WINDOW_S - 0.5
    assert failures.wait_s("a") == 1
    clock.now = WINDOW_S
    assert failures.wait_s("a") == 0
    failures.note("a")
    assert failures.wait_s("a") > 0


def test_many_clients_that_guess_together_hold_all_back() -> None:
    clock = Clock()
    failures = Failures(clock)
    for number in range(N_FAILURES_ALL):
        assert failures.wait_s("mine") == 0
        failures.note(f"10.0.{number // 250}.{number % 250}")
    assert failures.wait_s("mine") == WINDOW_S
    clock.now = WINDOW_S
    assert failures.wait_s("mine") == 0


def test_remembering_failures_takes_bounded_memory() -> None:
    failures = Failures(Clock())
    for number in range(N_KNOWN + 50):
        failures.note(str(number))
    assert len(failures._by_client) == N_KNOWN
    assert len(failures._all) == N_FAILURES_ALL


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    assert client("2001:db8:1:2::3") == client("2001:db8:1:2:ffff::4") != client("2001:db8:1:3::3")


def test_a_client_has_so_many_requests_open_and_no_more() -> None:
    at_a_time = AtATime(2)
    with (
        at_a_time.one_more("a") as first,
        at_a_time.one_more("a") as second,
        at_a_time.one_more("a") as third,
    ):
        with at_a_time.one_more("b") as other:
            assert (first, second, third, other) == (True, True, False, True)
    with at_a_time.one_more("a") as again:
        assert again
    assert not at_a_time._open


def test_a_line_of_the_log_stays_one_line_whatever_is_asked(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log")
    log.write(person="Änn", path='/a\n{"at": "forged"}' + "x" * 5000, status=403)
    lines = log.path.read_text().splitlines()
    assert len(lines) == 1 and len(lines[0]) < 500
    row = json.loads(lines[0])
    assert (row["person"], row["status"]) == ("Änn", 403)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_full_log_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log", largest_bytes=300)
    for number in range(100):
        log.write(number=number)
    kept = sorted(tmp_path.glob("access.log*"))
    assert len(kept) == N_OLD + 1
    assert all(path.stat().st_size < 400 for path in kept)
    numbers = [
        json.loads(line)["number"]
        for path in sorted(kept, key=lambda p: p.stat().st_mtime_ns)
        for line in path.read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 100))


def test_writers_that_share_a_log_lose_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    monkeypatch.setattr(accesslog, "N_OLD", 1000)

    def write(worker: int) -> None:
        log = AccessLog(path, largest_bytes=2_000)
        for number in range(150):
            log.write(worker=worker, number=number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    rows = [
        json.loads(line) for file in tmp_path.glob("access.log*") for line in file.read_text().splitlines()
    ]
    assert sorted((row["worker"], row["number"]) for row in rows) == [
        (w, n) for w in range(4) for n in range(150)
    ]
    assert path.stat().st_size < 2_200


@pytest.mark.parametrize("host", ["a" * 300, "no\nname", "192.0.2.1"])
def test_an_address_that_cannot_be_is_told_in_one_line(host: str) -> None:
    with pytest.raises(CurateError, match="cannot be listened on") as told:
        opened(Place(host, 0))
    assert str(told.value).isprintable() and len(str(told.value)) < 300
