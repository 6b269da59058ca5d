"""The labelme reader on a hand-checked tree, and on what goes wrong."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.faults import Fault
from curate.formats.labelme import detect
from curate.ground_truth import decode_runs, draw
from curate.images import encode_png
from tests.helpers.annotated import image, messages
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "labelme"
TRIANGLE = [[4, 5], [16, 5], [16, 9]]


def shape(points: object = TRIANGLE, label: object = "scratch", kind: object = "polygon", **more: Any) -> Any:
    return {"label": label, "points": points, "shape_type": kind, **more}


def saved(root: Path, name: str, shapes: object, **more: object) -> None:
    """A JSON file as labelme writes it."""
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{Path(name).stem}.png",
        **more,
    }
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content), encoding="utf-8")


def one(root: Path, shapes: object, **more: object) -> tuple[dict[str, Any], list[Fault]]:
    """What is read of the image a.png with these shapes."""
    image(root, "a.png")
    saved(root, "a.json", shapes, **more)
    rows, faults = read("labelme", root)
    return rows["a.png"], faults


def packed(mask: np.ndarray) -> str:
    return base64.b64encode(encode_png(mask)).decode()


def test_labels_of_the_golden_tree() -> None:
    rows, faults = read("labelme", ROOT)
    assert column(rows, "label") == {
        "a.png": "anomalous",
        "b.jpg": "normal",  # a JSON without shapes
        "c.JPG": "anomalous",  # by a line, which has no area
        "d.jpg": "unknown",  # no shapes, but the flag good is not ticked
        "e.jpg": "unknown",  # no JSON
        "line 2/images/a.jpg": "normal",  # the flag good is ticked
    }
    assert codes(faults) == [("bad_annotation", "c.json"), ("unannotated", "")]
    assert 'is of the type "line", which has no area' in faults[0].message
    assert faults[1].message.startswith("2 of 6 images have no annotation, the first is d.jpg")


def test_shapes_of_every_kind_with_an_area_are_read() -> None:
    rows, _ = read("labelme", ROOT)
    row = rows["a.png"]
    polygon, circle, runs = row["shapes"]
    assert polygon["points_xy"] == [4.5, 5, 16, 5, 16, 9.25] and polygon["defect_type"] == "scratch"
    assert row["boxes"] == [{"box_xyxy": [20, 12, 30, 20], "defect_type": "stain"}]
    expected = np.zeros((48, 64), bool)
    expected[31:33, 8:12] = True
    np.testing.assert_array_equal(decode_runs(runs["counts"], (48, 64)), expected)
    drawn = np.zeros((48, 64), bool)
    draw(circle, drawn)
    ys, xs = np.mgrid[0:48, 0:64] + 0.5
    distance = np.hypot(xs - 60, ys - 24)  # the centre is 4 px from the right edge, the radius 8
    assert drawn[distance < 7.9].all() and not drawn[distance > 8].any()
    assert row["defect_types"] == ["dent", "scratch", "stain"]


def test_a_folder_of_json_files_beside_the_images_will_do(tmp_path: Path) -> None:
    image(tmp_path, "images/x/a.png", "images/y/a.png")
    saved(tmp_path, "json/x/a.json", [shape()], imagePath="C:\\old\\a.png")
    assert detect(tmp_path) == []
    rows, faults = read("labelme", tmp_path)
    assert column(rows, "label") == {"images/x/a.png": "anomalous", "images/y/a.png": "unknown"}
    assert codes(faults) == [("unannotated", "")]


def test_a_path_to_another_image_than_its_own_is_used_for_neither(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png")
    saved(tmp_path, "a.json", [shape()], imagePath="b.png")
    rows, faults = read("labelme", tmp_path, unannotated="normal")
    assert set(column(rows, "label").values()) == {"unknown"}
    assert messages(faults, "ambiguous_image") == [
        "a.json fits a.png and b.png; it is used for none, and they are unknown."
    ]


def test_the_path_decides_between_images_of_one_stem(tmp_path: Path) -> None:
    image(tmp_path, "a.jpg")
    row, faults = one(tmp_path, [shape()])
    assert row["label"] == "anomalous"
    assert codes(faults) == [("unannotated", "")]


def test_two_files_about_one_image_are_joined_and_reported(tmp_path: Path) -> None:
    saved(tmp_path, "copy.json", [shape(), shape(label="dent")], imagePath="a.png")
    row, faults = one(tmp_path, [shape()])
    assert [entry["defect_type"] for entry in row["shapes"]] == ["scratch", "dent"]
    assert codes(faults) == [("named_twice", "a.png")]


def test_a_picture_only_inside_of_the_json_is_reported(tmp_path: Path) -> None:
    image(tmp_path, "b.png")
    saved(tmp_path, "a.json", [shape()], imageData="iVBORw0KGgo=")
    saved(tmp_path, "c.json", [shape()], imagePath="../../etc/passwd", imageData=None)
    _, faults = read("labelme", tmp_path)
    assert {("embedded_image", "a.json"), ("path_outside", "c.json")} <= set(codes(faults))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (shape([[1, 2], [3, 4]]), "has 2 points, expected 3 or more"),
        (shape([[1, 2], [3, 4], [5]]), "is not a list of points x, y"),
        (shape([[1, 2], [3, True], [5, 6]]), "is not a list of points x, y"),
        (shape([[1, 2], [3, "4"], [5, 6]]), "is not a list of points x, y"),
        (shape([[1, 2], [99, 4], [5, 6]]), "leaves the image of 64 x 48 px"),
        (shape(None), "is not a list of points x, y"),
        (shape([[1, 2]], kind="rectangle"), "is a rectangle without its two points x, y"),
        (shape([[1, 2], [1, 9]], kind="rectangle"), "is empty (1 2 1 9)"),
        (shape([[1, 2], [1, 9], 3], kind="circle"), "is a circle without its two points x, y"),
        (shape([[9, 9], [9, 9]], kind="circle"), "is a circle without a radius"),
        (shape([[-9, 9], [9, 9]], kind="circle"), "its centre outside of the image"),
        (shape([[1, 2]], kind="point"), 'is of the type "point", which has no area'),
        (shape(kind=["polygon"]), "is of the type \"['polygon']\", which has no area"),
        (shape([[1, 2], [70, 9]], kind="mask"), "leaves the image of 64 x 48 px"),
        (shape([[1, 2], [4, 9]], kind="mask", mask=None), "is a mask without its picture"),
        (shape([[1, 2], [4, 9]], kind="mask", mask="%%%"), "has a mask that"),
        (shape([[1, 2], [4, 9]], kind="mask", mask="bm8="), "has a mask that is damaged or not an image"),
        (shape([[1, 2], [4, 9]], kind="mask", mask="é"), "has a mask that"),
        (
            shape([[1, 2], [4, 9]], kind="mask", mask=packed(np.ones((9000, 9000), bool))),
            "has a mask that has 9000 x 9000 px, expected 4 x 8",
        ),
        (shape([[1, 2], [4, 9]], kind="mask", mask=packed(np.zeros((8, 4), bool))), "marks no pixel"),
        (shape(label=7), "has no label"),
        (shape(label=" "), "has no label"),
        ("scratch", "has no label"),
    ],
)
def test_a_wrong_shape_is_named_and_the_image_stays_anomalous(
    tmp_path: Path, entry: object, problem: str
) -> None:
    row, faults = one(tmp_path, [entry])
    (message,) = messages(faults, "bad_annotation")
    assert message.startswith("a.json, shapes[0]: ") and problem in message
    assert row["label"] == "anomalous" and row["shapes"] is row["boxes"] is None


@pytest.mark.parametrize(
    ("flags", "shapes", "label"),
    [
        ({"OK": True}, [], "normal"),
        ({"OK": False}, [], "unknown"),
        ({"ok": "yes"}, [], "unknown"),
        ({"NG": True}, [], "anomalous"),
        ({"ng": False, "blurred": True}, [], "normal"),
        ({"good": False}, [shape()], "anomalous"),
        (["good"], [], "normal"),
        ({}, [shape(label="good")], "normal"),
    ],
)
def test_flags_and_labels_may_say_normal(
    tmp_path: Path, flags: object, shapes: list[object], label: str
) -> None:
    row, _ = one(tmp_path, shapes, flags=flags)
    assert row["label"] == label


def test_a_flag_good_beside_a_defect_is_a_conflict(tmp_path: Path) -> None:
    row, faults = one(tmp_path, [shape()], flags={"good": True})
    assert row["label"] == "anomalous"
    assert messages(faults, "label_conflict") == [
        "a.png is said to be normal, and to have the defects scratch."
    ]


def test_a_picture_of_another_size_keeps_its_label_but_not_the_outlines(tmp_path: Path) -> None:
    row, faults = one(tmp_path, [shape()], imageHeight=64, imageWidth=48)
    assert codes(faults) == [("image_size", "a.png")]
    assert row["label"] == "anomalous" and row["shapes"] is None


@pytest.mark.parametrize(
    "content", [b"{" * 10_000, b'{"shapes": 3, "imagePath": "a.png"}', b"[]", '{"é"'.encode("latin-1"), b""]
)
def test_a_file_that_cannot_be_read_leaves_its_image_unknown(tmp_path: Path, content: bytes) -> None:
    root = copied("labelme", tmp_path)
    (root / "b.json").write_bytes(content)
    rows, faults = read("labelme", root, unannotated="normal")
    assert rows["b.jpg"]["label"] == "unknown"
    assert [path for code, path in codes(faults) if code != "bad_annotation"] == ["b.json"]


def test_an_image_that_cannot_be_read_keeps_its_label(tmp_path: Path) -> None:
    root = copied("labelme", tmp_path)
    (root / "a.png").write_bytes(b"no picture")
    rows, _ = read("labelme", root)
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["shapes"] is None


def test_a_folder_tells_the_split(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "set" / "Valid")
    rows, _ = read("labelme", tmp_path / "set", category="weave")
    assert set(column(rows, "split").values()) == {"val"}
    assert set(column(rows, "category").values()) == {"weave"}


def test_without_annotation_a_folder_called_ok_or_ng_tells_the_label(tmp_path: Path) -> None:
    image(tmp_path, "OK/a.png", "NG/b.png", "NG/c.png", "OK/d.png", "new/e.png")
    saved(tmp_path, "NG/b.json", [shape()])
    saved(tmp_path, "OK/d.json", [shape()])
    rows, faults = read("labelme", tmp_path)
    assert column(rows, "label") == {
        "OK/a.png": "normal",
        "NG/b.png": "anomalous",
        "NG/c.png": "anomalous",
        "OK/d.png": "anomalous",
        "new/e.png": "unknown",
    }
    assert codes(faults) == [("unannotated", ""), ("label_conflict", "OK/d.png")]
