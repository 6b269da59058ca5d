"""curate ingest --explain: what would be taken in and how, without doing so; settings by --option."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate import tables
from curate.errors import DataFault
from curate.ingest import build_table
from curate.recipe import Source
from curate.steps import explain, sources
from curate.workspace import DatasetPaths
from tests.helpers.golden import GOLDEN, copied


def stored(root: Path, folder: Path, name: str) -> DatasetPaths:
    """A dataset that holds a source as it is now."""
    paths = DatasetPaths(folder / "dataset")
    table, _ = build_table(root, name)
    tables.write(table, sources.table(paths, name))
    return paths


def test_a_layout_is_told_with_its_numbers_and_columns(tmp_path: Path) -> None:
    told = explain.run(Source(GOLDEN / "fpc"), DatasetPaths(tmp_path / "none"))
    assert (told["format"], told["source"], told["n_images"], told["n_parts"]) == ("fpc", "fpc", 6, 4)
    assert told["categories"] == {"A7_acf": 4, "A7_coverlay": 2}
    assert told["labels"] == {"anomalous": 1, "normal": 3, "unknown": 2}
    assert told["defect_types"] == {"foreign_particle": 1, "scratch": 1}
    assert told["splits"] == {"none": 6}
    assert told["n_with"] == {"masks": 0, "shapes": 0, "boxes": 2}
    assert told["size_bytes"] == sum(path.stat().st_size for path in (GOLDEN / "fpc").rglob("*.png"))
    (columns,) = told["columns"]
    assert columns["used"]["lot"] == "Lot No."
    assert columns["unused"] == ["Serial"]
    assert told["options"] == {"codes": "codes.csv"}
    assert told["change"]["stored"] is False
    assert told["n_errors"] == 0 and [fault["code"] for fault in told["faults"]] == ["image_without_row"]


@pytest.mark.parametrize("name", ["mvtec_ad", "folder", "deep_pcb", "magnetic_tile", "table"])
def test_every_layout_can_be_explained(name: str, tmp_path: Path) -> None:
    told = explain.run(Source(GOLDEN / name), DatasetPaths(tmp_path))
    assert told["format"] == name
    assert told["n_images"] == sum(told["labels"].values()) == sum(told["categories"].values()) > 0
    assert told["not_taken"]["fpc"]


def test_the_difference_to_what_is_stored_is_told_by_path(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    paths = stored(root, tmp_path, "folder")
    same = explain.run(Source(root), paths)["change"]
    assert same["stored"] and not any(
        same[f"n_{kind}"] for kind in ("new", "changed", "relabelled", "vanished")
    )
    picture = (root / "normal/a.png").read_bytes()
    (root / "normal/new.png").write_bytes(picture)
    (root / "normal/a.png").write_bytes(picture + b"\0")
    later = sources.table(paths, "folder").stat().st_mtime + 5
    os.utime(root / "normal/line 2/a.png", (later, later))
    (root / "unknown/d.png").unlink()
    change = explain.run(Source(root), paths)["change"]
    assert change["new"] == ["normal/new.png"]
    assert change["changed"] == ["normal/a.png", "normal/line 2/a.png"]
    assert (change["vanished"], change["relabelled"]) == (["unknown/d.png"], [])
    relabelled = Source(root, "folder", mapping={"normal": "unknown", "anomalous": "anomalous"})
    assert explain.run(relabelled, paths)["change"]["n_relabelled"] == 2


def test_options_reach_the_reader_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path)
    told = explain.run(Source(GOLDEN / "fpc", options={"trust": "none"}), paths)
    assert told["labels"] == {"normal": 1, "unknown": 5}
    assert told["options"] == {"codes": "codes.csv", "trust": "none"}
    with pytest.raises(ValueError, match=r"The format fpc has no option colour\. Known: table, columns"):
        explain.run(Source(GOLDEN / "fpc", options={"colour": "red"}), paths)


def test_a_folder_of_no_layout_says_what_each_misses(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="fpc: no table"):
        explain.run(Source(tmp_path), DatasetPaths(tmp_path))


def curate(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "curate.cli", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_verb_stores_nothing_but_its_run_record(tmp_path: Path) -> None:
    done = curate(tmp_path / "home", "ingest", str(GOLDEN / "table"), "--explain")
    assert done.returncode == 0, done.stderr
    assert 'image                from "File"' in done.stdout
    assert "not used: Shift" in done.stdout
    assert 'dataset "table" does not hold this source yet' in done.stdout
    assert [path.name for path in (tmp_path / "home").rglob("*") if path.is_file()] == ["run.json"]


def test_errors_end_with_1_and_settings_may_be_json_or_text(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    (root / "images/L26-01/P1/acf_1.png").unlink()
    setting = {"machine_code": "NG Code", "operator": "Review"}
    arguments = [
        "--explain",
        "--json",
        "--option",
        f"columns={json.dumps(setting)}",
        "--option",
        "trust=none",
    ]
    done = curate(tmp_path / "home", "ingest", str(root), *arguments)
    assert done.returncode == 1, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["columns"][0]["used"]["operator"] == "Review"
    assert told["options"]["trust"] == "none"
    assert [fault["code"] for fault in told["faults"] if fault["severity"] == "error"] == [
        "row_without_image"
    ]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [("table", 'needs KEY=VALUE, e.g. table=labels.csv; found "table"'), ("sheets=2", "no option sheets")],
)
def test_wrong_settings_are_wrong_usage(tmp_path: Path, setting: str, problem: str) -> None:
    done = curate(tmp_path, "ingest", str(GOLDEN / "fpc"), "--explain", "--option", setting)
    assert done.returncode == 2
    assert problem in done.stderr
