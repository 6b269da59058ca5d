"""Starts the fresh processes that measure detectors, and says in words when one of them dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import curate
from curate.errors import CurateError
from curate.files import read_json, write_json

WORKER = (sys.executable, "-m", "curate.cost_worker")


class NotMeasured(Exception):
    """A measuring process failed; the message says how.

    Attributes:
        trace: traceback of an error that nobody foresaw, else None.
    """

    def __init__(self, message: str, trace: str | None = None) -> None:
        super().__init__(message)
        self.trace = trace


def ask(
    task: str, request: Mapping[str, Any], folder: Path, program: Sequence[str] = WORKER
) -> dict[str, Any]:
    """Do a task of curate.cost_worker in a fresh interpreter; the answer has its `pid` besides.

    Args:
        folder: for the two files that the processes talk through.
        program: what is started, with the paths of request and answer as last arguments.

    Raises:
        NotMeasured: the process failed or was killed.
    """
    asked, answer = folder / f"{task}-request.json", folder / f"{task}-answer.json"
    answer.unlink(missing_ok=True)
    write_json(asked, {**request, "task": task})
    path = os.pathsep.join(filter(None, [str(Path(curate.__file__).parents[1]), os.getenv("PYTHONPATH")]))
    command = [*program, str(asked), str(answer)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    try:
        found: dict[str, Any] = read_json(answer)
    except CurateError:
        raise NotMeasured(_ended(code)) from None
    if error := found.get("error"):
        message = error["message"].removeprefix(f"{error['kind']}: ")
        raise NotMeasured(f"{error['kind']}: {message}", error["trace"])
    return {**found, "pid": process.pid}


def busy(n_cores: int) -> list[str]:
    """A warning where other programs keep the machine busy; the load of measuring itself is allowed."""
    load = os.getloadavg()[0]
    if load <= 2 * n_cores:
        return []
    return [
        f"the machine was busy with other work (load {load:.1f} on {n_cores} cores), so times are too long: "
        "--again measures anew"
    ]


def _ended(code: int) -> str:
    """How a process ended that gave no answer.

    >>> _ended(-11)
    'Its process was ended by SIGSEGV; a library crashed, or somebody stopped it.'
    """
    if code >= 0:
        return f"Its process ended with code {code} and without an answer."
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return (
            f"Its process was killed ({name}), as the system does when memory runs out. Choose settings that "
            "need less."
        )
    return f"Its process was ended by {name}; a library crashed, or somebody stopped it."
