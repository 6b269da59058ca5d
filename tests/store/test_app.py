"""The App server as our child: served at its address, refused to strangers, gone with us however we end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import psutil
import pytest

from curate.errors import CurateError
from curate.store import dataset
from curate.store.app import ADDRESS, end_server, need_port, serve, start_server
from curate.store.server import Database
from tests.helpers.stored import many, row, table
from tests.store.test_server import gone

pytestmark = pytest.mark.mongod
SERVE = """
import sys
from pathlib import Path
from curate.store import dataset, server
from curate.store.app import serve
from tests.helpers.stored import many
with server.connect(Path(sys.argv[1])):
    dataset.save_samples("served", many(3))
    with serve("served") as app:
        print(app.process.pid, app.url, flush=True)
        app.wait()
"""


def status(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_taken_port_is_named_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CurateError, match=rf"port {port} .*--port"):
            need_port(port)
        need_port(None)


def test_servers_that_start_at_once_never_meet_at_one_port(workspace_db: Database) -> None:
    home = workspace_db.home
    started = [start_server(None, home, home / "run" / f"started-{n}.log") for n in range(2)]
    try:
        assert len({port for port, _ in started}) == 2
    finally:
        for _, process in started:
            end_server(process)


def test_the_page_is_served_here_only_and_loads_nothing_from_elsewhere(workspace_db: Database) -> None:
    dataset.save_samples("Served.Here", many(3))
    with serve("Served.Here", view="decided") as app:
        page = f"http://127.0.0.1:{app.port}/datasets/Served.Here"
        assert app.url == f"{page}?view=decided&workspace=triage"
        assert status(app.port, "/datasets/Served.Here") == 200
        assert status(app.port, "/", Host="evil.example") == 403
        assert status(app.port, "/", Origin="http://evil.example") == 403
        listening = [c for c in psutil.Process(app.process.pid).net_connections() if c.status == "LISTEN"]
        assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
        process = app.process
    assert process.poll() is not None


def test_only_the_files_of_datasets_are_given_away_and_only_to_the_page_itself(
    workspace_db: Database, toy: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    root, _ = toy
    outside, secret = tmp_path / "image.png", tmp_path / "secret.txt"
    outside.write_bytes((root / "images" / "good-00.png").read_bytes())
    secret.write_text("mine")
    (tmp_path / "image.txt").symlink_to(outside)
    dataset.save_samples("outside", table(row("outside", filepath=str(outside))))

    def asked(path: Path | str, **headers: str) -> int:
        return status(app.port, f"/media?filepath={quote(str(path))}", **headers)

    with serve("toy") as app:
        assert asked(outside) == asked(root / "display" / "good-00.png") == 200
        assert asked(tmp_path / "image.txt") == 200  # a link to the image of a sample
        assert asked(secret) == asked("/etc/passwd") == asked(f"{root}/../../../../../etc/passwd") == 403
        assert asked(f"{outside}/../secret.txt") == asked("a\0b") == 403
        assert status(app.port, f"/%6dedia?filepath={outside}&filepath={secret}") == 403
        assert asked(outside, Origin=f"http://127.0.0.1:{app.port}") == 200
        assert asked(outside, Origin=f"http://localhost:{app.port}") == 200
        assert asked(outside, Origin="http://localhost:1") == 403
        assert asked(outside, Origin="null") == 403
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": "http://localhost:1"}
        assert status(app.port, "/graphql", **upgrade) == 403


def test_a_mask_that_was_corrected_is_soon_asked_for_again_and_a_script_at_once(
    workspace_db: Database, toy: tuple[Path, pd.DataFrame]
) -> None:
    mask = quote(str(next((toy[0] / "masks").glob("*.png"))))
    wanted = {f"/media?filepath={mask}": "private, max-age=20", "/plugins/triage/press.js": "no-cache"}
    with serve("toy") as app:
        for path, life in wanted.items():
            connection = http.client.HTTPConnection(ADDRESS, app.port, timeout=20)
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("cache-control")) == (200, life)
            connection.close()


def test_an_unknown_view_lists_the_known(workspace_db: Database) -> None:
    dataset.save_samples("viewed", many(1))
    with pytest.raises(CurateError, match="not looked at yet"), serve("viewed", view="absent"):
        pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_whatever_ends_us(tmp_path: Path, how: signal.Signals) -> None:
    empty = tmp_path / "home"
    empty.mkdir()
    environment = {**os.environ, "HOME": str(empty)}
    environment.pop("MPLCONFIGDIR", None)
    command = [sys.executable, "-c", SERVE, str(tmp_path / "work")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[0])
        process.send_signal(how)
        process.wait(20)
    limit = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" and time.monotonic() < limit:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
    assert gone(tmp_path / "work")
    assert list(empty.rglob("*")) == []
