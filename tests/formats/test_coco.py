"""The COCO reader on a hand-checked tree, on what other tools write, and on what goes wrong."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.faults import Fault
from curate.formats.coco import detect
from curate.ground_truth import decode_runs, draw
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "coco"
BOX = [4, 5, 12, 8]
SQUARE = [4, 5, 16, 5, 16, 13, 4, 13]


def image(root: Path, *names: str) -> None:
    """Grey images of 64 x 48 px."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / name)


def entry(key: object, name: object, **more: object) -> dict[str, object]:
    return {"id": key, "file_name": name, **more}


def drawn(image_id: object, **more: object) -> dict[str, object]:
    return {"image_id": image_id, "category_id": 1, **more}


def one_file(
    root: Path, images: list[Any], annotations: list[Any], path: str = "result.json", **more: object
) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """What is read from a JSON with these lists and the category 1, scratch."""
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "scratch"}],
        **more,
    }
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps(content).replace("Infinity", "1e999"), encoding="utf-8")
    return read("coco", root)


def messages(faults: list[Fault], code: str) -> list[str]:
    return [fault.message for fault in faults if fault.code == code]


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
    rows, faults = one_file(
        tmp_path, [entry(1, file_name)], [drawn(1, id=1, segmentation=[SQUARE])], json_path
    )
    assert detect(tmp_path) == []
    assert faults == []
    assert rows[stored]["label"] == "anomalous" and rows[stored]["split"] == split


def test_equal_names_in_two_folders_stay_apart(tmp_path: Path) -> None:
    image(tmp_path, "images/train/a.png", "images/val/a.png", "images/a.png")
    one_file(tmp_path, [entry(1, "a.png")], [drawn(1, bbox=BOX)], "annotations/instances_train.json")
    rows, _ = one_file(tmp_path, [entry(1, "a.png")], [], "annotations/instances_val.json")
    assert column(rows, "label") == {
        "images/train/a.png": "anomalous",
        "images/val/a.png": "unknown",
        "images/a.png": "unknown",
    }


def test_text_may_be_an_id_but_bools_and_fractions_may_not(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png", "c.png")
    images = [entry("x", "a.png"), entry(True, "b.png"), entry(1.5, "c.png")]
    rows, faults = one_file(
        tmp_path, images, [drawn("x", bbox=BOX), drawn(True, bbox=BOX), drawn(1, bbox=BOX)]
    )
    assert column(rows, "label") == {"a.png": "anomalous", "b.png": "unknown", "c.png": "unknown"}
    assert messages(faults, "bad_annotation") == [
        "result.json, annotations[1]: its image_id True does not exist; it is left out.",
        "result.json, annotations[2]: its image_id 1 does not exist; it is left out.",
        "result.json, images[1]: has no id that is a number or text; it is left out.",
        "result.json, images[2]: has no id that is a number or text; it is left out.",
    ]


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ({"segmentation": [[1, 2, 9, 2, 9]]}, "is not a list of points x, y"),
        ({"segmentation": [[1, 2, 9, 2]]}, "has 2 points, expected 3 or more"),
        ({"segmentation": [[1, 2, 9, 2, 9, 1e999]]}, "is not a list of points x, y"),
        ({"segmentation": [[1, 2, 9, True, 9, 8]]}, "is not a list of points x, y"),
        ({"segmentation": [[*SQUARE[:-1], 52]]}, "leaves the image of 64 x 48 px"),
        ({"segmentation": "4 5 6"}, "its segmentation is neither polygons nor run lengths"),
        (
            {"segmentation": {"size": [64, 48], "counts": [3072]}},
            "its run lengths are for 48 x 64 px, not 64 x 48",
        ),
        (
            {"segmentation": {"counts": [9, 1 << 70]}},
            f"has runs over {9 + (1 << 70)} pixels, but the image has 3072",
        ),
        ({"segmentation": {"counts": [3072]}}, "marks no pixel"),
        ({"segmentation": {"counts": [-1, 3073]}}, "has run lengths that are not a list of whole numbers"),
        ({"segmentation": {"counts": "\u00ff"}}, "has run lengths that are not COCO's compressed text"),
        ({"segmentation": {"counts": "oooooooooo"}}, "has run lengths that are not COCO's compressed text"),
        ({"segmentation": {}}, "has run lengths that are not a list of whole numbers"),
        ({}, "has neither a segmentation nor a bbox x, y, width, height"),
        ({"bbox": [1, 2, "3", 4]}, "has neither a segmentation nor a bbox x, y, width, height"),
        ({"bbox": [1, 2, 3, 10**400]}, "has neither a segmentation nor a bbox x, y, width, height"),
        ({"bbox": [60, 2, 9, 4]}, "leaves the image of 64 x 48 px (60 2 69 6)"),
        ({"bbox": [9, 9, 0, 4]}, "is empty (9 9 9 13)"),
        ({"bbox": BOX, "category_id": 9}, "its category_id 9 does not exist"),
        ({"bbox": BOX, "category_id": [1]}, "its category_id [1] does not exist"),
    ],
)
def test_what_cannot_be_used_is_named_and_the_image_stays_anomalous(
    tmp_path: Path, annotation: dict[str, object], problem: str
) -> None:
    image(tmp_path, "a.png")
    rows, faults = one_file(tmp_path, [entry(1, "a.png", width=64, height=48)], [drawn(1, **annotation)])
    assert messages(faults, "bad_annotation") == [f"result.json, annotations[0]: {problem}; it is left out."]
    assert rows["a.png"]["label"] == "anomalous"
    assert rows["a.png"]["shapes"] is rows["a.png"]["boxes"] is None


def test_a_bad_polygon_does_not_take_the_good_one_with_it(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    rows, faults = one_file(tmp_path, [entry(1, "a.png")], [drawn(1, segmentation=[[1, 2], SQUARE])])
    assert [shape["points_xy"] for shape in rows["a.png"]["shapes"]] == [SQUARE]
    assert len(messages(faults, "bad_annotation")) == 1


def test_an_image_of_another_size_keeps_its_label_but_not_the_outlines(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png")
    image(tmp_path, "c.png")
    images = [
        entry(1, "a.png", width=128, height=96),
        entry(2, "b.png", width=0, height=None),
        entry(3, "c.png", width=10**400, height="48"),
    ]
    rows, faults = one_file(tmp_path, images, [drawn(k, bbox=BOX) for k in (1, 2, 3)])
    assert messages(faults, "image_size") == [
        "result.json is made for an image of 128 x 96 px, but a.png has 64 x 48 px; "
        "what it says of this image is not used."
    ]
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["boxes"] is None
    assert rows["b.png"]["boxes"] is not None


def test_ids_given_twice_are_reported_and_such_images_are_unknown(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png", "c.png")
    images = [entry(1, "a.png"), entry(1, "b.png"), entry(3, "c.png"), entry(4, "c.png")]
    annotations = [drawn(1, id=7, bbox=BOX), drawn(3, id=8, bbox=BOX), drawn(4, id=8, bbox=BOX)]
    rows, faults = one_file(tmp_path, images, annotations)
    assert column(rows, "label") == {"a.png": "unknown", "b.png": "unknown", "c.png": "anomalous"}
    assert len(rows["c.png"]["boxes"]) == 1
    assert ("named_twice", "c.png") in codes(faults)
    assert messages(faults, "duplicate_ids") == [
        "result.json gives 1 annotation ids more than once, the first is 8."
    ]
    assert messages(faults, "bad_annotation") == [
        "result.json, images: the id 1 is given to a.png and b.png, so what is annotated for it is not "
        "certain; it is left out."
    ]


def test_categories_without_name_or_with_an_id_twice_are_reported(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    categories = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": " "}, "x"]
    rows, faults = one_file(tmp_path, [entry(1, "a.png")], [drawn(1, bbox=BOX)], categories=categories)
    assert rows["a.png"]["defect_types"] == ["a"]
    assert len(messages(faults, "bad_annotation")) == 3


def test_paths_out_of_the_dataset_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    image(root, "a.png")
    image(tmp_path, "b.png")
    names = ["../b.png", "/etc/passwd", "C:\\b.png", "none.png", "", None, "a.png\x00"]
    rows, faults = one_file(root, [entry(n, name) for n, name in enumerate(names)], [])
    assert list(rows) == ["a.png"]
    assert len(messages(faults, "path_outside")) == 3
    assert len(messages(faults, "missing_image")) == 4


def test_an_image_said_to_be_good_with_a_defect_is_anomalous_and_reported(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    categories = [{"id": 1, "name": "scratch"}, {"id": 2, "name": "Good"}]
    annotations = [drawn(1, bbox=BOX), drawn(1, category_id=2, bbox=BOX)]
    rows, faults = one_file(tmp_path, [entry(1, "a.png")], annotations, categories=categories)
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["defect_types"] == ["scratch"]
    assert codes(faults) == [("label_conflict", "a.png")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"images": [NaN], "annotations": []}', "NaN is not a JSON number"),
        (b'{"images": [], "annotations": [], "x": "\\ud800"}', "half a surrogate pair"),
        ('{"images": [], "x": "é"}'.encode("latin-1"), "is not UTF-8 text"),
        (b'{"images": [' + b"9" * 5000 + b'], "annotations": []}', "is not JSON"),
        (b"", "is not JSON"),
    ],
)
def test_a_file_that_is_no_json_is_reported(tmp_path: Path, content: bytes, problem: str) -> None:
    root = copied("coco", tmp_path)
    (root / "more.json").write_bytes(content)
    rows, faults = read("coco", root)
    assert len(rows) == 7
    (message,) = messages(faults, "bad_annotation_file")
    assert message.startswith("more.json ") and problem in message


def test_a_byte_order_mark_and_entries_that_are_no_objects_do_no_harm(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    one_file(
        tmp_path, [entry(1, "a.png"), 3, None], [drawn(1, bbox=BOX), [], "x"], info=3, licenses={"id": 1}
    )
    path = tmp_path / "result.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    rows, faults = read("coco", tmp_path)
    assert rows["a.png"]["label"] == "anomalous"
    assert len(messages(faults, "bad_annotation")) == 4


def test_a_pipe_named_like_an_annotation_file_does_not_block(tmp_path: Path) -> None:
    root = copied("coco", tmp_path)
    os.mkfifo(root / "more.json")
    assert detect(root) == []
    _, faults = read("coco", root)
    assert "more.json" in [fault.relative_path for fault in faults]


def test_detect_looks_at_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (tmp_path / f"{number:03d}.json").write_text("{}")
    opened = []
    plain = Path.open

    def noted(path: Path, mode: str) -> Any:
        opened.append(path)
        return plain(path, mode)

    monkeypatch.setattr(Path, "open", noted)
    assert detect(tmp_path) == ["no .json file with the lists images, annotations, categories"]
    assert 0 < len(opened) <= 60


def test_the_masks_that_follow_are_those_drawn(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    rows, _ = one_file(tmp_path, [entry(1, "a.png")], [drawn(1, segmentation=[SQUARE])])
    mask = np.zeros((48, 64), bool)
    for shape in rows["a.png"]["shapes"]:
        draw(shape, mask)
    assert np.argwhere(mask).min(axis=0).tolist() == [5, 4]
    assert mask.sum() == 8 * 12


def test_without_annotation_a_folder_called_ok_or_ng_tells_the_label(tmp_path: Path) -> None:
    image(tmp_path, "OK/a.png", "NG/b.png", "NG/c.png", "OK/d.png", "new/e.png")
    one_file(tmp_path, [entry(1, "NG/b.png"), entry(2, "OK/d.png")], [drawn(1, bbox=BOX), drawn(2, bbox=BOX)])
    rows, faults = read("coco", tmp_path)
    assert column(rows, "label") == {
        "OK/a.png": "normal",
        "NG/b.png": "anomalous",
        "NG/c.png": "anomalous",
        "OK/d.png": "anomalous",
        "new/e.png": "unknown",
    }
    assert codes(faults) == [("unlisted", ""), ("label_conflict", "OK/d.png")]
