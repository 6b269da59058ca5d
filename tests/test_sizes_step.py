"""Sizes of a dataset with and without a detector: figures, warnings, picture and table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate import tables
from curate.anomaly_maps import encode_raw
from curate.cli import _register, app
from curate.commands.sizes import lines
from curate.errors import CurateError
from curate.files import write_bytes, write_json
from curate.schema import check_table
from curate.schema import load as contract
from curate.score_fit import category_folder
from curate.steps import sizes, split
from curate.steps.record import Context, digest, finish
from curate.steps.sizes_picture import draw
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.helpers.toy_steps import taken


@pytest.fixture
def context(tmp_path: Path) -> Context:
    root = write_mvtec(tmp_path / "images", n_train=4, n_good=8, n_per_defect=10)
    for index, path in enumerate(sorted(root.glob("weave/ground_truth/*/*.png"))):
        mask = np.zeros((48, 64), np.uint8)
        side = 1 + index % 10
        mask[9 : 9 + side, 11 : 11 + side] = 255
        Image.fromarray(mask).save(path)
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    taken(context, root)
    split.run(context)
    return context


def scored(context: Context, image_hw: tuple[int, int] = (12, 16)) -> None:
    """Maps that are 1 on defects of 5 x 5 px and more, 0.5 at most elsewhere; a detector's saved state."""
    folder, rows = context.paths.detector("padim"), []
    for row in tables.to_rows(tables.read(context.paths.samples)):
        heat = np.full((48, 64), 0.1, np.float32)
        heat[40, 60] = 0.5
        path = context.paths.masks / f"{row['sample_id']}.png"
        if path.exists() and (mask := np.asarray(Image.open(path)) > 0).sum() >= 25:
            heat[mask] = 1.0
        name = f"maps/{row['sample_id']}.png"
        write_bytes(folder / name, encode_raw(heat))
        rows.append({"sample_id": row["sample_id"], "detector": "padim", "anomaly_score": float(heat.max()),
                     "raw_map": name})  # fmt: skip
    target = folder / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, "score-padim", inputs, [target], {})
    state = folder / "state" / category_folder("weave")
    write_json(state / "config.json", {"detector": "padim"})
    write_json(state / "meta.json", {"geometry": {"image_hw": image_hw, "crop_hw": None, "aspect": "keep"}})


def test_without_a_detector_sizes_are_told(context: Context) -> None:
    result = sizes.run(context)
    assert (result["detector"], result["recall"], result["vanish"]) == (None, None, None)
    assert result["sizes"]["n_regions"] == 20
    assert result["sizes"]["sizes"]["area_px"]["max"] == 100
    assert result["truth"] == {"exact": 20, "weak": 0, "boxes": 0, "none": 0}
    json.dumps(result, allow_nan=False)
    assert "score with one, or give --input-side" in said(result)


def test_an_input_side_tells_what_would_vanish(context: Context) -> None:
    result = sizes.run(context, input_side=32, aspect="stretch")
    vanish = result["vanish"]
    # every second column and two of three rows are kept: only 1 x 1 px regions can be lost
    assert vanish["n_regions"] == 20 and vanish["n_nearest"] <= 2
    assert vanish["n_below_pixel"] == 2 and vanish["n_below_half_cell"] is None
    assert "32 x 32 px" in vanish["input"]


def said(result: dict[str, Any]) -> str:
    return lines({"dataset": "toy", **result, "table": None, "picture": None})


def test_what_the_detector_finds_and_loses(context: Context, tmp_path: Path) -> None:
    scored(context)
    result = sizes.run(context, bins="1,5,12", table=tmp_path / "regions.parquet", n_replicates=40)
    small, large = result["recall"]["bins"]
    assert result["detector"] == "padim"
    assert small["found_any"]["value"] == 0.0
    assert large["found_any"]["value"] == large["found_overlap"]["value"] == 1.0
    assert result["recall"]["n_regions"] == small["n"] + large["n"] < 20
    cut = result["thresholds"]["weave"]
    assert 0.5 < cut["value"] <= 1.0 and cut["from"]
    # one pixel of the input stands for 4 x 4: a nearest-neighbour resize takes the one at (2, 2) of each
    lost = sum(not any((9 + i) % 4 == 2 for i in range(s)) or not any((11 + i) % 4 == 2 for i in range(s))
               for s in range(1, 11)) * 2  # fmt: skip
    assert result["vanish"]["n_nearest"] == lost > 0
    assert result["vanish"]["n_below_pixel"] == 2 * 3
    assert f"{lost} of 20 regions vanish" in result["warnings"][0] and "AUPRO rises" in result["warnings"][0]
    check_table(tables.read(tmp_path / "regions.parquet"), "region")
    text = said(result)
    assert "5 to 12 px" in text and "WARNING" in text and str(lost) in text
    assert "with intervals of 0.95:" in text and max(map(len, text.splitlines())) <= 100


def test_a_large_input_loses_nothing_and_warns_of_nothing(context: Context) -> None:
    scored(context, image_hw=(48, 64))
    result = sizes.run(context, n_replicates=10)
    assert result["vanish"]["n_nearest"] == 0 and result["warnings"] == []


def test_one_defect_type_or_category_alone(context: Context) -> None:
    assert sizes.run(context, defect_type="spot")["sizes"]["n_regions"] == 10
    with pytest.raises(ValueError, match=r'type "dent". Known: spot, stain'):
        sizes.run(context, defect_type="dent")
    with pytest.raises(ValueError, match=r'category "silk". Known: weave'):
        sizes.run(context, category="silk")


def test_without_a_mask_there_is_nothing_to_measure(context: Context) -> None:
    for path in context.paths.masks.glob("*.png"):
        path.unlink()
    with pytest.raises(CurateError, match=r"no region to measure \(20 anomalous images\)"):
        sizes.run(context)


def test_the_picture_is_drawn_with_and_without_a_detector(context: Context, tmp_path: Path) -> None:
    draw(sizes.run(context), "toy", tmp_path / "plain.png")
    scored(context)
    result = sizes.run(context, n_replicates=20)
    draw(result, "toy", tmp_path / "found.png")
    draw(result, "toy", tmp_path / "again.png")
    plain, found = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("plain", "found"))
    assert found.shape[0] > plain.shape[0] > 300
    assert len(np.unique(found.reshape(-1, found.shape[2]), axis=0)) > 50
    assert (tmp_path / "found.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_the_command_prints_json_and_refuses_wrong_bins(context: Context, tmp_path: Path) -> None:
    if not app.registered_commands:
        _register()
    home, runner = str(context.workspace.home), CliRunner()
    done = runner.invoke(app, ["sizes", "toy", "--json", "--home", home, "--out", str(tmp_path / "a.png")])
    assert done.exit_code == 0 and json.loads(done.stdout)["sizes"]["n_regions"] == 20
    assert (tmp_path / "a.png").exists()
    wrong = runner.invoke(app, ["sizes", "toy", "--bins", "octave", "--home", home])
    assert wrong.exit_code == 2 and "quantiles:N" in wrong.stderr
