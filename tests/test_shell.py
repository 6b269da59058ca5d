"""What every verb does around its work: one result on stdout, clear ends, nobody in another's way."""

import contextlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest
import typer

from curate.shell import INTERRUPTED, asked_to_end, command
from curate.steps.alone import STORE, alone
from curate.steps.record import Context
from curate.workspace import Workspace


def test_what_libraries_print_does_not_reach_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with command("split", tmp_path, True, {}) as job:
        print("a library talks")
        job.result({"n": 1})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"n": 1}
    assert "a library talks" in err


def test_error_after_the_result_adds_no_second_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as end, command("triage", tmp_path, True, {}) as job:
        job.result({"address": "here"})
        raise KeyboardInterrupt
    out, err = capsys.readouterr()
    assert end.value.exit_code == 130
    assert json.loads(out) == {"address": "here"}
    assert INTERRUPTED in err


def test_workspace_that_cannot_be_made_is_told_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(typer.Exit), command("split", tmp_path / "file", True, {}):
        pass
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_code"] == 1
    assert "cannot be made" in answer["error"]


def test_clean_up_that_fails_after_ctrl_c_still_counts_as_interrupted(tmp_path: Path) -> None:
    with pytest.raises(typer.Exit) as end, command("build", tmp_path, False, {}):
        try:
            raise KeyboardInterrupt
        finally:
            {}["half loaded"]  # type: ignore[index]
    assert end.value.exit_code == 130
    assert not list(tmp_path.rglob("error.txt"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_that_a_library_swallows_is_not_forgotten(
    tmp_path: Path, number: signal.Signals
) -> None:
    with command("triage", tmp_path, False, {}):
        assert not asked_to_end()
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        assert asked_to_end()
    with command("triage", tmp_path, False, {}):
        assert not asked_to_end()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_command_on_a_dataset_waits_for_the_first(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path)
    told: list[str] = []
    first = Context(workspace, workspace.dataset("a"))
    second = Context(workspace, workspace.dataset("a"), told.append)
    order: list[str] = []

    def wait() -> None:
        with alone(second):
            order.append("second")

    with alone(first):
        waiting = threading.Thread(target=wait)
        waiting.start()
        with alone(second, STORE), alone(Context(workspace, workspace.dataset("b"))):
            pass  # the page can be opened, and other datasets are free, while a command works
        waiting.join(0.3)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]
    assert told == ['Another command is at work on dataset "a"; waiting for its end.']
