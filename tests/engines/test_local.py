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
from curate.errors import CurateError, StorageFull


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


def dying(number: int) -> int:
    if number == 150:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_worker_process_that_is_killed_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PROCESSES_FROM", 100)
    monkeypatch.setattr(local, "N_PROCESSES", 2)
    with Workers(processes=True) as workers, pytest.raises(CurateError, match=r"ended from outside.*memory"):
        list(workers.each(dying, list(range(300))))


def test_ctrl_c_while_processes_begin_is_heard_by_their_parent_only(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from curate.engines import local\n"
        "from tests.engines.test_local import whose\n"
        "if __name__ == '__main__':\n"
        "    local.PROCESSES_FROM, local.N_PROCESSES = 1, 2\n"
        "    try:\n"
        "        with local.Workers(processes=True) as workers:\n"
        "            list(workers.each(whose, list(range(200))))\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
    )
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        start_new_session=True,
    )
    begun: list[psutil.Process] = []
    while not begun and parent.poll() is None:
        children = psutil.Process(parent.pid).children()
        begun = [child for child in children if "spawn_main" in "".join(child.cmdline())]
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=60)
    assert out == "interrupted\n" and "Traceback" not in err


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
