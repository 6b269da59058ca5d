"""The VisA reader on a hand-checked tree, and on what its CSV files may get wrong."""

from pathlib import Path

import pytest

from curate.formats import visa
from curate.ground_truth import class_map
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "visa"
ANOMALY, NORMAL = "candle/Data/Images/Anomaly", "candle/Data/Images/Normal"
ANNOTATION, SPLIT = "candle/image_anno.csv", "split_csv/1cls.csv"


def edit(path: Path, old: str, new: str) -> None:
    """Replace text that must be there once."""
    content = path.read_text()
    assert content.count(old) == 1
    path.write_text(content.replace(old, new))


def test_labels_types_and_splits_come_from_folders_and_csv_files() -> None:
    rows, faults = read("visa", ROOT)
    assert faults == []
    assert {path: (row["split"], row["label"], row["defect_types"]) for path, row in rows.items()} == {
        f"{ANOMALY}/000.JPG": ("test", "anomalous", ["chunk of wax missing"]),
        f"{ANOMALY}/001.JPG": (
            "test",
            "anomalous",
            ["foreign particals on candle", "wax melded out of the candle"],
        ),
        f"{NORMAL}/0000.JPG": ("train", "normal", []),
        f"{NORMAL}/0001.JPG": ("train", "normal", []),
        f"{NORMAL}/0002.JPG": ("test", "normal", []),
        "pcb1/Data/Images/Anomaly/000.JPG": ("test", "anomalous", ["bent", "melt"]),
        "pcb1/Data/Images/Normal/0000.JPG": ("train", "normal", []),
        "pcb1/Data/Images/Normal/0001.JPG": ("test", "normal", []),
    }
    assert set(column(rows, "licence").values()) == {"CC BY 4.0"}
    assert set(column(rows, "category").values()) == {"candle", "pcb1"}


def test_masks_hold_classes() -> None:
    rows, _ = read("visa", ROOT)
    row = rows[f"{ANOMALY}/001.JPG"]
    assert row["gt_mask_path"] == str(ROOT / "candle/Data/Masks/Anomaly/001.png")
    assert (row["mask_rule"], row["mask_kind"]) == ("> 0", "classes")
    classes = class_map(row | {"height": 24, "width": 32})
    assert [(classes == value).sum() for value in (1, 2, 3)] == [0, 6 * 8, 3 * 8]


@pytest.mark.parametrize(
    ("option", "train"),
    [
        (None, ["candle 0000", "candle 0001", "pcb1 0000"]),
        ("1cls", ["candle 0000", "candle 0001", "pcb1 0000"]),
        ("2cls_highshot", ["candle 000", "candle 0000", "candle 0002", "pcb1 0001"]),
        ("2cls_fewshot", ["candle 0000", "candle 001", "pcb1 000", "pcb1 0000"]),
    ],
)
def test_the_option_chooses_the_split(option: str | None, train: list[str]) -> None:
    rows, faults = read("visa", ROOT, split_csv=option)
    assert faults == []
    found = [f"{row['category']} {Path(path).stem}" for path, row in rows.items() if row["split"] == "train"]
    assert sorted(found) == train
    assert set(column(rows, "split").values()) == {"train", "test"}


def test_no_split_when_none_is_wanted_or_there(tmp_path: Path) -> None:
    assert set(column(read("visa", ROOT, split_csv="none")[0], "split").values()) == {None}
    root = copied("visa", tmp_path)
    (root / SPLIT).unlink()
    rows, faults = read("visa", root)
    assert faults == [] and set(column(rows, "split").values()) == {None}
    with pytest.raises(ValueError, match=r"no split_csv/1cls\.csv. Known: 2cls_fewshot, 2cls_highshot, none"):
        read("visa", root, split_csv="1cls")


def test_one_object_is_a_dataset_too() -> None:
    assert visa.detect(ROOT / "candle") == []
    rows, faults = read("visa", ROOT / "candle")
    assert faults == []
    assert rows["Data/Images/Anomaly/000.JPG"]["defect_types"] == ["chunk of wax missing"]
    assert {row["category"] for row in rows.values()} == {"candle"} and len(rows) == 5


@pytest.mark.parametrize("file", [ANNOTATION, SPLIT])
def test_a_label_that_contradicts_the_folder_makes_it_unknown(tmp_path: Path, file: str) -> None:
    root = copied("visa", tmp_path)
    said = f"{NORMAL}/0001.JPG,normal," if file == ANNOTATION else f"candle,train,normal,{NORMAL}/0001.JPG,"
    edit(root / file, said, said.replace("normal", "anomaly"))
    rows, faults = read("visa", root)
    assert codes(faults) == [("label_conflict", f"{NORMAL}/0001.JPG")]
    assert f"lies in Normal, but {file}, line" in faults[0].message
    assert faults[0].message.endswith('has the label "anomaly"; its label is unknown.')
    row = rows[f"{NORMAL}/0001.JPG"]
    assert (row["label"], row["defect_types"]) == ("unknown", [])


def test_an_anomalous_image_that_is_called_normal_keeps_its_mask_for_whoever_looks(tmp_path: Path) -> None:
    root = copied("visa", tmp_path)
    edit(root / ANNOTATION, "chunk of wax missing", "normal")
    rows, faults = read("visa", root)
    assert codes(faults) == [("label_conflict", f"{ANOMALY}/000.JPG")]
    row = rows[f"{ANOMALY}/000.JPG"]
    assert (row["label"], row["defect_types"]) == ("unknown", []) and row["gt_mask_path"]


@pytest.mark.parametrize("file", [ANNOTATION, SPLIT])
def test_a_mask_of_another_stem_is_not_used(tmp_path: Path, file: str) -> None:
    root = copied("visa", tmp_path)
    edit(root / file, "candle/Data/Masks/Anomaly/000.png", "candle/Data/Masks/Anomaly/001.png")
    rows, faults = read("visa", root)
    assert codes(faults)[0] == ("mask_conflict", f"{ANOMALY}/000.JPG")
    row = rows[f"{ANOMALY}/000.JPG"]
    assert row["gt_mask_path"] is None and row["mask_kind"] is None and row["mask_rule"] is None
    assert rows[f"{ANOMALY}/001.JPG"]["gt_mask_path"].endswith("001.png")


@pytest.mark.parametrize("named", ["../../etc/passwd", "/etc/passwd", "C:\\x.png", "..\\..\\x.JPG"])
@pytest.mark.parametrize("file", [ANNOTATION, SPLIT])
def test_paths_that_lead_out_are_reported_and_never_followed(tmp_path: Path, file: str, named: str) -> None:
    root = copied("visa", tmp_path)
    edit(root / file, "candle/Data/Masks/Anomaly/000.png", named)
    edit(root / file, f"{NORMAL}/0001.JPG", named)
    rows, faults = read("visa", root)
    assert codes(faults) == [("path_outside", file), ("path_outside", file), ("unlisted", file)]
    assert len(rows) == 8
    assert rows[f"{ANOMALY}/000.JPG"]["gt_mask_path"].endswith("Masks/Anomaly/000.png")


def test_lines_that_cannot_be_used_are_left_out_and_reported(tmp_path: Path) -> None:
    root = copied("visa", tmp_path)
    edit(root / ANNOTATION, "chunk of wax missing", "")
    with (root / ANNOTATION).open("a") as file:
        file.write(
            f"{ANOMALY}/001.JPG,crack,\n{NORMAL}/0009.JPG,normal,\n{NORMAL}/0010.JPG,normal,\n,normal,\n"
        )
        file.write(f"{NORMAL}/0002.JPG,bent,melt,candle/Data/Masks/Anomaly/002.png\n")
    edit(root / SPLIT, "pcb1,test,anomaly", "pcb2,val,anomaly")
    rows, faults = read("visa", root)
    assert codes(faults) == [
        ("bad_annotation", ANNOTATION),
        ("bad_annotation", ANNOTATION),
        ("bad_annotation", ANNOTATION),
        ("missing_image", ANNOTATION),
        ("bad_annotation", SPLIT),
        ("bad_annotation", SPLIT),
        ("listed_but_absent", ANNOTATION),
    ]
    said = "\n".join(fault.message for fault in faults)
    assert f"{ANNOTATION}, line 2: has no label" in said
    assert f"{ANNOTATION}, line 7: names {ANOMALY}/001.JPG, as line 3 does" in said
    assert f"{ANNOTATION}, line 11: has 1 cells more than the header" in said
    assert f"names 2 images that are not here, the first is {NORMAL}/0009.JPG in line 8" in said
    assert 'has the split "val", expected train or test' in said
    assert "is of the object pcb1, not pcb2" in said
    assert rows[f"{ANOMALY}/000.JPG"]["defect_types"] == []
    assert rows[f"{ANOMALY}/001.JPG"]["defect_types"][0] == "foreign particals on candle"
    assert rows["pcb1/Data/Images/Anomaly/000.JPG"]["split"] is None


@pytest.mark.parametrize("content", [b"", b"name,kind\na,b\n", b"image,label,mask\n\xe9,normal,\n"])
def test_a_file_that_is_no_such_table_is_reported_once(tmp_path: Path, content: bytes) -> None:
    root = copied("visa", tmp_path)
    (root / ANNOTATION).write_bytes(content)
    rows, faults = read("visa", root)
    assert codes(faults) == [("bad_annotation_file", ANNOTATION)]
    assert rows[f"{ANOMALY}/000.JPG"]["label"] == "anomalous"
    assert rows[f"{ANOMALY}/000.JPG"]["defect_types"] == []
    (root / ANNOTATION).unlink()
    assert codes(read("visa", root)[1]) == [("missing_annotation", ANNOTATION)]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    root = copied("visa", tmp_path)
    for file in (ANNOTATION, SPLIT):
        content = (root / file).read_text().replace("/Data/", "\\Data\\").replace("\n", "\r\n")
        (root / file).write_bytes(b"\xef\xbb\xbf" + content.encode())
    rows, faults = read("visa", root)
    assert faults == []
    assert rows[f"{ANOMALY}/000.JPG"]["defect_types"] == ["chunk of wax missing"]
    assert rows[f"{NORMAL}/0000.JPG"]["split"] == "train"


def test_images_without_mask_and_files_without_place_are_reported(tmp_path: Path) -> None:
    root = copied("visa", tmp_path)
    picture = (root / NORMAL / "0000.JPG").read_bytes()
    (root / "candle/Data/Masks/Anomaly/000.png").rename(root / "candle/Data/Masks/Anomaly/007.png")
    (root / "candle/Data/Images/Other").mkdir()
    (root / "candle/Data/Images/Other/1.jpg").write_bytes(picture)
    (root / "candle/Data/stray.jpg").write_bytes(picture)
    (root / NORMAL / "0099.jpg").write_bytes(picture)
    (root / NORMAL / "0098.JPG").mkdir()
    _, faults = read("visa", root)
    assert codes(faults) == [
        ("missing_mask", f"{ANOMALY}/000.JPG"),
        ("unknown_folder", f"{NORMAL}/0098.JPG"),
        ("unknown_folder", "candle/Data/Images/Other"),
        ("orphan_mask", "candle/Data/Masks/Anomaly/007.png"),
        ("unused_image", "candle/Data/stray.jpg"),
        ("unlisted", ANNOTATION),
        ("unlisted", SPLIT),
    ]
