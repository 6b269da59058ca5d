"""Saving a dataset while somebody is killed, and what is left in the home folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mongod

SCRIPT = """
import os, sys
from pathlib import Path
from curate.store import dataset, server
from tests.helpers.stored import many
from tests.store.test_server import mongod_of
home, kill = Path(sys.argv[1]), sys.argv[2]
with server.connect(home):
    if dataset.exists("cut"):
        opened = dataset.load("cut")
        print(dataset.count("cut"), len(opened), len(opened.values("sample_id")))
    stored = 0
    def progress(n):
        global stored
        stored += n
        if stored == 2000 and kill == "server":
            mongod_of(home).kill()
        if stored == 2000 and kill == "client":
            os.kill(os.getpid(), 9)
    dataset.BATCH = 500
    try:
        dataset.save_samples("cut", many(4000), progress=progress)
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
    else:
        print(dataset.count("cut"))
"""


@pytest.mark.parametrize("killed", ["server", "client"])
def test_saving_is_completed_by_running_it_again_whoever_was_killed(tmp_path: Path, killed: str) -> None:
    def run(kill: str) -> list[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), kill]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout.splitlines()

    told = run(killed)
    if killed == "server":
        assert told[-1].startswith("DatabaseDown")
        assert "Run the command again: what was stored is kept" in told[-1]
    found, completed = run("nobody")
    counted, fiftyones_count, n_read = (int(count) for count in found.split())
    assert counted == fiftyones_count == n_read
    assert 2000 <= counted < 4000
    assert completed == "4000"


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    code = "\n".join([
        "import sys; from pathlib import Path; from curate.store import dataset, server, appearance",
        "from tests.helpers.stored import many",
        "with server.connect(Path(sys.argv[1])):",
        "    dataset.save_samples('quiet', many(2)); appearance.arrange('quiet')",
    ])  # fmt: skip
    empty = tmp_path / "home"
    empty.mkdir()
    environment = {**os.environ, "HOME": str(empty)}
    environment.pop("MPLCONFIGDIR", None)
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "work")], env=environment, check=True, timeout=120
    )
    assert list(empty.rglob("*")) == []
