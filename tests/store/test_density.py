"""Where the images of a category are marked: by ground truth, proposals, false alarms; what is kept of it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.store import dataset, density, heatmaps
from curate.store.acting import act
from curate.store.density import Asked, collect
from curate.store.documents import object_id
from curate.store.proposals import save_proposals
from curate.store.server import Database
from tests.helpers import paired, tiny
from tests.helpers.stored import sample_id

pytestmark = pytest.mark.mongod
NAME = "dense"
GRID = (48, 64)  # one cell per pixel of the toy images


def document(name: str) -> str:
    return str(object_id(sample_id(name), "sample"))


@pytest.fixture(scope="module")
def root(workspace_db: Database) -> Path:
    folder: Path = workspace_db.home / "datasets" / NAME
    paired.saved(NAME, folder)
    return folder


def told(source: str = density.TRUTH, category: str = "weave", defect_type: str | None = None) -> dict:  # type: ignore[type-arg]
    return density.look(NAME, Asked(category, source), defect_type, 60.0)


def test_masks_are_counted_pixel_by_pixel(root: Path) -> None:
    seen = told()
    masks = [np.asarray(Image.open(path)) > 0 for path in (root / "masks").glob("*.png")]
    assert seen["grid_hw"] == list(GRID)
    assert np.array_equal(seen["cells"], np.sum(masks, axis=0))
    assert (seen["n_images"], seen["n_marked"], seen["n_unmarked"], seen["n_left"]) == (4, 4, 0, 0)
    assert seen["types"] == [["stain", 4]]
    assert seen["example"]["path"] == "good-00.png"


def test_boxes_count_where_there_is_no_mask(root: Path) -> None:
    seen = told(category="board")
    cells = np.zeros(GRID, dtype=int)
    cells[30:36, 40:52] = 1
    assert np.array_equal(seen["cells"], cells)
    assert seen["types"] == [["short", 1]]
    assert told(category="board", defect_type="open")["n_marked"] == 0
    inside = 33 * 64 + 45
    assert density.images(NAME, Asked("board"), [inside], None) == [document("board-00_test")]
    assert density.images(NAME, Asked("board"), [0], None) == []


def test_what_was_read_is_kept_and_a_changed_mask_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told()
    read: list[str] = []
    how = density.read_mask
    monkeypatch.setattr(density, "read_mask", lambda path: read.append(path.name) or how(path))
    assert collect(NAME, Asked("weave")).n_images == 4
    assert read == []
    path = root / "masks" / f"{sample_id('stain-05')}.png"
    before = path.read_bytes()
    Image.fromarray(np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)).save(path)
    assert told()["n_unmarked"] == 1
    assert read == [path.name]
    path.write_bytes(before)
    assert told()["n_unmarked"] == 0


def test_what_there_is_no_time_for_is_left_and_comes_next(root: Path) -> None:
    for path in (root / density.FOLDER).glob("*.npz"):
        path.unlink()
    seen = collect(NAME, Asked("weave"), limit_s=-1)
    assert (seen.n_left, seen.marks) == (4, [])
    assert collect(NAME, Asked("weave")).n_left == 0
    assert collect(NAME, Asked("weave"), limit_s=-1).n_left == 0


def test_every_answer_gets_further_though_the_list_of_images_takes_longer_than_it_may(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (root / density.FOLDER).glob("*.npz"):
        path.unlink()
    listing, reading = density._documents, density._marks

    def slow(*given: Any) -> Any:
        yield from listing(*given)
        time.sleep(0.05)

    def one_at_a_time(*given: Any) -> Any:
        yield from reading(*given)
        time.sleep(0.05)

    monkeypatch.setattr(density, "_documents", slow)
    monkeypatch.setattr(density, "_marks", one_at_a_time)
    assert [collect(NAME, Asked("weave"), limit_s=0.04).n_left for _ in range(4)] == [3, 2, 1, 0]


def test_a_verdict_moves_an_image_out_of_the_truth_and_into_the_false_alarms(root: Path) -> None:
    alarms = f"{density.ALARMS}:padim"
    names = [each["source"] for each in density.sources(dataset.load(NAME))]
    assert names == [density.TRUTH]  # no normal image is above the threshold
    with pytest.raises(ValueError, match="Known: truth"):
        told(alarms)
    act(NAME, "accept_normal", [document("stain-04")])
    assert told()["n_marked"] == 3
    seen = told(alarms)
    heat = np.asarray(Image.open(root / "display" / "stain-04.png"))
    assert np.array_equal(np.array(seen["cells"]) > 0, heat == heat.max())
    assert seen["n_images"] == 1
    act(NAME, "undo", [document("stain-04")])
    assert told()["n_marked"] == 4


def test_proposals_are_counted_and_take_the_place_of_the_strongest_spot(root: Path) -> None:
    mask = [0, 6, 0]  # three columns of two pixels: all of the box
    row = {
        "sample_id": sample_id("stain-06"), "proposal": 1, "digest": "0" * 16, "detector": "padim",
        "method": "plain", "threshold": 0.5, "box_xyxy": [10, 20, 13, 22], "mask_rle": mask[:2], "area_px": 6,
        "area_um2": None, "contrast": 1.0, "map_max": 0.9, "map_mean": 0.8, "confidence": None,
    }  # fmt: skip
    save_proposals(NAME, "padim", [row])
    seen = told(f"{density.PROPOSALS}:padim")
    cells = np.zeros(GRID, dtype=int)
    cells[20:22, 10:13] = 1
    assert np.array_equal(seen["cells"], cells)
    act(NAME, "accept_normal", [document("stain-06")])
    assert np.array_equal(told(f"{density.ALARMS}:padim")["cells"], cells)
    act(NAME, "undo", [document("stain-06")])


def test_choices_begin_with_the_category_of_the_open_image(root: Path) -> None:
    found = density.choices(NAME, document("board-00_temp"))
    assert (found["category"], found["categories"]) == ("board", ["board", "weave"])
    assert density.choices(NAME, None)["category"] in {"board", "weave"}


def test_another_threshold_changes_the_false_alarms(root: Path) -> None:
    heatmaps.save_threshold(NAME, "padim", 0.14)  # below two of the four normal images
    assert told(f"{density.ALARMS}:padim")["n_images"] == 2
    heatmaps.save_threshold(NAME, "padim", 0.5)
