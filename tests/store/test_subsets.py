"""A subset in the database: a tag and a saved view that come and go with it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.steps import split, subset, sync
from curate.steps.record import Context
from curate.store import dataset, marks
from curate.store.server import Database
from curate.store.subsets import label
from curate.subset_choice import Limit
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.helpers.toy_steps import add_image, taken

pytestmark = pytest.mark.mongod
SMALL = Limit("area_px", 20)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = write_mvtec(tmp_path / "images", n_train=4, n_good=6, n_per_defect=4)
    for path in sorted(tree.glob("weave/ground_truth/*/*.png"))[::2]:
        mask = np.zeros((48, 64), np.uint8)
        mask[10:14, 20:24] = 255
        Image.fromarray(mask).save(path)
    return tree


@pytest.fixture
def context(workspace_db: Database, root: Path) -> Iterator[Context]:
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset("with-subset"))
    taken(context, root)
    split.run(context)
    sync.everything(context)
    yield context
    dataset.load("with-subset").delete()
    shutil.rmtree(context.paths.root)


def tagged() -> set[str]:
    return set(dataset.load("with-subset").match_tags(label("small")).values("sample_id"))


def evaluated(context: Context) -> set[str]:
    table = subset.members(context, "small")
    return set(table["sample_id"][table["role"] != "train"])


def test_a_subset_is_a_tag_and_a_saved_view(context: Context) -> None:
    subset.run(context, SMALL)
    sync.everything(context)
    assert tagged() == evaluated(context) != set()
    loaded = dataset.load("with-subset")
    view = loaded.load_saved_view(label("small"))
    assert set(view.values("sample_id")) == evaluated(context)
    assert "area_px <= 20" in loaded.get_saved_view_info(label("small"))["description"]
    assert sync.is_current(context)


def test_other_settings_move_the_tag(context: Context) -> None:
    subset.run(context, SMALL)
    sync.everything(context)
    before = tagged()
    subset.run(context, Limit("area_px", 100), overwrite=True)
    sync.everything(context)
    assert tagged() == evaluated(context) > before


def test_a_subset_of_other_images_is_taken_away_until_made_again(context: Context, root: Path) -> None:
    subset.run(context, SMALL)
    sync.everything(context)
    add_image(root)
    taken(context, root)
    split.run(context)
    sync.everything(context)
    assert tagged() == set()
    assert label("small") not in dataset.load("with-subset").list_saved_views()
    assert "subset small" not in marks.read("with-subset")
    subset.run(context, SMALL)
    sync.everything(context)
    assert tagged() == evaluated(context) != set()


def test_tags_of_others_stay(context: Context) -> None:
    first = dataset.load("with-subset").first()
    first.tags.append("mine")
    first.save()
    subset.run(context, SMALL)
    sync.everything(context)
    (context.paths.root / "subsets" / "small.json").unlink()
    sync.everything(context)
    assert tagged() == set()
    assert dataset.load("with-subset").count_sample_tags() == {"mine": 1}
