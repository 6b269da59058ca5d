"""A workspace's own database: started for its first user, shared, gone after its last.

Nothing listens on the network: the socket lies in a folder that only its owner may enter. See keeper.py for
how long the server lives.
"""

import fcntl
import hashlib
import json
import os
import select
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from curate.errors import DatabaseDown
from curate.store import surroundings
from curate.store.failures import database_errors, explain, log_tail
from curate.store.keeper import answers
from curate.store.places import SOCKET, find_mongod, private_folder, socket_folder

ANSWER_LIMIT_MS = 4000  # how long a dead server is waited for
START_LIMIT_S = 660.0
NOTICE_LIMIT_S = 5.0
LOCK_LIMIT_S = 90.0  # a stopping predecessor gets this long
# without a representation of UUIDs, FiftyOne's object mapper warns at every start
OPTIONS = (
    f"journal=true&serverSelectionTimeoutMS={ANSWER_LIMIT_MS}&connectTimeoutMS={ANSWER_LIMIT_MS}"
    "&uuidRepresentation=standard"
)
OWN_NAME = "fiftyone"  # FiftyOne's own default: a script with only the address finds the data

_open: list["Database"] = []  # in this process; FiftyOne uses the last
_before: dict[str, str | None] = {}  # environment before the first was opened


class Database:
    """A held connection to a workspace's database; use it in a `with` block, or close it.

    FiftyOne works on the one that was opened last; when that is closed, on the one before.

    Attributes:
        home: the workspace.
        uri: address, as FiftyOne was told.
        name: of the database on that server.
    """

    def __init__(self, home: Path, uri: str, name: str, lock: IO[bytes] | None) -> None:
        self.home, self.uri, self.name = home, uri, name
        self._lock = lock
        if not _open:
            _before.update({key: os.environ.get(key) for key in surroundings.settings(home, uri, name)})
        surroundings.apply(home, uri, name)
        _open.append(self)
        if lock is not None:
            # a forked child shares the lock: it must not hold it longer than we do
            os.register_at_fork(after_in_child=lock.close)

    def close(self) -> None:
        """Let go; the server stops when nobody else uses it. May be called twice."""
        if self not in _open:
            return
        _open.remove(self)
        if _open:
            surroundings.apply(_open[-1].home, _open[-1].uri, _open[-1].name)
        else:
            surroundings.release(_before)
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(home: Path, runtime_dir: Path | None = None) -> Database:
    """Use a workspace's database; start its server unless it runs. Tells FiftyOne where it is.

    Args:
        home: the workspace; made when missing.
        runtime_dir: folder for the socket; chosen when left out.

    Raises:
        DatabaseDown: the server does not start or does not answer.
        Missing: no mongod is installed.
    """
    home = Path(os.path.abspath(home))  # noqa: PTH100  (resolve() would follow links)
    if own := os.environ.get("CURATE_DATABASE_URI"):
        return _connect_elsewhere(home, own)
    mongod = find_mongod()
    run = private_folder(home / "run")
    socket_path = socket_folder(home, runtime_dir) / SOCKET
    uri = _uri(socket_path)
    lock = _locked(run / "users.lock", fcntl.LOCK_SH)
    try:
        with _locked(run / "start.lock", fcntl.LOCK_EX):
            _ask(mongod, home, run / "keeper.lock", socket_path, uri)
            _recount(uri, run / "unclean")
        return Database(home, uri, OWN_NAME, lock)
    except BaseException:
        lock.close()
        raise


def _ask(mongod: Path, home: Path, keeper: Path, socket_path: Path, uri: str) -> None:
    """Have the server answer: start it unless it runs; one that was dying when it was looked at, too.

    Raises:
        DatabaseDown: it does not start or does not answer.
    """
    ran = _is_running(keeper, socket_path)
    if not ran:
        _start_keeper(mongod, home, socket_path)
    try:
        _ping(uri, home)
    except DatabaseDown:
        if not ran:
            raise
        if not _is_running(keeper, socket_path):
            _start_keeper(mongod, home, socket_path)
        _ping(uri, home)


def hold(home: Path) -> None:
    """Use a workspace's database until this process ends, however often others connect and let go meanwhile.

    For the App's server, whose FiftyOne has to stay connected.

    Raises:
        DatabaseDown: the server does not answer.
    """
    if not _open:
        connect(home)


def _uri(socket_path: Path) -> str:
    return f"mongodb://{urllib.parse.quote(str(socket_path), safe='')}/?{OPTIONS}"


def _connect_elsewhere(home: Path, uri: str) -> Database:
    """Use the user's own MongoDB; each workspace has a database of its own there unless one is named."""
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    name = os.environ.get("CURATE_DATABASE_NAME") or f"curate_{digest}"
    for option in OPTIONS.split("&")[1:]:
        if option.split("=")[0].lower() not in uri.lower():
            slash = "" if "/" in uri.partition("://")[2] else "/"
            uri += ("&" if "?" in uri else slash + "?") + option
    from pymongo.errors import PyMongoError

    try:
        _ping_once(uri)
    except PyMongoError as error:
        raise DatabaseDown(
            f"DatabaseDown: no answer from the MongoDB that CURATE_DATABASE_URI names ({str(error)[:200]}). "
            "Start it, correct the address, or unset the variable to use the workspace's own database."
        ) from error
    return Database(home, uri, name, None)


def _locked(path: Path, kind: int) -> IO[bytes]:
    """Open a lock file and lock it; a server that is stopping holds us up for a moment."""
    file = path.open("ab")
    limit = time.monotonic() + LOCK_LIMIT_S
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > limit:
                file.close()
                raise DatabaseDown(
                    f"DatabaseDown: waited {LOCK_LIMIT_S:.0f} s for {path}, which another process holds. "
                    f"Find it with `fuser {path}`, end it, and run the command again."
                ) from None
            time.sleep(0.05)


def _is_held(path: Path) -> bool:
    """Whether some process holds a lock file exclusively."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_running(keeper_lock: Path, socket_path: Path) -> bool:
    """Whether a keeper and its server are up; a keeper needs a moment to see that its server died."""
    limit = time.monotonic() + NOTICE_LIMIT_S
    while _is_held(keeper_lock):
        if answers(socket_path) or time.monotonic() > limit:
            return True
        time.sleep(0.05)
    return False


def _start_keeper(mongod: Path, home: Path, socket_path: Path) -> None:
    """Start the keeper and wait until its mongod listens."""
    db = private_folder(home / "db")
    keeper = Path(__file__).with_name("keeper.py")
    told = (keeper, mongod, db, home / "run", socket_path)
    command = [sys.executable, "-I", "-S", *map(str, told)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True, cwd="/",
    )  # fmt: skip
    with cast("IO[bytes]", child.stdout) as pipe:
        ready, _, _ = select.select([pipe], [], [], START_LIMIT_S)
        line = pipe.readline() if ready else b""
    child.wait()  # it left the keeper behind
    answer: dict[str, Any] = json.loads(line) if line else {"up": False, "reason": "no sign of life"}
    if not answer["up"]:
        raise _start_failure(home, str(answer["reason"]))


def _start_failure(home: Path, reason: str) -> Exception:
    from pymongo.errors import OperationFailure

    tail = log_tail(home)
    explained = explain(OperationFailure(reason), home)
    if not isinstance(explained, DatabaseDown):
        return explained
    lines = "\n".join(filter(None, [f"  {reason}" if reason else "", tail]))
    return DatabaseDown(
        f"DatabaseDown: the database of the workspace {home} does not start.\n{lines}\n"
        f"Run the command again; if it fails again, look at {home / 'run' / 'mongod.log'}. If the files are "
        f"damaged, move {home / 'db'} away and run the build again: images, maps and verdicts lie in other "
        "folders and are read back."
    )


def _ping_once(uri: str) -> None:
    import pymongo

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri)
    with client:
        client.admin.command("ping")


@database_errors()
def _ping(uri: str, home: Path) -> None:
    _ping_once(uri)


@database_errors()
def _recount(uri: str, marker: Path) -> None:
    """After an unclean end MongoDB's document counts are stale; validating each collection mends them."""
    if not marker.exists():
        return
    import pymongo

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri)
    with client:
        database = client[OWN_NAME]
        for name in database.list_collection_names(filter={"type": "collection"}):
            database.command("validate", name)
    marker.unlink(missing_ok=True)


@contextmanager
def _scratch(uri: str, name: str) -> Iterator[Any]:
    import pymongo

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri)
    with client:
        collection = client[name]["curate_doctor"]
        try:
            yield collection
        finally:
            collection.drop()


def environment(home: Path) -> dict[str, str]:
    """The variables that `connect` sets, for a workspace whose server has its usual place."""
    return surroundings.settings(home, _uri(socket_folder(home) / SOCKET), OWN_NAME)


def wait_until_stopped(home: Path, limit_s: float = 15.0) -> bool:
    """Wait for the workspace's server to end after its last user; False when it still runs."""
    limit = time.monotonic() + limit_s
    while (running := _is_held(home / "run" / "keeper.lock")) and time.monotonic() < limit:
        time.sleep(0.05)
    return not running


def check(home: Path) -> str:
    """Start the database, write a document, read it back, stop; for `curate doctor`.

    Returns:
        What was tried, in words.

    Raises:
        CurateError: what does not work and what to do.
    """
    started = time.monotonic()
    with connect(home) as database, database_errors(), _scratch(database.uri, database.name) as collection:
        collection.insert_one({"_id": os.getpid(), "written": True})
        found = collection.find_one({"_id": os.getpid()})
        version = collection.database.client.server_info()["version"]
    if not found or not found["written"]:
        raise DatabaseDown("DatabaseDown: a document that was written was not found. Run the check again.")
    wait_until_stopped(home)
    return f"MongoDB {version}: document written and read back in {time.monotonic() - started:.1f} s"
