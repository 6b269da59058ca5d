"""A finished step is not repeated; a changed input, a lost output or a half-written record repeats it."""

from pathlib import Path
from typing import Any

import pytest

from curate.steps.record import once
from curate.workspace import DatasetPaths


class Counter:
    def __init__(self, output: Path) -> None:
        self.n_runs, self.output = 0, output

    def __call__(self) -> dict[str, Any]:
        self.n_runs += 1
        self.output.write_text(str(self.n_runs))
        return {"n": self.n_runs}


@pytest.fixture
def step(tmp_path: Path) -> tuple[DatasetPaths, Counter]:
    return DatasetPaths(tmp_path), Counter(tmp_path / "output")


def test_same_inputs_run_once(step: tuple[DatasetPaths, Counter]) -> None:
    paths, work = step
    assert once(paths, "s", {"a": 1}, [work.output], work) == {"n": 1, "fresh": True}
    assert once(paths, "s", {"a": 1}, [work.output], work) == {"n": 1, "fresh": False}


def test_changed_inputs_run_again(step: tuple[DatasetPaths, Counter]) -> None:
    paths, work = step
    once(paths, "s", {"a": 1}, [work.output], work)
    assert once(paths, "s", {"a": 2}, [work.output], work)["n"] == 2


def test_lost_output_runs_again(step: tuple[DatasetPaths, Counter]) -> None:
    paths, work = step
    once(paths, "s", {"a": 1}, [work.output], work)
    work.output.unlink()
    assert once(paths, "s", {"a": 1}, [work.output], work)["n"] == 2


def test_damaged_record_runs_again(step: tuple[DatasetPaths, Counter]) -> None:
    paths, work = step
    once(paths, "s", {"a": 1}, [work.output], work)
    (paths.steps / "s.json").write_text('{"fingerprint": ')
    assert once(paths, "s", {"a": 1}, [work.output], work)["n"] == 2


def test_failed_step_leaves_no_record(step: tuple[DatasetPaths, Counter]) -> None:
    paths, work = step

    def broken() -> dict[str, Any]:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        once(paths, "s", {}, [], broken)
    assert not (paths.steps / "s.json").exists()
    assert once(paths, "s", {}, [work.output], work)["fresh"]
