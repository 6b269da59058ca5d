"""curate check as a person runs it: exit codes, gate, report, table, fixes; and a recipe with a gate."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import tables
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate

pytestmark = [pytest.mark.mongod, pytest.mark.slow]
CHEAP = ("--only", "specks", "--only", "exact_duplicates", "--only", "layout")
GATE = """
[limits]
errors = 0
warnings = 9
[checks.specks]
max = {specks}
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy images with one speck, one copy and one mask too few."""
    root = write_mvtec(tmp_path_factory.mktemp("check") / "weave")
    good = root / "weave/test/good"
    (good / "=copy.png").write_bytes((good / "001.png").read_bytes())
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:50] = mask[40, 5:8] = 255
    Image.fromarray(mask).save(root / "weave/ground_truth/stain/001_mask.png")
    return root


@pytest.fixture(scope="module")
def home(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("home")
    assert run_curate("ingest", str(images), "--name", "weave", home=home).returncode == 0
    return home


def check(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of curate check on the toy images."""
    done = run_curate("check", "weave", *arguments, "--json", home=home)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_warnings_pass_and_errors_do_not(home: Path, images: Path) -> None:
    code, told = check(home, *CHEAP)
    assert (code, told["passed"], told["n_warnings"], told["gate"]) == (0, True, 2, None)
    assert {row["check"] for row in told["findings"]} == {"specks", "exact_duplicates"}
    mask = images / "weave/ground_truth/spot/000_mask.png"
    mask.rename(mask.with_name("kept"))
    try:
        run_curate("ingest", str(images), "--name", "weave", home=home)
        code, told = check(home, *CHEAP)
        assert (code, told["passed"], told["n_errors"]) == (1, False, 1)
    finally:
        mask.with_name("kept").rename(mask)
        run_curate("ingest", str(images), "--name", "weave", home=home)


@pytest.mark.parametrize(("specks", "code"), [(1, 0), (0, 1)])
def test_a_gate_decides_and_is_shown(home: Path, tmp_path: Path, specks: int, code: int) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text(GATE.format(specks=specks))
    done = run_curate("check", "weave", *CHEAP, "--gate", str(gate), home=home)
    assert done.returncode == code
    assert ("The gate is kept." in done.stdout) is (code == 0)
    assert f"  specks{specks:>32}          1  {'ok' if code == 0 else 'EXCEEDED'}" in done.stdout
    code_json, told = check(home, *CHEAP, "--gate", str(gate))
    assert (code_json, told["gate"]["ok"]) == (code, code == 0)


def test_a_limit_on_a_check_that_was_skipped_is_not_kept(home: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text(GATE.format(specks=9))
    code, told = check(home, "--only", "layout", "--only", "specks", "--skip", "specks", "--gate", str(gate))
    assert (code, told["checks"]) == (1, ["layout"])
    assert [row["name"] for row in told["gate"]["limits"] if not row["ok"]] == ["specks"]


def test_report_and_table_are_written_once(home: Path, tmp_path: Path) -> None:
    page, table, parquet = (tmp_path / name for name in ("out.html", "out.csv", "out.parquet"))
    code, told = check(home, *CHEAP, "--report", str(page), "--table", str(table))
    assert code == 0
    assert page.read_text().count("<img") == 3
    rows = list(csv.reader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert rows[0] == ["check", "code", "severity", "relative_path", "message", "remedy", "related"]
    assert len(rows) == 3 and "weave/test/good/=copy.png" in {row[6] for row in rows} | {
        row[3] for row in rows
    }
    code, told = check(home, *CHEAP, "--table", str(table))
    assert code == 1 and "Replace it with --overwrite" in told["error"]
    assert check(home, *CHEAP, "--table", str(parquet), "--overwrite")[0] == 0
    assert len(tables.read(parquet)) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--table", "out.xlsx"), "must end in .parquet or .csv"),
        (("--report", "out.pdf"), "must end in .html"),
        (("--only", "speck"), 'Did you mean "specks"'),
        (("--only", "specks", "--skip", "specks"), "No check is left"),
        (("--fix", "--undo-fixes"), "give one of them"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_done(
    home: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, content = check(home, *arguments)
    assert code == 2 and told in content["error"]


def test_fixes_are_made_listed_and_taken_back(home: Path) -> None:
    _, told = check(home, *CHEAP, "--fix")
    assert sorted(row["action"] for row in told["mended"]) == ["drop_specks", "exclude"]
    assert told["findings"] == [] and told["n_images"] == 18
    _, listed = check(home, "--list-fixes")
    assert len(listed["fixes"]) == 2
    _, told = check(home, *CHEAP, "--undo-fixes")
    assert len(told["taken_back"]) == 2 and told["fixes"] == []
    assert (told["n_images"], len(told["findings"])) == (19, 2)


def test_a_build_stops_at_the_gate_of_its_recipe(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    (tmp_path / "gate.toml").write_text(GATE.format(specks=0))
    recipe = tmp_path / "dataset.toml"
    recipe.write_text(
        'name = "gated"\n[[sources]]\npath = "images"\n'
        '[checks]\nstop_on = "never"\nnames = ["specks"]\ngate = "gate.toml"\n'
    )
    done = run_curate("build", str(recipe), home=tmp_path / "home")
    assert done.returncode == 1
    assert "its gate is not kept" in done.stderr and "EXCEEDED" in done.stderr
    (tmp_path / "gate.toml").write_text("[checks.speck]\nmax = 0\n")
    done = run_curate("build", str(recipe), home=tmp_path / "home")
    assert done.returncode == 1 and 'unknown check "speck"; near: specks' in done.stderr
