"""The PASCAL VOC reader on a hand-checked tree, on what other tools write, and on what goes wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import ground_truth
from curate.formats.voc import detect
from curate.ingest import build_table, write_masks
from curate.masks import read_mask
from tests.helpers.annotated import image, messages
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "voc"
IMAGES = "VOCdevkit/VOC2012/JPEGImages"
BASE = "VOCdevkit/VOC2012"
CORNERS = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
OBJECT = f"<object><name>{{}}</name><bndbox>{CORNERS}</bndbox></object>"


def xml(path: Path, inner: str = "", filename: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{filename}</filename>{inner}</annotation>", encoding="utf-8")


def mask(path: Path, values: np.ndarray, palette: bool = True) -> None:
    """A mask file; as a palette image whose colours are brighter than its indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(np.uint8))
    if palette:
        picture.putpalette([0, 0, 0] + [200, 180, 160] * 255)
    picture.save(path)


def test_labels_boxes_and_splits_of_the_golden_tree() -> None:
    rows, faults = read("voc", ROOT)
    assert column(rows, "label") == {
        f"{IMAGES}/2007_000027.jpg": "anomalous",
        f"{IMAGES}/2007_000032.jpg": "anomalous",
        f"{IMAGES}/2007_000033.jpg": "normal",  # an XML file without objects
        f"{IMAGES}/2007_000039.jpg": "normal",  # an empty mask
        f"{IMAGES}/2007_000042.jpg": "unknown",
    }
    assert rows[f"{IMAGES}/2007_000027.jpg"]["boxes"] == [
        {"box_xyxy": [4, 5, 20, 16], "defect_type": "scratch"},
        {"box_xyxy": [0, 0, 64, 48], "defect_type": "stain"},
    ]
    assert [row["split"] for row in rows.values()] == ["train", "val", "train", "train", None]
    assert codes(faults) == [("unannotated", "")]


def test_a_mask_is_read_by_its_palette_indices_without_the_void_border() -> None:
    rows, _ = read("voc", ROOT)
    row = rows[f"{IMAGES}/2007_000032.jpg"]
    assert row["mask_kind"] == "classes" and row["mask_rule"] == "1..254"
    assert row["mask_classes"] == [
        {"value": 1, "defect_type": "scratch", "area_px": 12},
        {"value": 2, "defect_type": "stain", "area_px": 60},
    ]
    assert row["defect_types"] == ["scratch", "stain"]
    assert row["boxes"] is None  # it only bounds what the mask says better
    truth = ground_truth.read(row | {"height": 48, "width": 64})
    expected = np.zeros((48, 64), bool)
    expected[9:15, 11:21] = expected[40:43, 3:7] = True
    np.testing.assert_array_equal(truth.mask, expected)


def test_ingest_writes_the_mask_without_the_void_border(tmp_path: Path) -> None:
    table, _ = build_table(ROOT)
    assert write_masks(table, tmp_path) == []
    (written,) = tmp_path.glob("*.png")
    sample = table[table["mask_kind"] == "classes"].iloc[0]
    assert written.stem == sample["sample_id"]
    assert read_mask(written).sum() == 12 + 60


@pytest.mark.parametrize(
    ("image_path", "xml_path"),
    [
        ("train/a.jpg", "train/a.xml"),  # Roboflow, LabelImg
        ("data/a.jpg", "labels/a.xml"),  # FiftyOne
        ("images/x/a.JPG", "annotations/x/a.xml"),
        ("JPEGImages/a.jpg", "Annotations/a.XML"),
        ("a.jpg", "xml/a.xml"),
    ],
)
def test_the_usual_layouts(tmp_path: Path, image_path: str, xml_path: str) -> None:
    image(tmp_path, image_path)
    xml(tmp_path / xml_path, OBJECT.format("dent", 1, 2, 10, 20))
    assert detect(tmp_path) == []
    rows, faults = read("voc", tmp_path)
    assert faults == []
    assert rows[image_path]["boxes"] == [{"box_xyxy": [0, 1, 10, 20], "defect_type": "dent"}]
    assert rows[image_path]["split"] == ("train" if "train" in image_path else None)


def test_a_tool_that_counts_from_0_is_found_out_and_can_be_told(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    xml(tmp_path / "a.xml", OBJECT.format("dent", "0", "4.0", "10.5", "20"))
    rows, faults = read("voc", tmp_path)
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["boxes"] is None
    (fault,) = faults
    assert "object 1: leaves the image of 64 x 48 px (-1 3 10.5 20)" in fault.message
    assert "first_pixel = 0" in fault.remedy
    rows, faults = read("voc", tmp_path, first_pixel=0)
    assert rows["a.png"]["boxes"] == [{"box_xyxy": [0, 4, 10.5, 20], "defect_type": "dent"}]
    assert faults == []
    with pytest.raises(ValueError, match=r"first_pixel is 2\. Expected 1 or 0"):
        read("voc", tmp_path, first_pixel=2)


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        (OBJECT.format("dent", 1, 2, "x", 4), "has no bndbox with the numbers xmin, ymin, xmax and ymax"),
        (OBJECT.format("dent", 1, 2, "1e999", 4), "has no bndbox with the numbers"),
        (OBJECT.format("dent", 1, 2, "9" * 5000, 4), "has no bndbox with the numbers"),
        (OBJECT.format("dent", 9, 2, 8, 4), "is empty (8 1 8 4)"),
        (OBJECT.format("dent", 1, 2, 65, 4), "leaves the image of 64 x 48 px (0 1 65 4)"),
        (OBJECT.format(" ", 1, 2, 9, 9), "has no name"),
        ("<object/>", "has no name"),
        ("<object><name>dent</name><part><bndbox/></part></object>", "has no bndbox"),
    ],
)
def test_a_wrong_object_is_named_and_the_image_stays_anomalous(
    tmp_path: Path, inner: str, problem: str
) -> None:
    image(tmp_path, "a.png")
    xml(tmp_path / "a.xml", inner)
    rows, faults = read("voc", tmp_path)
    (message,) = messages(faults, "bad_annotation")
    assert message.startswith("a.xml, object 1: ") and problem in message
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["boxes"] is None


def test_an_object_called_good_makes_the_image_normal(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    xml(tmp_path / "a.xml", OBJECT.format("OK", 1, 1, 64, 48))
    rows, _ = read("voc", tmp_path)
    assert rows["a.png"]["label"] == "normal" and rows["a.png"]["defect_types"] == []


def test_a_stated_size_that_is_not_the_images_takes_the_boxes(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "b.png")
    for name, width in (("a", 640), ("b", 0)):
        size = f"<size><width>{width}</width><height>48</height></size>"
        xml(tmp_path / f"{name}.xml", size + OBJECT.format("dent", 1, 1, 9, 9))
    rows, faults = read("voc", tmp_path)
    assert codes(faults) == [("image_size", "a.png")]
    assert rows["a.png"]["label"] == "anomalous" and rows["a.png"]["boxes"] is None
    assert rows["b.png"]["boxes"] is not None


def test_without_an_image_of_its_name_the_filename_counts(tmp_path: Path) -> None:
    image(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    xml(tmp_path / "labels/0001.xml", OBJECT.format("dent", 1, 1, 9, 9), filename="a.png")
    xml(tmp_path / "labels/b.xml", OBJECT.format("dent", 1, 1, 9, 9), filename="c.png")
    xml(tmp_path / "labels/gone.xml", filename="../../gone.png")
    rows, faults = read("voc", tmp_path)
    assert column(rows, "label") == {
        "images/a.png": "anomalous",
        "images/b.png": "anomalous",
        "images/c.png": "unknown",
    }
    assert ("other_filename", "labels/b.xml") in codes(faults)
    assert ("path_outside", "labels/gone.xml") in codes(faults)


def test_of_two_images_with_one_stem_the_filename_decides(tmp_path: Path) -> None:
    image(tmp_path, "a.png", "a.jpg", "b.png", "b.jpg")
    xml(tmp_path / "a.xml", OBJECT.format("dent", 1, 1, 9, 9), filename="a.jpg")
    xml(tmp_path / "b.xml", OBJECT.format("dent", 1, 1, 9, 9), filename="b.gif")
    rows, faults = read("voc", tmp_path, unannotated="normal")
    assert column(rows, "label") == {
        "a.jpg": "anomalous",
        "a.png": "normal",
        "b.jpg": "unknown",
        "b.png": "unknown",
    }
    assert codes(faults) == [("ambiguous_image", "b.xml")]


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
        "<annotation><object>",
        "<annotation>&#xD800;</annotation>",
        "",
    ],
)
def test_an_xml_file_that_cannot_be_read_leaves_its_image_unknown(tmp_path: Path, content: str) -> None:
    root = copied("voc", tmp_path)
    (root / BASE / "Annotations/2007_000027.xml").write_text(content)
    rows, faults = read("voc", root, unannotated="normal")
    assert rows[f"{IMAGES}/2007_000027.jpg"]["label"] == "unknown"
    assert codes(faults) == [("bad_annotation_file", f"{BASE}/Annotations/2007_000027.xml")]


def test_deep_xml_does_not_break_the_reader(tmp_path: Path) -> None:
    image(tmp_path, "a.png")
    (tmp_path / "a.xml").write_text("<annotation>" + "<a>" * 50_000 + "</a>" * 50_000 + "</annotation>")
    rows, _ = read("voc", tmp_path)
    assert rows["a.png"]["label"] == "normal"


def test_another_xml_file_is_not_taken_for_an_annotation(tmp_path: Path) -> None:
    root = copied("voc", tmp_path)
    (root / "project.xml").write_text("<project/>")
    image(root, "project.png")
    rows, faults = read("voc", root, unannotated="normal")
    assert rows["project.png"]["label"] == "unknown"
    assert messages(faults, "unused_annotations") == [
        "project.xml holds <project>, expected <annotation>; it is not read."
    ]


def test_a_mask_of_0_and_255_is_no_silent_normal(tmp_path: Path) -> None:
    image(tmp_path, "JPEGImages/a.jpg")
    values = np.zeros((48, 64))
    values[3:9, 5:20] = 255
    mask(tmp_path / "SegmentationClass/a.png", values)
    rows, faults = read("voc", tmp_path)
    assert rows["JPEGImages/a.jpg"]["label"] == "unknown"
    assert codes(faults) == [("only_void", "JPEGImages/a.jpg")]


def test_colour_masks_count_wherever_they_are_not_black(tmp_path: Path) -> None:
    image(tmp_path, "JPEGImages/a.jpg")
    values = np.zeros((48, 64, 3))
    values[3:9, 5:20] = (0, 128, 0)
    mask(tmp_path / "SegmentationClass/a.png", values, palette=False)
    assert detect(tmp_path) == []
    rows, faults = read("voc", tmp_path)
    row = rows["JPEGImages/a.jpg"]
    assert (row["label"], row["mask_kind"], row["mask_rule"]) == ("anomalous", "binary", "> 0")
    assert ground_truth.read(row | {"height": 48, "width": 64}).mask.sum() == 6 * 15
    assert codes(faults) == [("colour_masks", "")]


def test_masks_that_cannot_be_used_are_reported(tmp_path: Path) -> None:
    root = copied("voc", tmp_path)
    folder = root / BASE / "SegmentationClass"
    mask(folder / "2007_000032.png", np.ones((64, 48)))
    (folder / "2007_000039.png").write_bytes(b"no picture")
    mask(folder / "gone.png", np.ones((48, 64)))
    mask(folder / "2007_000027.png", np.zeros((48, 64)))
    mask(root / BASE / "SegmentationObject/2007_000033.png", np.ones((48, 64)))
    rows, faults = read("voc", root)
    assert set(codes(faults)) == {
        ("unannotated", ""),
        ("mask_size", f"{IMAGES}/2007_000032.jpg"),
        ("unreadable_mask", f"{IMAGES}/2007_000039.jpg"),
        ("orphan_mask", f"{BASE}/SegmentationClass/gone.png"),
        ("empty_mask", f"{IMAGES}/2007_000027.jpg"),
        ("unused_mask", f"{BASE}/SegmentationObject/2007_000033.png"),
    }
    assert rows[f"{IMAGES}/2007_000032.jpg"]["boxes"] is not None  # the mask did not replace it
    assert rows[f"{IMAGES}/2007_000039.jpg"]["label"] == "unknown"
    assert all(row["gt_mask_path"] is None for row in rows.values())


def test_lists_with_flags_suffixes_and_what_they_lack(tmp_path: Path) -> None:
    root = copied("voc", tmp_path)
    lists = root / BASE / "ImageSets/Main"
    (lists / "train.txt").write_text("2007_000027  1\n2007_000033.jpg\n2007_000042\n\n")
    (lists / "val.txt").write_text("2007_000032\n2007_000042\n../../../etc/passwd\n")
    rows, faults = read("voc", root)
    assert rows[f"{IMAGES}/2007_000027.jpg"]["split"] == "train"
    assert rows[f"{IMAGES}/2007_000033.jpg"]["split"] == "train"
    assert rows[f"{IMAGES}/2007_000042.jpg"]["split"] is None
    assert ("split_conflict", f"{IMAGES}/2007_000042.jpg") in codes(faults)
    assert messages(faults, "listed_but_absent") == [
        f"{BASE}/ImageSets/Main/val.txt names 1 images that are not here, the first is ../../../etc/passwd."
    ]
