"""Promises every dataset reader keeps."""

from pathlib import Path
from types import ModuleType

import pytest

import curate.formats
from curate.faults import Fault
from curate.formats import FORMATS, recognise
from curate.ground_truth import mask_files
from curate.readings import COLUMNS
from curate.tables import to_rows
from tests.helpers.golden import GOLDEN, copied

EVERY = pytest.mark.parametrize("name", list(FORMATS))


def reader(name: str) -> ModuleType:
    module: ModuleType = FORMATS[name].load()
    return module


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.formats.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(FORMATS)
    assert all(entry.target == f"curate.formats.{name}" for name, entry in FORMATS.items())


@EVERY
def test_a_golden_tree_is_recognised_and_others_say_why_not(name: str) -> None:
    assert reader(name).detect(GOLDEN / name) == []
    chosen, others = recognise(GOLDEN / name)
    assert chosen == name
    assert set(others) == set(FORMATS) - {name}
    assert all(reasons and all(reasons) for reasons in others.values())


@EVERY
def test_detect_says_what_an_empty_folder_misses(name: str, tmp_path: Path) -> None:
    assert reader(name).detect(tmp_path)


@EVERY
def test_read_gives_the_columns_in_order_and_absolute_paths(name: str) -> None:
    table = reader(name).read(GOLDEN / name)
    assert list(table.columns) == COLUMNS
    assert list(table["relative_path"]) == sorted(table["relative_path"]) and len(table)
    assert all(isinstance(fault, Fault) for fault in table.attrs["faults"])
    for row in to_rows(table):
        assert Path(row["filepath"]).is_absolute()
        assert row["filepath"].endswith(row["relative_path"])
        masks = mask_files(row)
        assert all(path.is_absolute() and path.is_file() for path in masks)
        assert bool(masks) == (row["mask_rule"] is not None) == (row["mask_kind"] is not None)
        assert row["label"] != "normal" or row["defect_types"] == []


@EVERY
def test_read_reports_a_loop_a_strange_name_and_a_hidden_folder(name: str, tmp_path: Path) -> None:
    root = copied(name, tmp_path)
    n_rows = len(reader(name).read(root))
    (root / "loop").symlink_to(root)
    (root / "caf\udce9.png").write_bytes(b"x")
    (root / ".cache").mkdir()
    table = reader(name).read(root)
    assert len(table) == n_rows
    assert {"link_loop", "name_encoding", "hidden_file"} <= {fault.code for fault in table.attrs["faults"]}


@EVERY
def test_the_module_says_licence_and_source(name: str) -> None:
    assert "Licence: " in str(reader(name).__doc__)
