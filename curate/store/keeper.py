"""Runs one workspace's mongod for as long as somebody uses it; a small process of its own.

Started as a file, detached, with only the standard library. Whoever uses the database holds a shared lock on
run/users.lock; the kernel lets go of it however that process ends. When the keeper gets the same lock for
itself, nobody is left: it stops mongod and ends.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

POLL_S = 0.5
START_LIMIT_S = 600.0  # replaying a large journal takes a while
IN_USE_LIMIT_S = 10.0  # how long a stopping predecessor may still hold the files
IN_USE_EXIT = 100  # mongod's exit status when the data files are locked, or damaged
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, and allow as many open files as the system lets us."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def launch(mongod: str, db: Path, socket_path: Path, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start mongod on a Unix socket only, journaled, with a modest cache."""
    command = [
        mongod,
        *("--dbpath", str(db), "--bind_ip", str(socket_path), "--unixSocketPrefix", str(socket_path.parent)),
        *("--filePermissions", "0600", "--wiredTigerCacheSizeGB", "1", "--quiet"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
    )


def answers(socket_path: Path) -> bool:
    """Whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_path))
        except OSError:
            return False
    return True


def wait_until_up(server: "subprocess.Popen[bytes]", socket_path: Path) -> bool:
    """True once mongod listens; False when it ended before, or took too long."""
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if server.poll() is not None:
            return False
        if answers(socket_path):
            return True
        time.sleep(0.05)
    return False


def start(mongod: str, db: Path, socket_path: Path, run: Path) -> "subprocess.Popen[bytes] | None":
    """Start mongod; a predecessor that is still stopping gets some seconds. None when it does not start."""
    lock = db / "mongod.lock"
    limit = time.monotonic() + IN_USE_LIMIT_S
    while True:
        if lock.exists() and lock.stat().st_size > 0:
            (run / "unclean").touch()
        socket_path.unlink(missing_ok=True)
        log_path = run / "mongod.log"
        if log_path.exists():
            log_path.replace(run / "mongod.log.1")
        with log_path.open("wb") as log:
            server = launch(mongod, db, socket_path, log)
        if wait_until_up(server, socket_path):
            return server
        if server.poll() is None:
            stop(server)
        if server.returncode != IN_USE_EXIT or time.monotonic() > limit:
            return None
        time.sleep(0.5)


def stop(server: "subprocess.Popen[bytes]") -> None:
    """End mongod cleanly; by force only when it does not listen for a minute."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def keep(server: "subprocess.Popen[bytes]", users: IO[bytes]) -> None:
    """Wait until mongod ended, or nobody uses it; then stop it, while new users wait for our lock."""
    while server.poll() is None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(POLL_S)
            continue
        stop(server)


def report(**facts: object) -> None:
    """One line of JSON to whoever started us, then nothing more."""
    try:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
    except OSError:
        pass  # the starter is gone; the lock tells the rest
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def main(mongod: str, db: str, run: str, socket_path: str) -> None:
    """Hold keeper.lock while mongod runs."""
    folder = Path(run)
    with (folder / "keeper.lock").open("wb") as mine, (folder / "users.lock").open("wb") as users:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server = start(mongod, Path(db), Path(socket_path), folder)
        except OSError as error:
            report(up=False, reason=str(error))
            return
        if server is None:
            report(up=False, reason="")
            return
        (folder / "mongod.pid").write_text(f"{server.pid}\n", encoding="ascii")
        report(up=True, pid=server.pid)
        keep(server, users)
        Path(socket_path).unlink(missing_ok=True)
        mine.close()  # before users.lock, so that a waiting user finds no keeper


if __name__ == "__main__":
    if os.fork() == 0:  # a grandchild: whoever started us has nobody to wait for
        main(*sys.argv[1:])
