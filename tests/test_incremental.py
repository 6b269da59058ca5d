"""Taking the same source in again: what did not change is not read, and what did is told apart."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import intake, tables
from curate.formats import FORMATS
from curate.recipe import Source
from curate.steps import ingest
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.golden import copied
from tests.helpers.tiny import normal_image, write_mvtec
from tests.helpers.toy_steps import add_image, taken


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    workspace = Workspace.at(tmp_path / "home")
    yield Context(workspace, workspace.dataset("toy"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=4, n_good=4, n_per_defect=4)


def paint(path: Path, seed: int) -> None:
    Image.fromarray(normal_image(np.random.default_rng(seed))).save(path)


def counts(result: dict[str, Any]) -> dict[str, int]:
    return {name: result[f"n_{name}"] for name in ("decoded", "added", "changed", "vanished")}


def test_an_unchanged_source_is_not_read_and_changes_no_file(context: Context, root: Path) -> None:
    assert counts(taken(context, root)) == {"decoded": 16, "added": 16, "changed": 0, "vanished": 0}
    before = context.paths.samples.stat()
    result = taken(context, root)
    assert result["labels"] == {"normal": 8, "anomalous": 8, "unknown": 0}
    assert not result["fresh"] and counts(result) == dict.fromkeys(counts(result), 0)
    assert context.paths.samples.stat().st_mtime_ns == before.st_mtime_ns


def test_added_changed_and_vanished_files_are_told_apart_and_only_they_are_read(
    context: Context, root: Path
) -> None:
    taken(context, root)
    added = add_image(root)
    paint(root / "weave/train/good/000.png", 77)
    (root / "weave/train/good/001.png").unlink()
    result = taken(context, root)
    assert counts(result) == {"decoded": 2, "added": 1, "changed": 1, "vanished": 1}
    assert result["names"] == {
        "added": [added],
        "changed": ["weave/train/good/000.png"],
        "relabelled": [],
        "vanished": ["weave/train/good/001.png"],
    }


def test_a_file_with_a_new_time_but_old_pixels_is_read_and_is_no_change(context: Context, root: Path) -> None:
    taken(context, root)
    os.utime(root / "weave/train/good/000.png")
    assert counts(taken(context, root)) == {"decoded": 1, "added": 0, "changed": 0, "vanished": 0}


def test_a_mask_that_was_drawn_anew_is_read_though_its_image_is_not(context: Context, root: Path) -> None:
    taken(context, root)
    masks = sorted(context.paths.masks.iterdir())
    before = {path: path.read_bytes() for path in masks}
    mask = np.zeros((48, 64), np.uint8)
    mask[3:9, 40:50] = 255
    Image.fromarray(mask).save(root / "weave/ground_truth/stain/000_mask.png")
    assert counts(taken(context, root))["decoded"] == 0
    assert sum(path.read_bytes() != before[path] for path in masks) == 1
    areas = sorted(row["n_px"] for row in tables.to_rows(tables.read(context.paths.mask_facts)))
    assert areas == [60] + [70] * 7


def test_a_picture_of_which_the_source_says_something_else_is_relabelled(
    context: Context, root: Path
) -> None:
    ingest.run(context, Source(root, "folder", mapping={"weave/train": "normal", "weave/test": "unknown"}))
    mapping = {"weave/train": "normal", "weave/test": "anomalous"}
    result = ingest.run(context, Source(root, "folder", mapping=mapping))
    assert counts(result) == dict.fromkeys(counts(result), 0)
    assert result["n_relabelled"] == 12 and len(result["names"]["relabelled"]) == 12


def test_a_source_that_was_moved_says_nothing_new(context: Context, root: Path) -> None:
    taken(context, root)
    moved = root.rename(root.with_name("mové"))
    result = taken(context, moved)
    assert counts(result) == {"decoded": 16, "added": 0, "changed": 0, "vanished": 0}
    assert result["n_relabelled"] == 0
    files = tables.read(context.paths.samples)["filepath"]
    assert all(Path(file).is_relative_to(moved) for file in files)


def test_rehash_finds_what_size_and_time_hide(context: Context, root: Path) -> None:
    target = root / "weave/train/good/000.bmp"
    paint(target, 1)
    taken(context, root)
    state = target.stat()
    paint(target, 2)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert target.stat().st_size == state.st_size
    assert taken(context, root)["fresh"] is False
    result = ingest.run(context, Source(root, "mvtec_ad"), rehash=True)
    assert counts(result) == {"decoded": 17, "added": 0, "changed": 1, "vanished": 0}


def test_a_damaged_image_that_was_mended_is_taken_in(context: Context, root: Path) -> None:
    good = root / "weave/train/good/000.png"
    content = good.read_bytes()
    good.write_bytes(content[:200])
    assert taken(context, root)["n_errors"] == 1
    good.write_bytes(content)
    result = taken(context, root)
    assert result["n_errors"] == 0 and counts(result)["added"] == 1


KILLED = """
import sys
from pathlib import Path
from curate import file_cache
from curate.formats import FORMATS
from curate.recipe import Source
from curate.steps import ingest
from curate.steps.record import Context
from curate.workspace import Workspace
if __name__ == "__main__":
    file_cache.COMMIT_S = 0.0
    workspace = Workspace.at(Path(sys.argv[1]))
    ingest.run(Context(workspace, workspace.dataset("toy")), Source(Path(sys.argv[2]), "mvtec_ad"))
"""


@pytest.mark.slow
def test_a_killed_run_keeps_what_it_read(tmp_path: Path, context: Context) -> None:
    root = write_mvtec(tmp_path / "many", n_train=900, n_good=4)
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    process = subprocess.Popen([sys.executable, script, context.workspace.home, root])
    limit = time.monotonic() + 60
    wal = Path(f"{context.paths.file_cache}-wal")
    while not (wal.exists() and wal.stat().st_size > 200_000) and time.monotonic() < limit:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not context.paths.samples.exists(), "it ended before it was killed"
    result = taken(context, root)
    assert result["n_images"] == result["n_added"] == 910
    assert 0 < result["n_decoded"] < 910


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_unchanged_source_of_any_layout_brings_nothing_new_when_read_again(
    name: str, context: Context, tmp_path: Path
) -> None:
    root = copied(name, tmp_path)
    first = ingest.run(context, Source(root, name))
    again = ingest.run(context, Source(root, name), rehash=True)
    assert counts(again) | {"relabelled": again["n_relabelled"]} == {
        "decoded": first["n_decoded"], "added": 0, "changed": 0, "vanished": 0, "relabelled": 0,
    }  # fmt: skip
    assert again["faults"] == first["faults"]
    third = ingest.run(context, Source(root, name))
    assert not third["fresh"]


def test_what_another_version_found_is_found_anew(
    context: Context, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(context, root)
    monkeypatch.setattr(intake, "SHAPE", "other")
    (context.paths.steps / "ingest-mvtec_ad.json").unlink()
    assert counts(taken(context, root)) == {"decoded": 16, "added": 0, "changed": 0, "vanished": 0}


def test_a_box_that_was_moved_beside_outlines_makes_the_mask_anew(context: Context, tmp_path: Path) -> None:
    root = tmp_path / "drawn"
    root.mkdir()
    paint(root / "a.png", 1)
    polygon = {"label": "cut", "shape_type": "polygon", "points": [[4, 4], [14, 4], [14, 9], [4, 9]]}
    areas = []
    for right in (50, 54):
        box = {"label": "dent", "shape_type": "rectangle", "points": [[40, 20], [right, 25]]}
        drawn = {"imagePath": "a.png", "imageData": None, "shapes": [polygon, box]}
        (root / "a.json").write_text(json.dumps(drawn))
        ingest.run(context, Source(root, "labelme"))
        areas.append(tables.to_rows(tables.read(context.paths.mask_facts))[0]["n_px"])
    assert areas == [50 + 50, 50 + 70]
