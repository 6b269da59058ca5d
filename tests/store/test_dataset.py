"""The sample table in and out of a FiftyOne dataset, with FiftyOne's own code as the judge."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.errors import CurateError, Missing
from curate.schema import check_table
from curate.store import appearance, dataset, heatmaps, marks
from curate.store.server import Database
from tests.helpers.stored import SAMPLE_COLUMNS, many, same, sample_id

pytestmark = pytest.mark.mongod


def comparable(document: Any) -> Any:
    """A document without what differs between any two copies, and without empty fields."""
    if isinstance(document, list):
        return [comparable(item) for item in document]
    if not isinstance(document, dict):
        return document
    changing = {"_id", "_dataset_id", "created_at", "last_modified_at", "_rand"}
    return {
        key: comparable(value) for key, value in document.items() if key not in changing and value is not None
    }


def test_what_is_stored_is_read_back_equal(toy: tuple[Path, pd.DataFrame]) -> None:
    found = dataset.read_samples("toy")
    assert same(found, toy[1])
    check_table(found[SAMPLE_COLUMNS], "sample")
    assert set(found["assigned_split"]) == {"test"}


def test_fiftyone_reads_every_label_with_its_proper_type(toy: tuple[Path, pd.DataFrame], fo: Any) -> None:
    sample = fo.load_dataset("toy").match(fo.ViewField("label") == "anomalous").first()
    assert isinstance(sample.ground_truth, fo.Classification)
    assert isinstance(sample.gt_mask, fo.Segmentation)
    assert isinstance(sample.padim_map, fo.Heatmap)
    assert sample.padim_map.get_map().shape == (48, 64)
    assert set(sample.gt_mask.get_mask().ravel()) == {0, 255}
    detection = sample.boxes.detections[0]
    x0, y0, x1, y1 = detection.box_xyxy
    assert detection.bounding_box == pytest.approx([x0 / 64, y0 / 48, (x1 - x0) / 64, (y1 - y0) / 48])
    assert sample.gt_mask.get_mask()[int(y0) : int(y1), int(x0) : int(x1)].all()
    assert (sample.metadata.width, sample.metadata.height) == (64, 48)


def test_our_documents_are_what_fiftyone_itself_would_write(toy: tuple[Path, pd.DataFrame], fo: Any) -> None:
    ours = fo.load_dataset("toy")
    theirs = fo.Dataset("theirs")
    theirs.add_samples([sample.copy() for sample in ours])
    for mine, own in zip(ours._sample_collection.find(), theirs._sample_collection.find(), strict=True):
        assert comparable(mine) == comparable(own)
    theirs.delete()


def test_fiftyones_own_views_patches_and_export_work(
    toy: tuple[Path, pd.DataFrame], fo: Any, tmp_path: Path
) -> None:
    ours = fo.load_dataset("toy")
    assert len(ours.to_patches("boxes")) == 4
    assert ours.evaluate_classifications("predicted", "ground_truth", eval_key="by_curate").report()[
        "anomalous"
    ]
    ours.export(str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset)
    again = fo.Dataset.from_dir(str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset)
    assert again.values("sample_id") == ours.values("sample_id")
    again.delete()


def test_saving_again_changes_nothing_and_keeps_scores_and_split(toy: tuple[Path, pd.DataFrame]) -> None:
    root, samples = toy
    saved = dataset.save_samples("toy", samples, root / "masks")
    assert (saved.n_new, saved.n_known, saved.vanished) == (0, 8, ())
    collection = dataset.load("toy")._sample_collection
    assert collection.count_documents({"padim_score": None}) == 0
    assert collection.count_documents({"assigned_split": "test"}) == 8


def test_the_threshold_decides_at_or_above(toy: tuple[Path, pd.DataFrame], fo: Any) -> None:
    heatmaps.save_threshold("toy", "padim", 0.9)
    assert dataset.load("toy").count_values("predicted.label") == {"anomalous": 2, "normal": 6}
    heatmaps.save_threshold("toy", "padim", {"weave": 0.5})
    heatmaps.save_threshold("toy", "padim", {"another": 0.5})
    assert dataset.load("toy").count_values("predicted.label") == {None: 8}
    heatmaps.save_threshold("toy", "padim", {"weave": 0.5})


def test_views_hold_what_their_names_say(toy: tuple[Path, pd.DataFrame]) -> None:
    names = appearance.arrange("toy")
    assert appearance.arrange("toy") == names
    ours = dataset.load("toy")
    assert ours.load_saved_view("missed defects").values("relative_path") == ["stain-05.png", "stain-07.png"]
    assert len(ours.load_saved_view("false alarms")) == 0
    assert ours.load_saved_view("highest scores").first().padim_score == 0.9
    assert len(ours.load_saved_view("category: weave")) == 8
    assert ours.list_saved_views() == names


def test_the_map_is_active_and_every_field_is_in_one_sidebar_group(toy: tuple[Path, pd.DataFrame]) -> None:
    appearance.arrange("toy")
    ours = dataset.load("toy")
    assert {"padim_map", "padim_score"} <= set(ours.app_config.active_fields.paths)
    listed = [path for group in ours.app_config.sidebar_groups for path in group.paths]
    assert sorted(listed) == sorted(ours.get_field_schema())


def test_findings_are_set_on_every_file_concerned_and_cleared_again(toy: tuple[Path, pd.DataFrame]) -> None:
    double = {"code": "exact_duplicates", "relative_path": "good-00.png", "related": ["good-01.png"]}
    ids = dict(zip(toy[1]["relative_path"], toy[1]["sample_id"], strict=True))
    assert dataset.save_findings("toy", pd.DataFrame([double]), ids) == 2
    assert dataset.load("toy").count_values("findings") == {"exact_duplicates": 2}
    assert dataset.save_findings("toy", pd.DataFrame([], columns=list(double)), ids) == 0
    assert dataset.load("toy").count_values("findings") == {}


def test_vanished_rows_are_told_and_removed_only_when_asked(workspace_db: Database) -> None:
    dataset.save_samples("shrinking", many(5))
    saved = dataset.save_samples("shrinking", many(3))
    assert set(saved.vanished) == {sample_id("00003"), sample_id("00004")}
    assert dataset.count("shrinking") == 5
    assert dataset.save_samples("shrinking", many(3), remove_vanished=True).removed
    assert dataset.count("shrinking") == 3


def test_a_name_like_another_is_refused_with_the_reason(workspace_db: Database) -> None:
    dataset.save_samples("Taken", many(1))
    with pytest.raises(CurateError, match="share one address"):
        dataset.save_samples("taken", many(1))


def test_a_missing_dataset_lists_those_there_are(toy: tuple[Path, pd.DataFrame]) -> None:
    with pytest.raises(Missing, match="toy"):
        dataset.load("absent")


def test_what_people_sort_and_filter_by_is_indexed(toy: tuple[Path, pd.DataFrame]) -> None:
    indexes = dataset.load("toy").get_index_information()
    assert indexes["sample_id"]["unique"]
    assert {"padim_score", "label", "category", "assigned_split", "verdict", "predicted.label"} <= set(
        indexes
    )


def test_marks_survive_and_allow_dots_in_names(toy: tuple[Path, pd.DataFrame]) -> None:
    marks.write("toy", "detector patchcore-0.1", "abc")
    assert marks.read("toy")["detector patchcore-0.1"] == "abc"
    assert marks.read("absent") == {}


def test_more_samples_than_a_batch_are_all_stored(workspace_db: Database) -> None:
    told: list[int] = []
    dataset.save_samples("many", many(1))
    saved = dataset.save_samples("many", many(2500), progress=told.append)
    assert (saved.n_new, saved.n_known) == (2499, 1)
    assert sum(told) == dataset.count("many") == 2500
