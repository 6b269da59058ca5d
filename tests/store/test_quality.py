"""The numbers of the checks in the dataset, and a view for each check that found something."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.quality import FIELDS
from curate.recipe import Source
from curate.steps import check, fix, ingest, split, sync
from curate.steps.record import Context
from curate.store import dataset
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod
NAME, SPECKED = "measured", "weave/test/stain/000.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_mvtec(tmp_path / "images", n_train=2, n_good=2, n_per_defect=2)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:50] = mask[40, 5:8] = 255
    Image.fromarray(mask).save(root / "weave/ground_truth/stain/000_mask.png")
    (root / "weave/test/good/009.png").write_bytes((root / "weave/test/good/001.png").read_bytes())
    return root


@pytest.fixture
def context(workspace_db: Database, root: Path) -> Iterator[Context]:
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset(NAME))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    check.run(context, ["specks", "exact_duplicates", "border_regions"])
    sync.everything(context)
    yield context
    dataset.load(NAME).delete()
    shutil.rmtree(context.paths.root)


def stored(relative_path: str) -> dict[str, Any]:
    sample = dataset.load(NAME).match({"relative_path": relative_path}).first()
    return {name: sample[name] for name in FIELDS}


def check_views() -> dict[str, int]:
    """Saved views of checks, and how many images each shows."""
    ours = dataset.load(NAME)
    names = [name for name in ours.list_saved_views() if name.startswith("check: ")]
    return {name: len(ours.load_saved_view(name).values("id")) for name in names}


def test_numbers_are_fields_with_descriptions_in_a_group_of_their_own(context: Context) -> None:
    found = stored(SPECKED)
    assert (found["defect_px"], found["n_regions"], found["smallest_region_px"]) == (203, 2, 3)
    assert found["brightness"] is None and found["duplicate_group"] is None
    assert stored("weave/test/good/009.png")["duplicate_group"] == "weave/test/good/001.png"
    assert stored("weave/train/good/000.png")["defect_px"] is None
    ours = dataset.load(NAME)
    assert all(ours.get_field(name).description == about for name, (_, about) in FIELDS.items())
    groups = {group.name: group.paths for group in ours.app_config.sidebar_groups}
    assert groups["QUALITY"] == list(FIELDS)
    assert len(ours.match({"defect_px": {"$gt": 200}}).values("id")) == 1


def test_each_check_that_found_something_has_a_view_until_it_finds_nothing(context: Context) -> None:
    assert check_views() == {"check: exact_duplicates": 2, "check: specks": 1}
    fix.mend(context, ["specks"])
    check.run(context, ["specks", "exact_duplicates"])
    sync.everything(context)
    assert check_views() == {"check: exact_duplicates": 2}
    assert stored(SPECKED)["n_regions"] == 1


def test_numbers_leave_with_the_file_they_came_from(context: Context) -> None:
    context.paths.quality.unlink()
    sync.everything(context)
    assert set(stored(SPECKED).values()) == {None}
    check.run(context, ["specks", "exact_duplicates", "border_regions"])
    sync.everything(context)
    assert stored(SPECKED)["defect_px"] == 203
