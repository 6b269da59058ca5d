"""A workspace is found, made, and keeps to itself."""

from pathlib import Path

import pytest

from curate.errors import CurateError, Missing
from curate.workspace import Workspace, dataset_name


def test_home_beats_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_HOME", str(tmp_path / "from-environment"))
    assert Workspace.at().home == tmp_path / "from-environment"
    assert Workspace.at(tmp_path / "given").home == tmp_path / "given"


def test_default_home_lies_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workspace.at().home == tmp_path / ".curate"


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(CurateError, match="cannot be made"):
        Workspace.at(tmp_path / "home")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 81])
def test_unsafe_dataset_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 80 letters"):
        Workspace(tmp_path).dataset(name)


def test_unknown_dataset_lists_the_known(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "tiles"
    folder.mkdir(parents=True)
    (folder / "samples.parquet").touch()
    with pytest.raises(Missing, match="it has: tiles"):
        Workspace(tmp_path).existing("boards")


@pytest.mark.parametrize(
    ("text", "name"),
    [("magnetic_tile", "magnetic_tile"), ("..", "dataset"), ("数据", "dataset"), ("Los 7/A", "Los-7-A")],
)
def test_dataset_name_is_always_usable(tmp_path: Path, text: str, name: str) -> None:
    assert dataset_name(text) == name
    Workspace(tmp_path).dataset(dataset_name(text))
