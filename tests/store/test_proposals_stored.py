"""Proposals in the dataset: there and back without loss, edits kept, and what sync makes of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import tables
from curate.proposal_table import mask_of, rows_of
from curate.propose import Proposal, described
from curate.recipe import Source
from curate.steps import ingest, propose, split, sync
from curate.steps.propose import Asked
from curate.steps.record import Context, digest, finish
from curate.store import dataset
from curate.store.proposals import (
    LABEL,
    box_of,
    mask_of_detections,
    relative_box,
    remove_proposals,
    samples_of_view,
    save_proposals,
)
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers import evaluated
from tests.helpers.stored import many, sample_id
from tests.helpers.tiny import HEIGHT, WIDTH, write_mvtec

pytestmark = pytest.mark.mongod
HW = HEIGHT, WIDTH
FIELD = "padim_proposals"


def proposals(mask: np.ndarray) -> list[Proposal]:
    image = np.zeros((*mask.shape, 3), dtype=np.uint8)
    return described(image, mask.astype(np.float32), mask, "plain", mask & False)


def rows(name: str, mask: np.ndarray) -> list[dict[str, Any]]:
    facts = {"sample_id": sample_id(name), "detector": "padim", "threshold": 1.0, "um_per_px": None}
    return rows_of(proposals(mask), facts, [0.5, 2.0, 0.1])


def noise(seed: int, share: float = 0.08, image_hw: tuple[int, int] = HW) -> np.ndarray:
    return np.random.default_rng(seed).random(image_hw) < share


@pytest.fixture
def stored(workspace_db: Database) -> Iterator[list[dict[str, Any]]]:
    """Five samples; the first three have proposals, at the corners of the image, too."""
    dataset.save_samples("proposed", many(5))
    made = []
    for index in range(3):
        mask = noise(index)
        mask[0, 0] = mask[-1, -1] = mask[-1, 0] = True
        made += rows(f"{index:05d}", mask)
    assert save_proposals("proposed", "padim", made) == []
    yield made
    dataset.load("proposed").delete()


def document(name: str = "00000") -> dict[str, Any]:
    found = dataset.load("proposed")._sample_collection.find_one({"sample_id": sample_id(name)})
    return dict(found)


def of(made: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in made if row["sample_id"] == sample_id(name)]


def test_masks_come_back_without_loss(stored: list[dict[str, Any]]) -> None:
    for name in ("00000", "00001", "00002"):
        found = document(name)[FIELD]["detections"]
        assert np.array_equal(mask_of_detections(found, HW), mask_of(of(stored, name), HW))
    assert document("00003").get(FIELD) is None


def test_fiftyone_draws_the_same_masks(stored: list[dict[str, Any]]) -> None:
    sample = dataset.load("proposed").match({"sample_id": sample_id("00001")}).first()
    label = sample[FIELD]
    expected = of(stored, "00001")
    assert len(label.detections) == len(expected) > 100
    drawn = label.to_segmentation(frame_size=(WIDTH, HEIGHT), mask_targets={255: LABEL}).mask
    assert np.array_equal(drawn > 0, mask_of(expected, HW))
    first = label.detections[0]
    assert (first.label, first.digest, first.method) == (LABEL, expected[0]["digest"], "plain")
    assert first.confidence == pytest.approx(0.5)


@pytest.mark.parametrize("side", [1, 3, 7, 97, 640, 1001, 4093])
def test_relative_boxes_are_exact_pixels_again(side: int) -> None:
    image_hw = side, side + 1
    rng = np.random.default_rng(side)
    for _ in range(200):
        x0, y0 = int(rng.integers(0, side + 1)), int(rng.integers(0, side))
        x1, y1 = int(rng.integers(x0 + 1, side + 2)), int(rng.integers(y0 + 1, side + 1))
        relative = relative_box((x0, y0, x1, y1), image_hw)
        assert box_of(relative, image_hw) == (x0, y0, x1, y1)
        left, top, across, down = relative
        cut_off = [int(left * (side + 1)), int(top * side)]
        cut_off += [int((left + across) * (side + 1)), int((top + down) * side)]
        assert cut_off == [x0, y0, x1, y1]  # as FiftyOne does it


def test_the_app_may_edit_them(stored: list[dict[str, Any]]) -> None:
    data = dataset.load("proposed")
    schema = data.label_schemas[FIELD]
    assert schema["type"] == "detections"
    assert schema["classes"][0] == LABEL
    assert FIELD in data.active_label_schemas


def change(name: str, **fields: Any) -> None:
    """Edit the first proposal of a sample as the App would."""
    collection = dataset.load("proposed")._sample_collection
    changes = {f"{FIELD}.detections.0.{key}": value for key, value in fields.items()}
    assert collection.update_one({"sample_id": sample_id(name)}, {"$set": changes}).modified_count == 1


def test_what_a_person_edited_is_never_overwritten(stored: list[dict[str, Any]], fo: Any) -> None:
    from bson import Binary
    from fiftyone.core.utils import serialize_numpy_array

    painted = np.ones((9, 12), dtype=np.uint8)
    painted[0, 0] = 0
    box = [10 / WIDTH, 20 / HEIGHT, 12 / WIDTH, 9 / HEIGHT]
    change("00000", mask=Binary(serialize_numpy_array(painted)), bounding_box=box)
    collection = dataset.load("proposed")._sample_collection
    collection.update_one({"sample_id": sample_id("00001")}, {"$pop": {f"{FIELD}.detections": 1}})
    edited = [document(name)[FIELD] for name in ("00000", "00001")]
    new = rows("00000", noise(7)) + rows("00001", noise(8)) + rows("00003", noise(9))
    assert save_proposals("proposed", "padim", new) == sorted([sample_id("00000"), sample_id("00001")])
    assert [document(name)[FIELD] for name in ("00000", "00001")] == edited
    assert document("00002")[FIELD] is None
    assert np.array_equal(mask_of_detections(document("00003")[FIELD]["detections"], HW), noise(9))
    shown = mask_of_detections(document("00000")[FIELD]["detections"][:1], HW)
    expected = np.zeros(HW, dtype=bool)
    expected[20:29, 10:22] = painted > 0
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize(
    "fields",
    [{"label": "scratch"}, {"bounding_box": [0.25, 0.25, 0.5, 0.5]}, {"mask": None}, {"digest": None}],
)
def test_every_kind_of_edit_is_noticed(stored: list[dict[str, Any]], fields: dict[str, Any]) -> None:
    notched = np.zeros(HW, dtype=bool)
    notched[4:20, 9:33] = True
    notched[8:12, 15:40] = False
    assert save_proposals("proposed", "padim", rows("00000", notched)) == []
    change("00000", **fields)
    assert remove_proposals("proposed", "padim") == [sample_id("00000")]


def test_proposals_that_were_all_removed_stay_removed(stored: list[dict[str, Any]]) -> None:
    collection = dataset.load("proposed")._sample_collection
    collection.update_one({"sample_id": sample_id("00002")}, {"$set": {f"{FIELD}.detections": []}})
    assert save_proposals("proposed", "padim", stored) == [sample_id("00002")]
    assert document("00002")[FIELD]["detections"] == []


def test_removing_leaves_nothing(stored: list[dict[str, Any]]) -> None:
    assert remove_proposals("proposed", "padim") == []
    assert dataset.load("proposed").exists(FIELD).count() == 0
    assert remove_proposals("proposed", "npad") == []


def test_a_saved_view_names_samples(stored: list[dict[str, Any]]) -> None:
    data = dataset.load("proposed")
    data.save_view("mine", data.match({"relative_path": {"$in": ["00001.png", "00004.png"]}}))
    assert sorted(samples_of_view("proposed", "mine")) == sorted([sample_id("00001"), sample_id("00004")])
    with pytest.raises(ValueError, match=r'no saved view "your" \(it has: mine\)'):
        samples_of_view("proposed", "your")


@pytest.fixture
def scored(workspace_db: Database, tmp_path: Path) -> Iterator[Context]:
    """A small dataset with maps, stored; what is said is kept in `heard`."""
    root = write_mvtec(tmp_path / "images", n_train=6, n_good=6, n_per_defect=4)
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset("proposing"), heard.append)
    heard.clear()
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    evaluated.scored(context, "keen")
    sync.everything(context)
    yield context
    dataset.load("proposing").delete()
    shutil.rmtree(context.paths.root)


heard: list[str] = []


def test_sync_stores_proposals_keeps_edits_and_takes_stale_ones_away(scored: Context) -> None:
    propose.run(scored, "keen", Asked("plain"))
    sync.everything(scored)
    made = tables.to_rows(propose.read(scored, "keen"))
    collection = dataset.load("proposing")._sample_collection
    names = sorted({row["sample_id"] for row in made})
    for name in names:
        found = collection.find_one({"sample_id": name})["keen_proposals"]["detections"]
        own = [row for row in made if row["sample_id"] == name]
        assert np.array_equal(mask_of_detections(found, HW), mask_of(own, HW))
    assert "keen_proposals" in dataset.load("proposing").app_config.sidebar_groups[0].paths
    assert collection.count_documents({"keen_proposals": {"$ne": None}}) == len(names) > 3
    collection.update_one({"sample_id": names[0]}, {"$set": {"keen_proposals.detections.0.label": "dust"}})
    propose.run(scored, "keen", Asked("watershed"), overwrite=True)
    sync.everything(scored)
    assert [text for text in heard if "edited" in text] == [
        "proposing: proposals of keen that a person edited stay as they are, in 1 image."
    ]
    kept = collection.find_one({"sample_id": names[0]})["keen_proposals"]["detections"]
    assert (kept[0]["label"], kept[0]["method"]) == ("dust", "plain")
    other = collection.find_one({"sample_id": names[1]})["keen_proposals"]["detections"]
    assert {each["method"] for each in other} <= {"watershed", "plain"}
    assert "watershed" in {
        each["method"]
        for row in collection.find({"keen_proposals": {"$ne": None}})
        for each in row["keen_proposals"]["detections"]
    }
    target = scored.paths.detector("keen") / "predictions.parquet"
    predictions = tables.read(target)
    predictions["anomaly_score"] = 0.5
    tables.write(predictions, target)
    inputs = {"images": digest(scored.paths.samples), "split": digest(scored.paths.split)}
    finish(scored.paths, "score-keen", inputs, [target], {})
    sync.everything(scored)
    left = [row["sample_id"] for row in collection.find({"keen_proposals": {"$ne": None}})]
    assert left == [names[0]]
