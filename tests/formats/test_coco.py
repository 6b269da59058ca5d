"""The COCO reader on a hand-checked tree, and on what other tools write."""

from pathlib import Path

import numpy as np
import pytest

from curate.formats.coco import detect
from curate.ground_truth import decode_runs, draw
from tests.helpers.annotated import drawn, entry, image, one_coco_file
from tests.helpers.golden import GOLDEN, codes, column, read

ROOT = GOLDEN / "coco"
BOX = [4, 5, 12, 8]
SQUARE = [4, 5, 16, 5, 16, 13, 4, 13]


def test_labels_types_and_splits_of_the_golden_tree() -> None:
    rows, faults = read("coco", ROOT)
    assert column(rows, "label") == {
        "spare/x.png": "unknown",
        "train2017/000001.jpg": "anomalous",
        "train2017/000002.jpg": "anomalous",
        "train2017/000003.jpg": "normal",
        "train2017/line 2/000001.jpg": "unknown",
        "val2017/000001.JPG": "anomalous",
        "val2017/000009.jpg": "unknown",
    }
    assert rows["train2017/000001.jpg"]["defect_types"] == ["scratch", "stain"]
    assert rows["train2017/000003.jpg"]["split"] == "train"
    assert rows["val2017/000009.jpg"]["split"] == "val"
    assert rows["spare/x.png"]["split"] is None
    assert {row["category"] for row in rows.values()} == {"coco"}
    assert codes(faults) == [
        ("unannotated", ""),
        ("unlisted", ""),
        ("unused_annotations", "annotations/captions_train2017.json"),
    ]
    assert 'unannotated = "normal"' in faults[0].remedy
    assert faults[0].message.startswith("2 of 7 images have no annotation")


def test_an_object_may_have_several_polygons_and_run_lengths_in_either_form() -> None:
    rows, _ = read("coco", ROOT)
    first = rows["train2017/000001.jpg"]
    polygons = [shape["points_xy"] for shape in first["shapes"] if shape["kind"] == "polygon"]
    assert polygons == [[4, 5, 16, 5, 16, 9, 4, 9], [6.5, 11, 12, 11, 9, 13]]
    assert first["boxes"] is None  # they only bound the outlines
    plain, packed = first["shapes"][-1], rows["train2017/000002.jpg"]["shapes"][0]
    assert plain["counts"] == packed["counts"] == [970, 4, 44, 4, 44, 4, 2002]
    expected = np.zeros((48, 64), bool)
    expected[10:14, 20:23] = True
    np.testing.assert_array_equal(decode_runs(packed["counts"], (48, 64)), expected)


def test_a_box_alone_is_a_box_and_its_rounding_is_cut_off() -> None:
    rows, _ = read("coco", ROOT)
    assert rows["train2017/000002.jpg"]["boxes"] == [
        {"box_xyxy": [50.01, 30.0, 64.0, 35.0], "defect_type": "scratch"}
    ]


def test_licence_and_info_are_kept() -> None:
    rows, _ = read("coco", ROOT)
    row = rows["train2017/000003.jpg"]
    assert row["licence"] == "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
    assert row["citation"] == "Line 3, Weave, 2024"


def test_the_option_makes_listed_images_normal_but_never_those_that_no_file_names() -> None:
    rows, faults = read("coco", ROOT, unannotated="normal", category="weave")
    assert rows["val2017/000009.jpg"]["label"] == "normal"
    assert rows["spare/x.png"]["label"] == "unknown"
    assert rows["spare/x.png"]["category"] == "weave"
    assert "unannotated" not in [fault.code for fault in faults]
    with pytest.raises(ValueError, match=r'unannotated is "good"\. Expected unknown or normal'):
        read("coco", ROOT, unannotated="good")


@pytest.mark.parametrize(
    ("json_path", "file_name", "stored", "split"),
    [
        ("train/_annotations.coco.json", "a.rf.0f.jpg", "train/a.rf.0f.jpg", "train"),  # Roboflow
        ("result.json", "images\\1\\a.png", "images/1/a.png", None),  # Label Studio on Windows
        ("annotations/instances_default.json", "a.png", "images/default/a.png", None),  # CVAT, Datumaro
        ("annotations/instances_val.json", "sub/a.png", "images/val/sub/a.png", "val"),
        ("labels.json", "a.png", "data/a.png", None),  # FiftyOne
        ("json/all.json", "../images/a.png", "images/a.png", None),
        ("all.json", "valid/a.png", "valid/a.png", "val"),
    ],
)
def test_images_are_found_where_the_usual_tools_put_them(
    tmp_path: Path, json_path: str, file_name: str, stored: str, split: str | None
) -> None:
    image(tmp_path, stored)
    rows, faults = one_coco_file(
        tmp_path, [entry(1, file_name)], [drawn(1, id=1, segmentation=[SQUARE])], json_path
    )
    assert detect(tmp_path) == []
    assert faults == []
    assert rows[stored]["label"] == "anomalous" and rows[stored]["split"] == split


def test_equal_names_in_two_folders_stay_apart(tmp_path: Path) -> None:
    image(tmp_path, "images/train/a.png", "images/val/a.png", "images/a.png")
    one_coco_file(tmp_path, [entry(1, "a.png")], [drawn(1, bbox=BOX)], "annotations/instances_train.json")
    rows, _ = one_coco_file(tmp_path, [entry(1, "a.png")], [], "annotations/instances_val.json")
    assert column(rows, "label") == {
        "images/train/a.png": "anomalous",
        "images/val/a.png": "unknown",
        "images/a.png": "unknown",
    }


def test_the_masks_that_follow_are_those_drawn(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    rows, _ = one_coco_file(tmp_path, [entry(1, "a.png")], [drawn(1, segmentation=[SQUARE])])
    mask = np.zeros((48, 64), bool)
    for shape in rows["a.png"]["shapes"]:
        draw(shape, mask)
    assert np.argwhere(mask).min(axis=0).tolist() == [5, 4]
    assert mask.sum() == 8 * 12


def test_without_annotation_a_folder_called_ok_or_ng_tells_the_label(tmp_path: Path) -> None:
    image(tmp_path, "OK/a.png", "NG/b.png", "NG/c.png", "OK/d.png", "new/e.png")
    one_coco_file(
        tmp_path, [entry(1, "NG/b.png"), entry(2, "OK/d.png")], [drawn(1, bbox=BOX), drawn(2, bbox=BOX)]
    )
    rows, faults = read("coco", tmp_path)
    assert column(rows, "label") == {
        "OK/a.png": "normal",
        "NG/b.png": "anomalous",
        "NG/c.png": "anomalous",
        "OK/d.png": "anomalous",
        "new/e.png": "unknown",
    }
    assert codes(faults) == [("unlisted", ""), ("label_conflict", "OK/d.png")]
