"""From an accepted, drawn or rejected mask to what the App shows and offers, at once and after a sync."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bson import Binary

from curate import drawn_masks, tables
from curate.errors import CurateError
from curate.masks import read_mask
from curate.proposal_table import mask_of
from curate.recipe import Source
from curate.steps import correct, ingest, labels, propose, split, sync
from curate.steps.pixels import truth_of
from curate.steps.propose import Asked
from curate.steps.record import Context
from curate.store import dataset, marks, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.proposals import mask_of_detections
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers import evaluated
from tests.helpers.drawn import rows_by_path
from tests.helpers.tiny import HEIGHT, WIDTH, write_mvtec

pytestmark = pytest.mark.mongod
HW = HEIGHT, WIDTH
NAME = "accepting"
FIELD = "keen_proposals"


@pytest.fixture(scope="module")
def built(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A small dataset with maps and proposals, stored."""
    root = write_mvtec(tmp_path_factory.mktemp("images"), n_train=4, n_good=4, n_per_defect=3)
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset(NAME))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    evaluated.scored(context, "keen")
    propose.run(context, "keen", Asked("plain"))
    sync.everything(context)
    yield context
    dataset.load(NAME).delete()
    shutil.rmtree(context.paths.root)


@pytest.fixture
def context(built: Context) -> Iterator[Context]:
    """The same for every test: as if nobody had decided or drawn anything."""
    yield built
    forget(built)
    propose.run(built, "keen", Asked("plain"), overwrite=True)
    collection = dataset.load(NAME)._sample_collection
    collection.update_many({}, {"$set": {FIELD: None}})
    for part in ("samples", "proposals keen"):
        marks.remove(NAME, part)
    sync.everything(built)


def forget(context: Context) -> None:
    """Remove every verdict and what was noted for correction."""
    from fiftyone.core.odm import get_db_conn

    get_db_conn()[verdicts.LOG].delete_many({"dataset": context.paths.name})
    context.paths.verdicts.unlink(missing_ok=True)
    for folder in (context.paths.drawn_masks, context.paths.root / "corrections"):
        shutil.rmtree(folder, ignore_errors=True)


def stored(sample_id: str, name: str = NAME) -> dict[str, Any]:
    return dict(dataset.load(name)._sample_collection.find_one({"sample_id": sample_id}))


def offered(sample_id: str) -> list[dict[str, Any]]:
    return list((stored(sample_id).get(FIELD) or {}).get("detections") or [])


def shown_mask(sample_id: str) -> str | None:
    found = stored(sample_id)["gt_mask"]
    return None if found is None else str(found["mask_path"])


def decide(operator: str, *sample_ids: str, **options: Any) -> int:
    ids = [str(object_id(name, "sample")) for name in sample_ids]
    return act(NAME, operator, ids, detector="keen", **options)


def proposed(context: Context) -> dict[str, list[dict[str, Any]]]:
    """The proposals by sample."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in tables.to_rows(propose.read(context, "keen")):
        found.setdefault(row["sample_id"], []).append(row)
    return found


def now(context: Context, sample_id: str) -> dict[str, Any]:
    return next(row for row in tables.to_rows(labels.current(context)) if row["sample_id"] == sample_id)


def draw(
    sample_id: str, label: str, box_xyxy: tuple[int, int, int, int], field: str = FIELD, name: str = NAME
) -> None:
    """Add a region as the App's brush does."""
    from fiftyone.core.utils import serialize_numpy_array

    x0, y0, x1, y1 = box_xyxy
    painted = Binary(serialize_numpy_array(np.ones((y1 - y0, x1 - x0), dtype=np.uint8)))
    box = [x0 / WIDTH, y0 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
    detection = {
        "_cls": "Detection", "_id": object_id(sample_id, f"drawn {label} {box}"), "label": label,
        "bounding_box": box, "mask": painted, "tags": [], "attributes": {},
    }  # fmt: skip
    before = (stored(sample_id, name).get(field) or {}).get("detections") or []
    value = {"_cls": "Detections", "detections": [*before, detection]}
    collection = dataset.load(name)._sample_collection
    assert collection.update_one({"sample_id": sample_id}, {"$set": {field: value}}).modified_count == 1


def test_the_app_shows_the_accepted_mask_at_once_and_the_former_after_an_undo(context: Context) -> None:
    made = proposed(context)
    rows = {row["sample_id"]: row for row in rows_by_path(context).values()}
    bad = next(name for name in made if rows[name]["label"] == "anomalous")
    before = shown_mask(bad)
    assert before == str(context.paths.masks / f"{bad}.png")
    assert decide("accept_mask", bad) == 1
    digest = drawn_masks.digest(mask_of(made[bad], HW))
    after = drawn_masks.path_of(context.paths.drawn_masks, bad, digest)
    assert shown_mask(bad) == str(after)
    assert np.array_equal(read_mask(after), mask_of(made[bad], HW))
    assert np.array_equal(
        np.asarray(truth_of(now(context, bad), context.paths.masks)), mask_of(made[bad], HW)
    )
    sync.everything(context)
    assert shown_mask(bad) == str(after)
    decide("accept_normal", bad)
    assert shown_mask(bad) is None
    decide("undo", bad)
    assert shown_mask(bad) == str(after)
    decide("undo", bad)
    assert shown_mask(bad) == before
    sync.everything(context)
    assert shown_mask(bad) == before


def test_fiftyone_reads_the_mask_in_force(context: Context, fo: Any) -> None:
    name = next(iter(proposed(context)))
    decide("accept_mask", name)
    sample = dataset.load(NAME).match({"sample_id": name}).first()
    assert np.array_equal(sample["gt_mask"].get_mask() > 0, mask_of(proposed(context)[name], HW))


def test_what_a_killed_decision_left_is_made_good_by_the_next_sync(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = list(proposed(context))[:2]

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for cut in ("append_mirror", "_set_fields"):
        name, operator = (first, "accept_mask") if cut == "append_mirror" else (second, "reject_mask")
        with monkeypatch.context() as patched:
            patched.setattr(verdicts, cut, killed)
            with pytest.raises(KeyboardInterrupt):
                decide(operator, name)
    sync.everything(context)
    assert shown_mask(first) == str(
        drawn_masks.path_of(
            context.paths.drawn_masks, first, drawn_masks.digest(mask_of(proposed(context)[first], HW))
        )
    )
    assert (offered(first), offered(second)) == ([], [])
    assert now(context, first)["verdict_mask"] is not None


def test_a_rejected_proposal_goes_at_once_and_stays_away_until_it_is_taken_back(context: Context) -> None:
    name, other = list(proposed(context))[:2]
    before = offered(name)
    assert before
    decide("reject_mask", name)
    assert (offered(name), len(offered(other)) > 0) == ([], True)
    assert stored(name)["label"] == rows_label(context, name)
    propose.run(context, "keen", Asked("plain"), overwrite=True)
    sync.everything(context)
    assert offered(name) == []
    assert name not in {row["sample_id"] for row in propose.still_offered(context, "keen")}
    decide("undo", name)
    assert offered(name) == before
    sync.everything(context)
    assert offered(name) == before


def rows_label(context: Context, sample_id: str) -> str:
    by_id = {row["sample_id"]: row["label"] for row in rows_by_path(context).values()}
    return str(by_id[sample_id])


def test_another_mask_for_a_rejected_one_is_offered(context: Context) -> None:
    name = next(iter(proposed(context)))
    before = {each["digest"] for each in offered(name)}
    decide("reject_mask", name)
    low = min(row["threshold"] for row in proposed(context)[name]) / 3
    propose.run(context, "keen", Asked("plain", threshold=low), overwrite=True)
    sync.everything(context)
    new = {each["digest"] for each in offered(name)}
    assert new and not new & before


def test_what_a_person_drew_survives_a_rejection_of_what_was_proposed(context: Context) -> None:
    name = next(iter(proposed(context)))
    draw(name, "dent", (1, 1, 7, 5))
    decide("reject_mask", name)
    assert [each["label"] for each in offered(name)] == ["dent"]
    sync.everything(context)
    assert [each["label"] for each in offered(name)] == ["dent"]


def test_an_accepted_image_is_not_proposed_for_again(context: Context) -> None:
    untouched, edited = list(proposed(context))[:2]
    before = offered(untouched)
    draw(edited, "dent", (1, 1, 7, 5))
    kept = offered(edited)
    decide("accept_mask", untouched, edited)
    propose.run(context, "keen", Asked("watershed"), overwrite=True)
    sync.everything(context)
    assert (offered(untouched), offered(edited)) == ([], kept)
    decide("undo", untouched)
    propose.run(context, "keen", Asked("plain"), overwrite=True)
    sync.everything(context)
    assert offered(untouched) == before


def test_regions_drawn_from_nothing_become_the_mask_and_name_the_type(context: Context) -> None:
    rows = {row["sample_id"]: row for row in rows_by_path(context).values()}
    name = next(name for name, row in rows.items() if row["label"] == "normal" and not offered(name))
    assert decide("accept_mask", name) == 0
    draw(name, "dent", (0, 40, 9, HEIGHT))
    draw(name, "dent", (30, 10, 31, 11))
    assert decide("accept_mask", name) == 1
    expected = np.zeros(HW, dtype=bool)
    expected[40:, :9] = expected[10, 30] = True
    row = now(context, name)
    assert (row["label"], row["defect_types"]) == ("anomalous", ["dent"])
    assert np.array_equal(np.asarray(truth_of(row, context.paths.masks)), expected)
    assert stored(name)["defect_types"] == ["dent"]


def test_a_named_type_counts_for_all_regions(context: Context) -> None:
    name = next(iter(proposed(context)))
    draw(name, "dent", (1, 1, 7, 5))
    decide("accept_mask", name, defect_type="burr")
    row = now(context, name)
    assert (row["defect_types"], row["mask_kind"], row["mask_classes"]) == (["burr"], "binary", None)


def test_several_types_are_values_that_the_app_knows(context: Context) -> None:
    rows = {row["sample_id"]: row for row in rows_by_path(context).values()}
    first, second = [n for n, row in rows.items() if row["label"] == "normal" and not offered(n)][:2]
    draw(first, "hole", (1, 1, 5, 5))
    draw(first, "dent", (20, 20, 30, 22))
    decide("accept_mask", first)
    draw(second, "burr", (1, 1, 5, 5))
    draw(second, "hole", (20, 20, 30, 22))
    decide("accept_mask", second)
    told = {name: now(context, name) for name in (first, second)}
    values = {
        name: {each["defect_type"]: each["value"] for each in row["mask_classes"]}
        for name, row in told.items()
    }
    assert values == {first: {"dent": 1, "hole": 2}, second: {"burr": 3, "hole": 2}}
    assert told[second]["defect_types"] == ["burr", "hole"]
    sync.everything(context)
    targets = dict(dataset.load(NAME).mask_targets["gt_mask"])
    assert targets == {1: "dent", 2: "hole", 3: "burr", 255: "defect"}


def test_new_types_of_several_images_accepted_at_once_get_values_of_their_own(context: Context) -> None:
    rows = rows_by_path(context).values()
    normal = (row["sample_id"] for row in rows if row["label"] == "normal" and not offered(row["sample_id"]))
    first, second = next(normal), next(normal)
    for name, types in ((first, ("hole", "dent")), (second, ("burr", "crack"))):
        draw(name, types[0], (1, 1, 5, 5))
        draw(name, types[1], (20, 20, 30, 22))
    assert decide("accept_mask", first, second) == 2
    given = [each["value"] for name in (first, second) for each in now(context, name)["mask_classes"]]
    assert sorted(given) == [1, 2, 3, 4]


def test_ground_truth_is_corrected_in_place_of_proposals(context: Context) -> None:
    rows = {row["sample_id"]: row for row in rows_by_path(context).values()}
    bad = sorted(name for name, row in rows.items() if row["label"] == "anomalous")
    chosen, other = bad[0], bad[1]
    truth = read_mask(context.paths.masks / f"{chosen}.png")
    told = correct.run(context, only=[chosen])
    assert (told["detector"], told["n_images"]) == ("keen", 1)
    sync.everything(context)
    found = offered(chosen)
    assert {each["method"] for each in found} == {"truth"}
    assert {each["label"] for each in found} == set(rows[chosen]["defect_types"])
    assert np.array_equal(mask_of_detections(found, HW), truth)
    assert {each["method"] for each in offered(other)} <= {"plain"}
    decide("accept_mask", chosen)
    assert now(context, chosen)["verdict_mask"] == drawn_masks.digest(truth)
    sync.everything(context)
    assert offered(chosen) == []  # nothing is left to correct: another mask is in force
    draw(chosen, "dent", (50, 40, 60, 46))
    decide("accept_mask", chosen)
    correct.run(context, only=[chosen])
    sync.everything(context)
    assert [each["label"] for each in offered(chosen)] == ["dent"]  # what was drawn stays


def test_an_accepted_mask_can_be_corrected_again(context: Context) -> None:
    name = next(iter(proposed(context)))
    decide("accept_mask", name)
    sync.everything(context)
    assert offered(name) == []
    correct.run(context, "keen", [name])
    sync.everything(context)
    assert np.array_equal(mask_of_detections(offered(name), HW), mask_of(proposed(context)[name], HW))
    correct.run(context, "keen", [name], stop=True)
    sync.everything(context)
    assert offered(name) == []


def test_without_any_scores_ground_truth_is_corrected_by_hand(workspace_db: Database, tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "images", n_train=2, n_good=1, n_per_defect=1)
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset("unscored"))
    ingest.run(context, Source(root, "mvtec_ad"))
    assert correct.run(context)["n_images"] == 2
    sync.everything(context)
    name = next(row["sample_id"] for row in rows_by_path(context).values() if row["label"] == "anomalous")
    draw(name, "dent", (0, 0, 3, 3), "by_hand_proposals", "unscored")
    assert act("unscored", "accept_mask", [str(object_id(name, "sample"))]) == 1
    expected = read_mask(context.paths.masks / f"{name}.png")
    expected[:3, :3] = True
    assert np.array_equal(np.asarray(truth_of(now(context, name), context.paths.masks)), expected)
    with pytest.raises(CurateError, match="none of 1 images has a ground-truth mask"):
        correct.run(context, only=[normal_of(context)])
    dataset.load("unscored").delete()
    shutil.rmtree(context.paths.root)


def normal_of(context: Context) -> str:
    rows = rows_by_path(context).values()
    return str(next(row["sample_id"] for row in rows if row["label"] == "normal"))
