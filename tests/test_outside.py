"""A file that a person asks for never takes the place of one that curate keeps."""

from pathlib import Path

import pytest

from curate.steps.outside import outside
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.helpers.toy_steps import taken
from tests.test_cli import run_curate


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    made = Context(workspace, workspace.dataset("toy"))
    taken(made, write_mvtec(tmp_path / "images", n_train=1, n_good=1, n_per_defect=1))
    return made


def test_the_tables_of_a_dataset_are_not_written_over(context: Context) -> None:
    before = context.paths.samples.read_bytes()
    for option in ("--table", "--out"):
        done = run_curate("sizes", "toy", option, str(context.paths.samples), home=context.workspace.home)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Expected a file outside {context.workspace.home / 'datasets'} for {option}" in done.stderr
    assert context.paths.samples.read_bytes() == before


def test_links_into_the_workspace_folders_and_the_same_file_twice_are_refused(
    context: Context, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(context.paths.root)
    with pytest.raises(ValueError, match="outside"):
        outside(context, table=tmp_path / "link/samples.parquet")
    with pytest.raises(ValueError, match="is a folder"):
        outside(context, table=tmp_path)
    with pytest.raises(ValueError, match="two files for --table and --out"):
        outside(context, table=tmp_path / "a", out=tmp_path / "b/../a")
    outside(context, table=tmp_path / "a", out=None)
