"""Jobs by threads and by processes: order, errors, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curate.engines import local
from curate.engines.local import Workers
from curate.errors import StorageFull


def doubled(number: int) -> int:
    return 2 * number


def whose(number: int) -> int:
    return os.getpid()


def refusing(number: int) -> int:
    if number == 77:
        raise StorageFull("StorageFull: no space for 77.")
    return number


@pytest.fixture(params=["threads", "processes"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(local, "PROCESSES_FROM", 100)
    monkeypatch.setattr(local, "N_PROCESSES", 2)
    with Workers(processes=request.param == "processes") as running:
        yield running


def test_results_come_in_the_order_of_the_items_call_after_call(workers: Workers) -> None:
    assert list(workers.each(doubled, list(range(500)))) == list(range(0, 1000, 2))
    assert list(workers.each(doubled, [5])) == [10]
    assert list(workers.each(doubled, [])) == []


def test_an_error_of_a_job_reaches_the_caller_with_its_message(workers: Workers) -> None:
    with pytest.raises(StorageFull, match="no space for 77"):
        list(workers.each(refusing, list(range(300))))


def test_processes_are_used_only_where_allowed_and_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PROCESSES_FROM", 100)
    monkeypatch.setattr(local, "N_PROCESSES", 2)
    with Workers(processes=True) as allowed, Workers() as refused:
        assert set(allowed.each(whose, list(range(99)))) == {os.getpid()}
        assert os.getpid() not in set(allowed.each(whose, list(range(100))))
        assert set(refused.each(whose, list(range(200)))) == {os.getpid()}


def test_worker_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\n"
        "from curate.engines import local\n"
        "from tests.engines.test_local import whose\n"
        "if __name__ == '__main__':\n"
        "    local.PROCESSES_FROM, local.N_PROCESSES = 1, 2\n"
        "    with local.Workers(processes=True) as workers:\n"
        "        print(*set(workers.each(whose, list(range(200)))), flush=True)\n"
        "        time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    with parent.stdout as told:
        children = [int(number) for number in told.readline().split()]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    limit = time.monotonic() + 20
    while any(map(psutil.pid_exists, children)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert children and not any(map(psutil.pid_exists, children))
