"""curate triage serves the page, and leaves no process behind when it ends, however it ends."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triage")
    write_mvtec(folder / "images", n_train=3, n_good=2, n_per_defect=1)
    command = [sys.executable, "-m", "curate.cli", "ingest", str(folder / "images"), "--name", "tiny"]
    subprocess.run([*command, "--home", str(folder / "home")], check=True, capture_output=True, timeout=120)
    return folder / "home"


@pytest.fixture
def page(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A running `curate triage`, and its page's address."""
    command = [sys.executable, "-m", "curate.cli", "triage", "tiny", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    address = ""
    for line in process.stdout:
        if "Triage page: " in line:
            address = line.split("Triage page: ")[1].strip()
            break
    yield process, address
    process.kill()
    process.communicate()


def left_behind(home: Path) -> list[str]:
    """Command lines of processes that name the workspace in their arguments or variables."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            named = str(home) in " ".join(process.info["cmdline"] or [])
            if process.pid != os.getpid() and (named or process.environ().get("CURATE_HOME") == str(home)):
                found.append(" ".join(process.info["cmdline"] or [])[:160])
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_until_alone(home: Path, limit_s: float = 20.0) -> list[str]:
    limit = time.monotonic() + limit_s
    while (rest := left_behind(home)) and time.monotonic() < limit:
        time.sleep(0.2)
    return rest


def test_page_is_served_on_this_machine_only(home: Path, page: tuple["subprocess.Popen[str]", str]) -> None:
    _, address = page
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert b"<div id=" in answer.read()
    assert left_behind(home), "the search for processes must see the running ones"


def test_ctrl_c_ends_well_and_leaves_no_process(
    home: Path, page: tuple["subprocess.Popen[str]", str]
) -> None:
    process, _ = page
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert wait_until_alone(home) == []


def test_kill_leaves_no_process(home: Path, page: tuple["subprocess.Popen[str]", str]) -> None:
    process, _ = page
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert wait_until_alone(home) == []
