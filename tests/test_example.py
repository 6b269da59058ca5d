"""The example of a factory's export: complete, repeatable, and each planted fault is reported once."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from curate.errors import AlreadyExists
from curate.examples import EXAMPLES, fpc
from curate.examples.fpc_rows import CODES, MAPPING, Planted
from curate.faults import Fault
from curate.formats import recognise
from curate.fpc_images import known
from curate.registry import lookup
from curate.tabular import open_sheet
from tests.helpers.golden import column, read
from tests.helpers.places import REPOSITORY


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Planted]]:
    out = tmp_path_factory.mktemp("example") / "export"
    begun = time.monotonic()
    planted = lookup(EXAMPLES, "fpc", "example").write(out, seed=4)
    assert time.monotonic() - begun < 20
    return out, planted


def row_of(fault: Fault) -> int | None:
    _, found, rest = fault.message.partition(", row ")
    return int("".join(sign for sign in rest.split(" ")[0] if sign.isdigit())) if found else None


def test_it_is_recognised_and_small(example: tuple[Path, list[Planted]]) -> None:
    out, _ = example
    assert recognise(out)[0] == "fpc"
    assert len(list(out.rglob("*.png"))) < 60
    assert {path.name for path in out.iterdir()} == {
        "README.txt", "aoi_export.csv", "codes.csv", "curate-fpc.toml", "images",
    }  # fmt: skip
    assert set(MAPPING) <= set(known())


def test_exactly_the_planted_faults_are_reported(example: tuple[Path, list[Planted]]) -> None:
    out, planted = example
    _, faults = read("fpc", out)
    assert Counter((fault.code, row_of(fault)) for fault in faults) == Counter(
        (one.code, one.row) for one in planted
    )
    without = [one.about.partition(":")[0] for one in planted if one.row is None]
    assert sorted(without) == [fault.relative_path for fault in faults if fault.code == "image_without_row"]
    assert {"row_without_image", "image_without_row", "contradicting_rows", "unknown_code", "bad_box"} <= {
        one.code for one in planted
    }
    text = (out / "README.txt").read_text(encoding="utf-8")
    assert all(one.about in text and one.code in text for one in planted)


def test_good_rows_go_in_with_the_label_that_they_deserve(example: tuple[Path, list[Planted]]) -> None:
    out, planted = example
    rows, _ = read("fpc", out)
    by_name = {path.rpartition("/")[2]: row for path, row in rows.items()}
    faulty = {one.row for one in planted}
    sheet = open_sheet(out / "aoi_export.csv", "t")
    cells = [(number, dict(zip(sheet.columns, row, strict=False))) for number, row in sheet.rows]
    good = [cell for number, cell in cells if number < min(row for row in faulty if row)]
    assert len(good) > 30
    for cell in good:
        row = by_name[cell["PIC"]]
        meant = CODES[cell["NG"]] if cell["NG"] else ("", "")
        expected = "normal" if cell["JDG"] == "OK" else meant[1] or "anomalous"
        if cell["VRS"]:
            expected = {"OK": "normal", "NG": "anomalous"}[cell["VRS"]]
        assert row["label"] == expected, cell
        assert row["part_id"] == f"FX7/{cell['LOT']}/{cell['PNL']}/{cell['PCS']}"
        assert (row["category"], row["site"]) == (f"FX7_{cell['AREA'].lower()}", "Plant 3")
        if expected == "anomalous" and cell["DX"]:
            assert meant[0] in {box["defect_type"] for box in row["boxes"]}
        if expected == "normal":
            assert row["boxes"] is None


def test_boxes_lie_where_the_defects_were_drawn(example: tuple[Path, list[Planted]], tmp_path: Path) -> None:
    shots = fpc._planned(4)
    shot = next(shot for shot in shots["plain"] if len(shot.defects) == 2)
    fpc._draw(tmp_path, shot, 4)
    out, _ = example
    assert (tmp_path / shot.path).read_bytes() == (out / shot.path).read_bytes()
    row = read("fpc", out)[0][shot.path]
    drawn = [
        {"box_xyxy": list(box), "defect_type": name}
        for name, box in zip(shot.defects, shot.boxes_px, strict=True)
    ]
    assert row["boxes"] == drawn
    assert row["um_per_px"] == 1.25


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(AlreadyExists, match="not empty"):
        fpc.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_verb_writes_it_and_explains_it(tmp_path: Path) -> None:
    def curate(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "curate.cli", *arguments, "--json", "--home", str(tmp_path / "home")]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    out = tmp_path / "export"
    written = curate("example", "fpc", str(out))
    assert written.returncode == 0, written.stderr
    planted = json.loads(written.stdout)["planted"]
    told = json.loads(curate("ingest", str(out), "--explain").stdout)
    assert Counter(fault["code"] for fault in told["faults"]) == Counter(one["code"] for one in planted)
    unknown = curate("example", "pcb", str(tmp_path / "other"))
    assert unknown.returncode == 2
    assert 'Unknown example "pcb"' in unknown.stderr


def test_the_settings_in_the_documentation_read_the_example(
    example: tuple[Path, list[Planted]], tmp_path: Path
) -> None:
    out, planted = example
    page = (REPOSITORY / "docs" / "fpc.md").read_text(encoding="utf-8")
    root = Path(shutil.copytree(out, tmp_path / "export"))
    before, _ = read("fpc", root)
    (root / "curate-fpc.toml").write_text(
        page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8"
    )
    rows, _ = read("fpc", root)
    for name in ("label", "part_id", "category", "machine_code", "um_per_px"):
        assert column(rows, name) == column(before, name)
    assert all(f"`{one.code}`" in page for one in planted)
