"""What the panel "Side by side" tells of an image."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.store import comparison, dataset, nearest, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import Database
from tests.helpers import paired
from tests.helpers.stored import sample_id

pytestmark = pytest.mark.mongod
NAME = "compared"


def document(name: str) -> str:
    return str(object_id(sample_id(name), "sample"))


@pytest.fixture(scope="module")
def root(workspace_db: Database) -> Path:
    folder: Path = workspace_db.home / "datasets" / NAME
    paired.saved(NAME, folder)
    return folder


def test_each_detector_is_told_with_map_threshold_and_place_among_normals(root: Path) -> None:
    padim, other = comparison.look(NAME, document("stain-04"))["detectors"]
    assert (padim["name"], padim["score"], padim["alarm"]) == ("padim", "0.9", True)
    assert padim["decision"] == "at or above the threshold 0.5: anomalous"
    assert padim["standing"] == "higher than all 2 normal calibration images"
    assert padim["map"] == str(root / "display" / "stain-04.png")
    assert (other["name"], other["score"], other["alarm"]) == ("other", "9", False)
    assert other["decision"] == "no threshold is in force for it"
    calibration = comparison.look(NAME, document("good-01"))["detectors"][0]
    assert (
        calibration["standing"] == "higher than the only one of the normal calibration images"
    )  # not itself


def test_an_image_without_scores_has_no_detector_but_its_template(root: Path) -> None:
    told = comparison.look(NAME, document("board-00_test"))
    assert told["detectors"] == []
    assert told["template"]["path"] == "board/00_temp.png"
    assert told["boxes"] == [[40.0, 30.0, 12.0, 6.0]]
    assert comparison.look(NAME, document("board-00_temp"))["template"] is None


def test_outlines_go_round_the_mask_in_pixels(root: Path) -> None:
    told = comparison.look(NAME, document("stain-05"))
    mask = np.asarray(Image.open(root / "masks" / f"{sample_id('stain-05')}.png")) > 0
    points = np.array([each.split() for each in told["outlines"].strip("MZ").split("L")], dtype=float)
    rows, columns = np.nonzero(mask)
    assert points.min(axis=0) == pytest.approx([columns.min(), rows.min()], abs=0.5)
    assert points.max(axis=0) == pytest.approx([columns.max() + 1, rows.max() + 1], abs=0.5)
    assert comparison.look(NAME, document("good-00"))["outlines"] == ""


def test_the_nearest_normals_follow_the_label_in_force(root: Path) -> None:
    def near() -> list[tuple[str, float]]:
        found = comparison.look(NAME, document("stain-04"))["nearest"]
        return [(each["path"], each["distance"]) for each in found]

    assert near() == [("good-03.png", 1.0), ("good-02.png", 2.0), ("good-01.png", 3.0), ("good-00.png", 4.0)]
    act(NAME, "accept_normal", [document("stain-05")])  # in the test split: after the others
    assert near()[-1] == ("stain-05.png", 1.0)
    act(NAME, "mark_anomalous", [document("good-03")])
    assert near()[0] == ("good-02.png", 2.0)
    act(NAME, "undo", [document("good-03"), document("stain-05")])
    assert len(verdicts.read_log(NAME)) == 4


def test_what_is_missing_is_said(root: Path) -> None:
    assert comparison.look(NAME, document("board-00_temp"))["missing"] == comparison.NO_NORMALS
    cache = root / nearest.CACHE
    cache.rename(root / "away")
    told = comparison.look(NAME, document("stain-04"))
    (root / "away").rename(cache)
    assert (told["nearest"], told["missing"]) == (None, comparison.NOT_EMBEDDED)
    assert comparison.look(NAME, document("stain-04"))["nearest"]  # seen without a new start
    with pytest.raises(ValueError, match="not in the dataset any more"):
        comparison.look(NAME, document("nobody"))


def test_an_unreadable_mask_leaves_the_rest(root: Path) -> None:
    path = root / "masks" / f"{sample_id('stain-06')}.png"
    content = path.read_bytes()
    path.write_bytes(b"no image")
    told = comparison.look(NAME, document("stain-06"))
    path.write_bytes(content)
    assert (told["outlines"], len(told["detectors"])) == ("", 2)


def test_embeddings_are_read_again_when_their_file_changes(root: Path) -> None:
    paths = nearest.DatasetPaths(root)
    before = nearest.embedded(paths)
    assert nearest.embedded(paths) is before
    os.utime(root / nearest.CACHE, (1, 1))
    after = nearest.embedded(paths)
    assert after is not before
    assert {name: len(each.sample_ids) for name, each in after.items()} == {"weave": 8, "board": 2}
    assert dataset.count(NAME) == 10
