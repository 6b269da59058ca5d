"""From an accepted or drawn mask to what the App shows, at once and after a sync."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from curate import drawn_masks
from curate.masks import read_mask
from curate.proposal_table import mask_of
from curate.steps import sync
from curate.steps.pixels import truth_of
from curate.steps.record import Context
from curate.store import dataset, verdicts
from curate.store.server import Database
from tests.helpers.accepting import (
    HW,
    NAME,
    built,
    decide,
    draw,
    now,
    offered,
    proposed,
    put_back,
    shown_mask,
    stored,
)
from tests.helpers.drawn import rows_by_path
from tests.helpers.tiny import HEIGHT

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
