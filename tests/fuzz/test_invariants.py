"""The checks of the fuzz corpus find what they are for: each is shown a reader that does just that."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.engines.local import Workers
from curate.errors import DataFault
from curate.faults import Fault
from curate.formats import folder
from tests.fuzz.invariants import TooSlow, check
from tests.fuzz.trees import Stage, load
from tests.helpers.golden import GOLDEN

Reader = Callable[..., pd.DataFrame]
READ = folder.read


def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader, limit_s: float = 5.0) -> None:
    """Check a reader on the golden tree of folders."""
    stage = Stage(tmp_path / "source")
    stage.show(load(GOLDEN / "folder"))
    (tmp_path / "canary.png").write_bytes(b"x")
    monkeypatch.setattr(folder, "read", reader)
    with Workers() as workers:
        check("folder", stage.root, tmp_path / "work", tmp_path / "canary.png", workers, set(), limit_s)


def with_faults(root: Path, *faults: Fault) -> pd.DataFrame:
    table = READ(root)
    table.attrs["faults"] = [*table.attrs["faults"], *faults]
    return table


def test_a_sound_reader_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(tmp_path, monkeypatch, READ)


def test_a_refusal_in_words_passes_and_other_errors_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: Path) -> pd.DataFrame:
        raise DataFault("DataFault: the folder has no table. Add one.")

    def fail(root: Path) -> pd.DataFrame:
        raise KeyError("images")

    def misuse(root: Path) -> pd.DataFrame:
        raise ValueError("invalid literal for int()")

    taken(tmp_path / "a", monkeypatch, refuse)
    with pytest.raises(KeyError):
        taken(tmp_path / "b", monkeypatch, fail)
    with pytest.raises(AssertionError, match="about no option"):
        taken(tmp_path / "c", monkeypatch, misuse)


def test_a_file_outside_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def curious(root: Path) -> pd.DataFrame:
        (root / ".." / "canary.png").read_bytes()
        return READ(root)

    def stray(root: Path) -> pd.DataFrame:
        list(root.parent.iterdir())
        return READ(root)

    with pytest.raises(AssertionError, match="open of the canary"):
        taken(tmp_path / "a", monkeypatch, curious)
    with pytest.raises(AssertionError, match="listdir outside of the source"):
        taken(tmp_path / "b", monkeypatch, stray)


def test_a_lost_image_a_lost_row_and_an_endless_fault_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(root: Path) -> pd.DataFrame:
        table = READ(root)
        kept = table[table["relative_path"] != "normal/a.png"]
        kept.attrs["faults"] = table.attrs["faults"]
        return kept

    def careless(root: Path) -> pd.DataFrame:
        return with_faults(root, Fault("odd", "note", "a", "It is odd.", "Look at it"))

    def unstorable(root: Path) -> pd.DataFrame:
        return with_faults(root, Fault("odd", "note", "a", "It is \udce9.", "Look at it."))

    with pytest.raises(AssertionError, match=r"'normal/a\.png' is lost"):
        taken(tmp_path / "a", monkeypatch, forgetful)
    with pytest.raises(AssertionError, match="a fault that does not end"):
        taken(tmp_path / "b", monkeypatch, careless)
    with pytest.raises(UnicodeEncodeError):
        taken(tmp_path / "c", monkeypatch, unstorable)


def test_a_reader_that_hangs_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(root: Path) -> Any:
        while True:
            time.sleep(0.01)

    with pytest.raises(TooSlow):
        taken(tmp_path, monkeypatch, endless, limit_s=0.5)
