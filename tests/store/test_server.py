"""The workspace's own database: started, shared, isolated, gone after its last user, honest when it dies."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from curate.errors import DatabaseDown, Missing
from curate.store import dataset, server
from curate.store.failures import database_errors
from curate.store.places import private_folder, socket_folder
from tests.helpers.stored import many

pytestmark = pytest.mark.mongod
GONE_S = 8.0
USER = """
import sys, time
from pathlib import Path
from curate.store import server
with server.connect(Path(sys.argv[1])) as database:
    print(database.uri, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_user(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that uses the workspace until it is told or killed."""
    command = [sys.executable, "-c", USER, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("mongodb://")
        yield process
        process.kill()


def servers(home: Path) -> list[psutil.Process]:
    """Processes of this workspace's keeper and mongod."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if str(home / "db") in command and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def mongod_of(home: Path) -> psutil.Process:
    return next(process for process in servers(home) if process.name() == "mongod")


def keeper_of(home: Path) -> psutil.Process:
    return next(process for process in servers(home) if process.name() != "mongod")


def gone(home: Path, limit_s: float = GONE_S) -> bool:
    """Wait until no server of the workspace is left."""
    limit = time.monotonic() + limit_s
    while (left := servers(home)) and time.monotonic() < limit:
        time.sleep(0.1)
    return not left


_clients: list["pymongo.MongoClient[dict[str, Any]]"] = []


@pytest.fixture(autouse=True)
def no_client_is_left_open() -> Iterator[None]:
    yield
    while _clients:
        _clients.pop().close()


def documents(database: server.Database) -> Any:
    """A collection of the test's own, through a client of its own."""
    _clients.append(pymongo.MongoClient(database.uri))
    return _clients[-1][database.name]["toy"]


def test_check_writes_and_reads_back_and_leaves_nothing_running(tmp_path: Path) -> None:
    assert "written and read back" in server.check(tmp_path)
    assert gone(tmp_path, limit_s=1)


def test_two_workspaces_never_see_each_others_documents(tmp_path: Path) -> None:
    with server.connect(tmp_path / "one") as one, server.connect(tmp_path / "two") as two:
        documents(one).insert_one({"_id": 1})
        assert documents(two).count_documents({}) == 0
        assert one.uri != two.uri
    with server.connect(tmp_path / "one") as one:
        assert documents(one).count_documents({}) == 1


def test_fiftyone_goes_back_to_the_workspace_that_is_still_open(
    workspace_db: server.Database, tmp_path: Path
) -> None:
    dataset.save_samples("outer", many(2))
    with server.connect(tmp_path):
        assert not dataset.exists("outer")
        dataset.save_samples("outer", many(1))
    assert dataset.count("outer") == 2


def test_two_processes_share_one_server_that_ends_after_the_last(tmp_path: Path) -> None:
    with server.connect(tmp_path):
        first = mongod_of(tmp_path).pid
        with another_user(tmp_path):
            assert len(servers(tmp_path)) == 2
    with another_user(tmp_path):
        assert mongod_of(tmp_path).pid != first or len(servers(tmp_path)) == 2
    assert gone(tmp_path)


def test_the_server_ends_when_its_last_user_is_killed(tmp_path: Path) -> None:
    with another_user(tmp_path) as user:
        user.kill()
        user.wait()
        assert gone(tmp_path)


def test_no_mongod_outlives_a_killed_keeper(tmp_path: Path) -> None:
    with server.connect(tmp_path) as database:
        documents(database).insert_one({"_id": 1})
        keeper_of(tmp_path).send_signal(signal.SIGKILL)
        assert gone(tmp_path)
    with server.connect(tmp_path) as database:
        assert documents(database).count_documents({}) == 1


def test_a_killed_mongod_is_told_and_what_was_acknowledged_is_there_again(tmp_path: Path) -> None:
    with server.connect(tmp_path) as database:
        collection = documents(database)
        collection.insert_many([{"n": index} for index in range(500)])
        mongod_of(tmp_path).send_signal(signal.SIGKILL)
        started = time.monotonic()
        with (
            pytest.raises(DatabaseDown, match=r"Run the command again: what was stored is kept"),
            database_errors(),
        ):
            collection.insert_one({"n": 500})
            collection.insert_one({"n": 501})
        assert time.monotonic() - started < 30  # 5 s are promised; a busy machine gets room
    with server.connect(tmp_path) as database:
        assert documents(database).count_documents({}) == 500
        assert (
            documents(database).estimated_document_count() == 500
        )  # stale, unless the collections are validated


def test_only_the_owner_can_reach_the_server_and_no_port_is_opened(tmp_path: Path) -> None:
    with server.connect(tmp_path):
        folder = socket_folder(tmp_path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "mongo.sock").stat().st_mode) == 0o600
        assert [
            c for c in mongod_of(tmp_path).net_connections("inet") if c.status == psutil.CONN_LISTEN
        ] == []


def test_a_deep_workspace_gets_a_short_private_socket(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / ("deeper" * 20)
    with server.connect(home) as database:
        folder = socket_folder(home)
        assert len(str(folder)) < 90
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        documents(database).insert_one({"_id": 1})
    assert gone(home)
    folder.rmdir()


def test_a_folder_that_is_a_link_is_not_trusted_with_the_socket(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatabaseDown, match="a link"):
        private_folder(tmp_path / "run")


def test_damaged_files_give_the_log_and_a_remedy(tmp_path: Path) -> None:
    with server.connect(tmp_path):
        pass
    assert gone(tmp_path)
    for name in ("WiredTiger.turtle", "WiredTiger.wt"):
        (tmp_path / "db" / name).write_bytes(b"damaged")
    told = (
        r"does not start(.|\n)*mongod: (.|\n)*Run the command again; if it fails again(.|\n)*move .*db away"
    )
    with pytest.raises(DatabaseDown, match=told):
        server.connect(tmp_path)
    assert gone(tmp_path)


def test_a_missing_mongod_names_the_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fiftyone").mkdir()
    (tmp_path / "fiftyone" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    with pytest.raises(Missing, match="curate doctor --fix"):
        server.connect(tmp_path / "home")


def test_the_users_own_mongodb_is_used_and_its_absence_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.connect(tmp_path / "theirs") as theirs:
        monkeypatch.setenv("CURATE_DATABASE_URI", theirs.uri)
        with server.connect(tmp_path / "mine") as mine:
            assert mine.uri == theirs.uri
            assert mine.name != theirs.name
            assert not (tmp_path / "mine" / "db").exists()
    assert gone(tmp_path / "theirs")
    with pytest.raises(DatabaseDown, match="CURATE_DATABASE_URI"):
        server.connect(tmp_path / "mine")


def test_a_forked_child_does_not_keep_the_server_alive(tmp_path: Path) -> None:
    with server.connect(tmp_path):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        assert gone(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
