"""curate evaluate on the command line: results, files, and what it refuses."""

import json
from pathlib import Path

import pytest

from curate.commands.evaluate import lines
from tests.helpers.evaluated import dataset, scored
from tests.test_cli import run_curate


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored(dataset(tmp_path_factory.mktemp("commanded"), ("weave",))).workspace.home


def test_it_prints_json_and_writes_both_files(home: Path, tmp_path: Path) -> None:
    report, table = tmp_path / "page.html", tmp_path / "figures.parquet"
    asked = ("evaluate", "toy", "--detector", "keen", "--by", "defect_type", "--replicates", "20", "--json")
    done = run_curate(*asked, "--out", str(report), "--table", str(table), home=home)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert [each["detector"] for each in content["detectors"]] == ["keen"]
    assert content["options"]["by"] == ["defect_type"] and content["fresh"]
    assert report.read_text().startswith("<!DOCTYPE html>") and table.read_bytes()[:4] == b"PAR1"
    again = run_curate(*asked, "--out", str(report), home=home)
    assert again.returncode == 1 and "is there already. Replace it with --overwrite" in again.stderr
    before = report.read_bytes()
    third = run_curate(*asked, "--out", str(report), "--overwrite", home=home)
    assert third.returncode == 0 and report.read_bytes() == before
    assert not json.loads(third.stdout)["fresh"]
    told = lines(content)
    assert "keen shows on the test part" in " ".join(told.split()) and f"written: {report}" in told
    assert all(len(line) <= 100 or line.startswith("written: ") for line in told.splitlines())


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (("--out", "page.txt"), 2, "must end in .html"),
        (("--table", "table.csv"), 2, "must end in .parquet"),
        (("--defect-rate", "5"), 2, "defect_rate in (0, 1); found 5"),
        (("--cost-miss", "5"), 2, "together, or neither"),
        (("--by", "nothing"), 2, 'Unknown column "nothing"'),
        (("--detector", "padim"), 1, "no scores of padim"),
    ],
)
def test_what_means_nothing_is_refused(home: Path, asked: tuple[str, ...], code: int, message: str) -> None:
    done = run_curate("evaluate", "toy", *asked, home=home)
    assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr
