"""A dataset is loaded once for many steps, marks are written alone, and what others alter meanwhile stays."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.errors import Missing
from curate.store import appearance, heatmaps, marks
from curate.store.dataset import load
from curate.store.fields import is_declared
from curate.store.loading import description, descriptions, loaded_once
from curate.store.saved_views import Told, save_views

pytestmark = pytest.mark.mongod
Toy = tuple[Path, pd.DataFrame]


@pytest.fixture(autouse=True)
def without_views(toy: Toy) -> Iterator[None]:
    """The toy dataset is shared: views that a test saves go with it."""
    yield
    dataset = load("toy")
    for name in dataset.list_saved_views():
        dataset.delete_saved_view(name)


def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the datasets that FiftyOne reads from now on."""
    from fiftyone.core import dataset as core

    read, one = list[str](), core._do_load_dataset
    monkeypatch.setattr(core, "_do_load_dataset", lambda obj, name: (read.append(name), one(obj, name))[1])
    return read


def test_many_steps_read_a_dataset_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    read = loads(monkeypatch)
    with loaded_once():
        first = load("toy")
        heatmaps.clear("toy", ["padim_suspicion"])
        marks.write("toy", "split", "abc")
        assert load("toy") is first
        assert read == ["toy"]
        assert load("toy", fresh=True) is first
        assert read == ["toy", "toy"]
    load("toy")
    assert len(read) == 3


def test_marks_written_meanwhile_outlive_a_dataset_that_was_loaded_before(toy: Toy) -> None:
    with loaded_once():
        load("toy")
        marks.write("toy", "threshold", "abc")
        heatmaps.save_threshold("toy", "padim", 0.5)
        heatmaps.save_decisions("toy", [])
    assert marks.read("toy")["threshold"] == "abc"
    assert load("toy").info["curate"]["detector"] == "padim"
    marks.remove("toy", "threshold")
    assert "threshold" not in marks.read("toy")


def test_a_mark_needs_a_dataset(toy: Toy) -> None:
    with pytest.raises(Missing, match="absent"):
        marks.write("absent", "split", "abc")


def test_a_view_that_somebody_saves_meanwhile_stays(toy: Toy, fo: Any) -> None:
    with loaded_once():
        dataset = load("toy")
        by_another_process(fo, dataset, "mine")
        appearance.arrange("toy")
        assert "mine" in load("toy").list_saved_views()
        by_another_process(fo, dataset, "mine too")
        save_views(dataset, [Told("ours", "about", "#000000", [])])
    assert {"mine", "mine too"} <= set(load("toy").list_saved_views())


def test_a_mask_value_that_got_its_name_meanwhile_gets_its_colour(toy: Toy) -> None:
    value = "mask_targets.gt_mask.7"
    with loaded_once():
        load("toy")
        descriptions().update_one({"name": "toy"}, {"$set": {value: "scratch"}})
        appearance.arrange("toy")
        fields = {field["path"]: field for field in load("toy").app_config.color_scheme.fields}
    descriptions().update_one({"name": "toy"}, {"$unset": {value: ""}})
    assert 7 in [row["intTarget"] for row in fields["gt_mask"]["maskTargetsColors"]]


def by_another_process(fo: Any, dataset: Any, name: str) -> None:
    """Save a view without the dataset in this process learning of it."""
    from fiftyone.core.odm import SavedViewDocument

    now = datetime.now(UTC)
    slug = name.replace(" ", "-")
    view = SavedViewDocument(
        dataset_id=dataset._doc.id, name=name, slug=slug, view_stages=[], created_at=now, last_modified_at=now
    ).save(upsert=True)
    descriptions().update_one({"name": "toy"}, {"$push": {"saved_views": view.id}})


def test_a_view_that_changes_keeps_its_document_and_all_keep_their_order(toy: Toy) -> None:
    dataset = load("toy")
    save_views(dataset, [Told("a", "first", "#000000", []), Told("b", "second", "#000000", [])])
    before = {view.name: view.id for view in dataset._doc.saved_views}
    save_views(
        dataset, [Told("b", "now first", "#ffffff", []), Told("A", "of the same address", "#000000", [])]
    )
    held = {view.name: view for view in load("toy")._doc.saved_views}
    assert list(held)[-2:] == ["b", "A"] and "a" not in held
    assert (held["b"].id, held["A"].id) == (before["b"], before["a"])
    assert held["b"].description == "now first"
    assert load("toy").load_saved_view("b").count() == load("toy").count()


def test_views_are_saved_once_and_then_left_alone(toy: Toy) -> None:
    appearance.arrange("toy")
    before = {view.name: view.last_modified_at for view in load("toy")._doc.saved_views}
    assert appearance.arrange("toy")
    assert {view.name: view.last_modified_at for view in load("toy")._doc.saved_views} == before


def test_a_dataset_tells_whether_it_has_all_fields(toy: Toy) -> None:
    held = description("toy", "sample_fields", "mask_targets")
    assert held is not None and is_declared(held)
    assert not is_declared({**held, "mask_targets": {}})
    without = [field for field in held["sample_fields"] if field["name"] != "verdict_at"]
    assert not is_declared({**held, "sample_fields": without})
    fewer = [
        {**field, "fields": [inner for inner in field["fields"] if inner["name"] != "defect_types"]}
        if field["name"] == "ground_truth"
        else field
        for field in held["sample_fields"]
    ]
    assert not is_declared({**held, "sample_fields": fewer})
