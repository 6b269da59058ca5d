"""Which regions the App offers after a rejection, an acceptance or a correction, at once and after a sync."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curate import drawn_masks
from curate.errors import CurateError
from curate.masks import read_mask
from curate.proposal_table import mask_of
from curate.recipe import Source
from curate.steps import correct, ingest, propose, sync
from curate.steps.pixels import truth_of
from curate.steps.propose import Asked
from curate.steps.record import Context
from curate.store import dataset
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.proposals import mask_of_detections
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers.accepting import (
    HW,
    built,
    decide,
    draw,
    now,
    offered,
    proposed,
    put_back,
    stored,
)
from tests.helpers.drawn import rows_by_path
from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def made(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with built(workspace_db.home, tmp_path_factory.mktemp("images")) as context:
        yield context


@pytest.fixture
def context(made: Context) -> Iterator[Context]:
    """The same for every test: as if nobody had decided or drawn anything."""
    yield made
    put_back(made)


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
