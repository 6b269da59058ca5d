"""`curate score --tile` and `--geometry`: what they stand for, what they refuse, what they say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import detectors
from curate import tables
from curate.files import read_json
from curate.score_geometry import Shape, wanted
from curate.steps import score
from curate.steps.record import Context
from curate.tile_forecast import seconds_per_image, tiles_of, told
from curate.workspace import Workspace
from tests.test_cli import run_curate
from tests.test_scoring import TINY, contents
from tests.test_scoring_several import TILED, TILES
from tests.test_scoring_several import context as context

KEEP = Shape(geometry="keep")


def test_without_options_settings_are_as_typed():
    found = wanted(["padim", "npad"], ["npad:window=5"], "smoke", Shape())
    assert found == {"padim": {"profile": "smoke"}, "npad": {"profile": "smoke", "window": 5}}


def test_tile_means_the_tiled_detector_with_its_defaults():
    assert wanted(["padim", "npad"], [], None, Shape(tile=True)) == {"tiled:padim": {}, "tiled:npad": {}}


def test_a_tile_has_the_side_of_the_detectors_input_unless_another_is_given():
    def side(texts: list[str], **options: Any) -> Any:
        (own,) = wanted(["padim"], texts, None, Shape(tile=True, **options)).values()
        return detectors.create("tiled:padim", **own).config

    assert side([]).tile_side == 256
    assert side(["image_side=320"]).tile_side == 320
    assert side(["image_hw=[96,128]"]).tile_side == 96
    assert side(["image_side=320"], tile_side=200).tile_side == 200
    assert side(["image_side=320", "tile_side=150"]).tile_side == 150
    assert (side([], tile_overlap=0.4).overlap, side([]).overlap) == (0.4, 0.25)


def test_settings_of_the_tiled_detector_reach_it_under_both_names():
    for text in ("padim:positions=own", "tiled:padim:positions=own", "positions=own"):
        assert wanted(["padim"], [text], None, Shape(tile=True)) == {"tiled:padim": {"positions": "own"}}


def test_geometry_keep_is_the_default_and_stretch_is_a_square():
    assert wanted(["padim"], [], None, KEEP) == {"padim": {}}
    stretched = wanted(["padim"], ["image_side=128"], None, Shape(geometry="stretch"))["padim"]
    assert stretched == {"image_side": 128, "aspect": "stretch", "image_hw": [128, 128]}
    own = wanted(["padim"], ["image_hw=[48,64]"], None, Shape(geometry="stretch"))["padim"]
    assert own == {"aspect": "stretch", "image_hw": [48, 64]}
    detector = detectors.create("padim", **{**TINY, **stretched, "image_hw": (128, 128)})
    detector._settle([(500, 1250)])
    assert (detector.geometry.input_hw, detector.geometry.aspect) == ((128, 128), "stretch")


@pytest.mark.parametrize(
    ("names", "texts", "shape", "message"),
    [
        (["tiled:padim"], [], Shape(tile=True), '"tiled:padim" works on tiles by itself. Leave out --tile'),
        (["multiscale:tiled:padim"], [], Shape(tile=True), "works on tiles by itself"),
        (["padim"], [], Shape(tile_side=64), "--tile-side 64 .* Add --tile"),
        (["padim"], [], Shape(tile_overlap=0.1), "--tile-overlap 0.1 .* Add --tile"),
        (["padim"], ["tile_side=64"], Shape(True, 32), "tiled:padim: --tile-side 32 and --set tile_side=64"),
        (["padim"], ["overlap=0"], Shape(True, None, 0.1), "--tile-overlap 0.1 and --set overlap=0"),
        (["padim"], ["aspect=keep"], KEEP, "padim: --geometry keep and --set aspect=keep"),
        (["padim"], [], Shape(geometry="squash"), 'keep or stretch, found "squash"'),
        (["padim"], ["windw=3"], KEEP, "padim: Unknown option"),
        (["padim"], ["tile_side=4"], Shape(tile=True), "tiled:padim: Expected tile_side >= 16"),
        (["padim"], [], Shape(True, None, 0.9), "tiled:padim: Expected .* found 256, 0.9"),
    ],
)
def test_contradictions_are_refused(names, texts, shape, message):
    with pytest.raises(ValueError, match=message):
        wanted(names, texts, None, shape)


def rows(n: int, height: int = 500, width: int = 1250) -> list[dict[str, Any]]:
    return [{"height": height, "width": width} for _ in range(n)]


def test_tiles_are_those_that_the_detector_will_cut(tmp_path):
    for config, sizes in ((TILES, (48, 64)), ({**TILES, "tile_side": 20, "overlap": 0.5}, (48, 64))):
        detector = detectors.create(TILED, **config)
        detector._settle([sizes] * 3)
        cut = tiles_of(TILED, config, rows(3, *sizes))
        assert list(cut.grid) == detector.facts_["grid"]
        assert cut.tile_hw == detector._tile_hw(sizes, 0)
        assert cut.input_hw == detector.geometry.input_hw
    assert tiles_of(TILED, {}, [{"height": None, "width": 3}]) is None


def test_by_default_no_pixel_of_a_tile_is_lost_and_else_a_person_is_told():
    cut = tiles_of("tiled:padim", {}, rows(3))
    assert (cut.grid, cut.n) == ((3, 7), 21)
    assert cut.scale >= 1
    assert "21 tiles of 200 x 228 px for an image of 500 x 1250 px, at 1." in str(cut)
    large = tiles_of("tiled:padim", {"tile_side": 512}, rows(3))
    assert large.scale < 1
    assert "smaller tile_side" in str(large)


def test_the_forecast_of_time_is_for_all_images():
    cut = tiles_of("tiled:padim", {}, rows(3))
    lines = told("tiled:padim", {"acf": cut}, 1200, 0.25)
    assert lines[0].startswith("tiled:padim, acf: 3 x 7 = 21 tiles")
    assert "1200 images will take about 5 min (250 ms each" in lines[1]
    assert told("tiled:padim", {"acf": cut}, 1200, None) == lines[:1]


def test_a_trial_takes_time_in_proportion_and_fails_silently(tmp_path):
    known = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        size = {"height": 96, "width": 128}
        known.append(
            {"sample_id": str(number), "sha256": "0", "filepath": str(path), "category": "x", **size}
        )
    few, many = {**TILES, "tile_side": 128}, {**TILES, "tile_side": 32}
    fast, slow = (
        seconds_per_image(TILED, config, known, tiles_of(TILED, config, known), None)
        for config in (few, many)
    )
    assert 0 < fast < slow
    assert seconds_per_image(TILED, few, known[:1], tiles_of(TILED, few, known), None) is None


def test_tile_gives_what_the_tiled_detector_gives(context: Context):
    said: list[str] = []
    context = replace(context, say=said.append)
    texts = [f"{key}={json.dumps(value)}" for key, value in TINY.items()]
    (result,) = score.run_all(context, wanted(["padim"], texts, None, Shape(tile=True)))
    assert result["detector"] == TILED
    folder = context.paths.detector(TILED)
    tiled = contents(folder)
    shutil.rmtree(folder)
    config = {**TINY, "image_hw": [48, 64], "tile_side": 48}
    score.run_all(context, {TILED: config})
    assert contents(folder) == tiled
    assert "1 x 2 = 2 tiles of 48 x" in said[0]
    assert "13 images will take about" in said[1]
    assert read_json(folder / "report.json")["tiles"]["weave"]["n"] == 2


def test_the_command_scores_on_tiles_and_says_so(context: Context, tmp_path: Path):
    options = [part for key, value in TINY.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    command = ["score", "toy", "--tile", "--tile-side", "48", "--tile-overlap", "0.5", *options]
    done = run_curate(*command, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "tiled:padim, weave: 1 x 2 = 2 tiles of 48 x" in done.stderr
    assert "images will take about" in done.stderr
    assert "tiled:padim, weave: 2 tiles of 48 x" in done.stdout
    paths = Workspace.at(tmp_path / "home").dataset("toy")
    predictions = tables.read(paths.detector(TILED) / "predictions.parquet")
    assert set(predictions["detector"]) == {TILED}
    again = run_curate(*command, home=tmp_path / "home")
    assert "(done before)" in again.stdout
    refused = run_curate("score", "toy", "--detector", TILED, "--tile", home=tmp_path / "home")
    assert refused.returncode == 2
    assert "Leave out --tile" in refused.stderr
