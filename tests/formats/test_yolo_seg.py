"""The YOLO reader on a hand-checked tree, on what other tools write, and on what goes wrong."""

import time
from pathlib import Path
from typing import Any

import pytest

from curate.faults import Fault
from curate.formats.yolo_seg import detect, parse_line
from tests.helpers.annotated import image, messages
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "yolo_seg"
LINE = "0 0.25 0.25 0.5 0.25 0.5 0.5\n"


def files(root: Path, **contents: str) -> None:
    """Text files; two underscores stand for a slash, one at the end for the dot of the suffix txt or yaml."""
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_yaml", ".yaml").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def one_line(root: Path, line: str) -> tuple[dict[str, Any], list[Fault]]:
    """What is read of an image whose text file has this line."""
    image(root, "images/a.png")
    files(root, data_yaml="names: [stain]\n", labels__a_txt=line)
    rows, faults = read("yolo_seg", root)
    return rows["images/a.png"], faults


def test_outlines_boxes_labels_and_splits_of_the_golden_tree() -> None:
    rows, faults = read("yolo_seg", ROOT)
    assert column(rows, "label") == {
        "train/images/a.jpg": "anomalous",
        "train/images/b.jpg": "normal",  # its text file is empty
        "valid/images/a.jpg": "anomalous",
        "valid/images/c.PNG": "normal",  # of the class good
        "valid/images/d.jpg": "unknown",  # no text file
    }
    first = rows["train/images/a.jpg"]
    assert [shape["points_xy"] for shape in first["shapes"]] == [[16, 12, 32, 12, 32, 24, 24, 30]]
    assert first["boxes"] == [{"box_xyxy": [24, 30, 40, 42], "defect_type": "no"}]
    assert first["defect_types"] == ["no", "stain"]  # YAML would make False of no
    assert column(rows, "split") == {path: "val" if "valid" in path else "train" for path in rows}
    assert {row["licence"] for row in rows.values()} == {"CC BY 4.0"}
    assert codes(faults) == [("unannotated", ""), ("listed_but_absent", "data.yaml")]


def test_a_box_that_sticks_out_by_a_rounding_ends_at_the_edge() -> None:
    rows, _ = read("yolo_seg", ROOT)
    (box,) = rows["valid/images/a.jpg"]["boxes"]
    assert box["box_xyxy"] == pytest.approx([54, 12, 64, 36], abs=1e-3)
    assert box["box_xyxy"][2] == 64


def test_the_option_makes_images_without_a_text_file_normal() -> None:
    rows, faults = read("yolo_seg", ROOT, unannotated="normal")
    assert rows["valid/images/d.jpg"]["label"] == "normal"
    assert "unannotated" not in [fault.code for fault in faults]


@pytest.mark.parametrize(
    ("image_path", "labels_path", "settings", "split"),
    [
        (
            "images/train/a.jpg",
            "labels/train/a.txt",
            "path: .\ntrain: images/train\nnames: {0: stain}\n",
            "train",
        ),
        (
            "images/one/a.jpg",
            "labels/one/a.txt",
            "val: [images/two, images/one]\nnames:\n  0: stain\n",
            "val",
        ),
        ("d/images/a.jpg", "d/labels/a.txt", "path: d\ntest: images\nnames: [stain]\n", "test"),
        ("images/a.jpg", "labels/a.txt", "path: /content/d\ntrain: list.txt\nnames: [stain]\n", "train"),
        ("images/images/x/a.JPEG", "images/labels/x/a.txt", "names: [stain]\n", None),
        ("batch/a.jpg", "batch/a.txt", "names: [stain]\n", None),
    ],
)
def test_the_usual_layouts(
    tmp_path: Path, image_path: str, labels_path: str, settings: str, split: str | None
) -> None:
    image(tmp_path, image_path)
    (tmp_path / labels_path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / labels_path).write_text(LINE)
    files(tmp_path, data_yaml=settings)
    if "list" in settings:
        files(tmp_path, list_txt="./images/a.jpg\nimages/none.jpg\n")
    if "two" in settings:
        image(tmp_path, "images/two/b.jpg")
    assert detect(tmp_path) == []
    rows, _ = read("yolo_seg", tmp_path)
    assert rows[image_path]["label"] == "anomalous"
    assert rows[image_path]["defect_types"] == ["stain"]
    assert rows[image_path]["split"] == split


def test_classes_txt_names_the_classes_too(tmp_path: Path) -> None:
    image(tmp_path, "a.jpg")
    files(tmp_path, classes_txt="\ufeffscratch\nstain\n", a_txt="1 0.5 0.5 0.5 0.5\n0.0 .5 5e-1 0.25 0.25")
    assert detect(tmp_path) == []
    rows, faults = read("yolo_seg", tmp_path)
    assert rows["a.jpg"]["defect_types"] == ["scratch", "stain"] and faults == []


def test_a_folder_above_the_dataset_is_not_the_dataset(tmp_path: Path) -> None:
    copied("yolo_seg", tmp_path)
    assert detect(tmp_path / "yolo_seg") == []
    assert "no data.yaml with names, and no classes.txt" in detect(tmp_path)


def test_without_names_numbers_stand_for_them_and_it_is_reported(tmp_path: Path) -> None:
    image(tmp_path, "images/a.jpg")
    files(tmp_path, labels__a_txt="7 0.5 0.5 0.5 0.5")
    assert detect(tmp_path) == ["no data.yaml with names, and no classes.txt"]
    rows, faults = read("yolo_seg", tmp_path)
    assert rows["images/a.jpg"]["defect_types"] == ["class 7"]
    assert codes(faults) == [("no_class_names", "")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.1 0.1 0.5 0.1 0.5", "has 5 numbers after the class, expected 4 (a box) or 6 and more in pairs"),
        ("0 0.1 0.1", "has 2 numbers after the class"),
        ("0", "has 0 numbers after the class"),
        ("1 0.5 0.5 0.2 0.2", "has the class 1, which has no name (known: 0 stain)"),
        ("1.5 0.5 0.5 0.2 0.2", 'begins with "1.5", expected the number of a class'),
        ("-1 0.5 0.5 0.2 0.2", 'begins with "-1", expected the number of a class'),
        ("9" * 5000 + " 0.5 0.5 0.2 0.2", "expected the number of a class"),
        ("stain 0.5 0.5 0.2 0.2", 'begins with "stain"'),
        ("0 0.5 0.5 1e999 0.2", "has values that are not shares"),
        ("0 nan 0.5 0.2 0.2", "has values that are not shares"),
        ("0 0_1 0.5 0.2 0.2", "has values that are not shares"),
        ("0 32 24 10 8", "has values that are not shares"),
        ("0 0.9 0.5 0.4 0.2", "leaves the image of 64 x 48 px"),
        ("0 0.5 0.5 0 0.2", "is empty"),
        ("0 0.5 0.5 1.2 0.2 0.4 0.4", "leaves the image of 64 x 48 px"),
    ],
)
def test_a_wrong_line_is_named_and_the_image_stays_anomalous(tmp_path: Path, line: str, problem: str) -> None:
    row, faults = one_line(tmp_path, f"\n{line}\n")
    (message,) = messages(faults, "bad_annotation")
    assert message.startswith("labels/a.txt, line 2: ") and problem in message
    assert row["label"] == "anomalous" and row["shapes"] is row["boxes"] is None


def test_equal_lines_count_once(tmp_path: Path) -> None:
    row, _ = one_line(tmp_path, LINE * 3)
    assert len(row["shapes"]) == 1


def test_of_key_points_only_the_box_is_taken() -> None:
    line = "0 0.5 0.5 0.25 0.5 0.1 0.1 2 0.3 0.3 2"
    name, box = parse_line(line, {0: "stain"}, (48, 64), keypoints=True)
    assert name == "stain" and isinstance(box, dict) and box["box_xyxy"] == [24, 12, 40, 36]


def test_two_images_with_one_text_file_are_unknown(tmp_path: Path) -> None:
    image(tmp_path, "images/a.jpg", "images/a.png")
    files(tmp_path, data_yaml="names: [stain]", labels__a_txt=LINE)
    rows, faults = read("yolo_seg", tmp_path, unannotated="normal")
    assert set(column(rows, "label").values()) == {"unknown"}
    assert codes(faults) == [("ambiguous_image", "labels/a.txt")]


def test_labels_without_image_and_images_elsewhere_are_reported(tmp_path: Path) -> None:
    root = copied("yolo_seg", tmp_path)
    image(root, "results/curve.png")
    (root / "train/labels/gone.txt").write_text(LINE)
    rows, faults = read("yolo_seg", root)
    assert "results/curve.png" not in rows
    assert {("orphan_labels", "train/labels/gone.txt"), ("unused_image", "results/curve.png")} <= set(
        codes(faults)
    )


def test_a_text_file_that_cannot_be_read_leaves_its_image_unknown(tmp_path: Path) -> None:
    root = copied("yolo_seg", tmp_path)
    (root / "train/labels/a.txt").write_bytes(b"0 0.5 \xe9\n")
    (root / "train/labels/b.txt").write_bytes(b"\xff\xfe0\x00")
    rows, faults = read("yolo_seg", root, unannotated="normal")
    assert rows["train/images/a.jpg"]["label"] == rows["train/images/b.jpg"]["label"] == "unknown"
    assert len(messages(faults, "bad_annotation_file")) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\n", "aliases and deep nesting are not read"),
        ("a: &a {x: 1}\nnames: {<<: *a}\n", "aliases and deep nesting are not read"),
        ("names: " + "[" * 50_000, "aliases and deep nesting are not read"),
        ("names: [a\n", "is not usable YAML"),
        ("- names\n", "does not hold a YAML mapping"),
        ('names: ["\\ud800"]\n', "half a surrogate pair"),
        ("names: [a]\n" + "#" * 300_000, "more than 262144"),
        ("names: [\x00]\n", "is not usable YAML"),
    ],
)
def test_a_yaml_file_that_would_do_harm_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    root = copied("yolo_seg", tmp_path)
    (root / "data.yaml").write_text(content)
    start = time.perf_counter()
    rows, faults = read("yolo_seg", root)
    assert time.perf_counter() - start < 5
    (message,) = messages(faults, "bad_annotation_file")
    assert message.startswith("data.yaml ") and problem in message
    assert rows["train/images/a.jpg"]["defect_types"] == ["class 0", "class 1"]


def test_python_in_yaml_is_text_and_nothing_is_downloaded(tmp_path: Path) -> None:
    root = copied("yolo_seg", tmp_path)
    command = f'["touch {tmp_path}/ran"]'
    (root / "data.yaml").write_text(
        f"names: [no, stain, good]\ndownload: !!python/object/apply:os.system {command}\n"
    )
    rows, _ = read("yolo_seg", root)
    assert rows["train/images/a.jpg"]["defect_types"] == ["no", "stain"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("entry", ["/etc", "../../other", "C:\\data", "images/../../../x", "none"])
def test_splits_outside_of_the_dataset_are_not_followed(tmp_path: Path, entry: str) -> None:
    root = copied("yolo_seg", tmp_path)
    image(tmp_path, "other/a.png")
    (root / "data.yaml").write_text(f"train: '{entry}'\nnames: [no, stain, good]\n")
    rows, faults = read("yolo_seg", root)
    assert len(rows) == 5
    assert messages(faults, "listed_but_absent") == [
        f'data.yaml, train: "{entry}" is nothing inside of the dataset.'
    ]


def test_names_that_are_no_names_are_reported(tmp_path: Path) -> None:
    root = copied("yolo_seg", tmp_path)
    (root / "data.yaml").write_text("names: {0: [a], x: b, '1': stain, " + "9" * 900 + ": c}\n")
    rows, faults = read("yolo_seg", root)
    assert rows["train/images/a.jpg"]["defect_types"] == ["stain"]
    assert any("data.yaml, names: some entries are no names" in m for m in messages(faults, "bad_annotation"))
    assert any("has the class 0, which has no name" in m for m in messages(faults, "bad_annotation"))


def test_without_annotation_a_folder_called_ok_or_ng_tells_the_label(tmp_path: Path) -> None:
    image(tmp_path, "OK/a.png", "NG/b.png", "NG/c.png", "OK/d.png", "new/e.png")
    files(tmp_path, data_yaml="names: [stain]", NG__b_txt=LINE, OK__d_txt=LINE, new__e_txt="")
    rows, faults = read("yolo_seg", tmp_path)
    assert column(rows, "label") == {
        "OK/a.png": "normal",
        "NG/b.png": "anomalous",
        "NG/c.png": "anomalous",
        "OK/d.png": "anomalous",
        "new/e.png": "normal",
    }
    assert codes(faults) == [("label_conflict", "OK/d.png")]
