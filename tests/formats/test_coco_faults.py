"""What goes wrong with COCO files: ids, coordinates, sizes, paths, and files that are no JSON."""

import os
from pathlib import Path
from typing import Any

import pytest

from curate.formats.coco import detect
from tests.helpers.annotated import drawn, entry, image, messages, one_coco_file
from tests.helpers.golden import codes, column, copied, read

BOX = [4, 5, 12, 8]
SQUARE = [4, 5, 16, 5, 16, 13, 4, 13]


def test_text_may_be_an_id_but_bools_and_fractions_may_not(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png", "c.png")
    images = [entry("x", "a.png"), entry(True, "b.png"), entry(1.5, "c.png")]
    rows, faults = one_coco_file(
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
    rows, faults = one_coco_file(tmp_path, [entry(1, "a.png", width=64, height=48)], [drawn(1, **annotation)])
    assert messages(faults, "bad_annotation") == [f"result.json, annotations[0]: {problem}; it is left out."]
    assert rows["a.png"]["label"] == "anomalous"
    assert rows["a.png"]["shapes"] is rows["a.png"]["boxes"] is None


def test_a_bad_polygon_does_not_take_the_good_one_with_it(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    rows, faults = one_coco_file(tmp_path, [entry(1, "a.png")], [drawn(1, segmentation=[[1, 2], SQUARE])])
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
    rows, faults = one_coco_file(tmp_path, images, [drawn(k, bbox=BOX) for k in (1, 2, 3)])
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
    rows, faults = one_coco_file(tmp_path, images, annotations)
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
    rows, faults = one_coco_file(tmp_path, [entry(1, "a.png")], [drawn(1, bbox=BOX)], categories=categories)
    assert rows["a.png"]["defect_types"] == ["a"]
    assert len(messages(faults, "bad_annotation")) == 3


def test_paths_out_of_the_dataset_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    image(root, "a.png")
    image(tmp_path, "b.png")
    names = ["../b.png", "/etc/passwd", "C:\\b.png", "none.png", "", None, "a.png\x00"]
    rows, faults = one_coco_file(root, [entry(n, name) for n, name in enumerate(names)], [])
    assert list(rows) == ["a.png"]
    assert len(messages(faults, "path_outside")) == 3
    assert len(messages(faults, "missing_image")) == 4


def test_an_image_said_to_be_good_with_a_defect_is_anomalous_and_reported(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    categories = [{"id": 1, "name": "scratch"}, {"id": 2, "name": "Good"}]
    annotations = [drawn(1, bbox=BOX), drawn(1, category_id=2, bbox=BOX)]
    rows, faults = one_coco_file(tmp_path, [entry(1, "a.png")], annotations, categories=categories)
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
    one_coco_file(
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
