"""A workspace that may not be written, or a dataset's folder in it: a clear end, and nothing half done."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.ordinary_user import without_rights
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate

pytestmark = [pytest.mark.mongod, pytest.mark.slow]
COMMANDS = [
    ["density", "weave", "--out", "OUT/where.png"],
    ["annotate", "send", "weave", "--tool", "cvat", "--out", "OUT/package"],
    ["access", "add", "weave", "Ann"],
    ["access", "revoke", "weave", "Ann"],
    ["triage", "weave", "--host", "127.0.0.1", "--port", "0"],
]
READING = [["verdicts", "weave"], ["access", "list", "weave"]]  # they write where something came meanwhile


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("closed")
    write_mvtec(folder / "images")
    for verb in (("ingest", str(folder / "images"), "--name", "weave"), ("split", "weave")):
        done = run_curate(*verb, home=folder / "home")
        assert done.returncode == 0, done.stderr
    return folder / "home"


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """The folder and all in it, which nobody may write."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths if not path.is_symlink() and not path.is_socket()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def content(folder: Path) -> dict[str, bytes]:
    """All that the workspace holds of datasets."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ran_on_closed(home: Path, place: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command while a folder of the workspace may not be written."""
    asked = without_rights(sys.executable, "-m", "curate.cli", *words, "--home", str(home))
    with closed(home / place):
        return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("place", "command"),
    [(".", command) for command in COMMANDS + READING]
    + [("datasets/weave", command) for command in COMMANDS],
)
def test_what_may_not_be_written_is_said_and_nothing_is_left(
    home: Path, tmp_path: Path, place: str, command: list[str]
) -> None:
    before = content(home / "datasets")
    done = ran_on_closed(home, place, *(word.replace("OUT", str(tmp_path)) for word in command))
    assert done.returncode == 1, done.stderr
    assert "may not be written" in done.stderr and "Traceback" not in done.stderr
    assert str(home) in done.stderr and done.stdout == ""
    assert content(home / "datasets") == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READING)
def test_what_only_reads_tells_what_it_can_of_a_closed_dataset(home: Path, command: list[str]) -> None:
    before = content(home / "datasets")
    done = ran_on_closed(home, "datasets/weave", *command)
    assert "Traceback" not in done.stderr
    assert done.stdout if done.returncode == 0 else "may not be written" in done.stderr
    assert content(home / "datasets") == before
