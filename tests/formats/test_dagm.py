"""The DAGM 2007 reader on a hand-checked tree and on what goes wrong."""

import shutil
from pathlib import Path

import pytest

from curate.formats.dagm import detect
from curate.masks import read_mask, regions
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "dagm"
LIST = "Class1/Train/Label/Labels.txt"


def test_list_and_masks_give_the_label_and_masks_are_weak() -> None:
    rows, faults = read("dagm", ROOT)
    assert faults == []
    told = ("category", "split", "label", "mask_kind", "mask_quality")
    assert {path: tuple(row[name] for name in told) for path, row in rows.items()} == {
        "Class1/Test/0001.PNG": ("Class1", "test", "anomalous", "binary", "weak"),
        "Class1/Test/0003.PNG": ("Class1", "test", "normal", None, None),
        "Class1/Train/0001.PNG": ("Class1", "train", "normal", None, None),
        "Class1/Train/0002.PNG": ("Class1", "train", "anomalous", "binary", "weak"),
        "Class2/Test/0002.PNG": ("Class2", "test", "anomalous", "binary", "weak"),
        "Class2/Train/0001.PNG": ("Class2", "train", "normal", None, None),
    }


def test_the_mask_is_that_of_its_own_half() -> None:
    rows, _ = read("dagm", ROOT)
    boxes = {}
    for path, row in rows.items():
        if row["gt_mask_path"]:
            (region,) = regions(read_mask(Path(row["gt_mask_path"]), row["mask_rule"]))
            boxes[path] = region.box_xyxy
    # ellipses of 8 x 5, 4 x 10 and 6 x 6 half axes (rows, columns) around (20, 30), (12, 40) and (30, 15)
    assert boxes == {
        "Class1/Test/0001.PNG": (30, 8, 51, 17),
        "Class1/Train/0002.PNG": (25, 12, 36, 29),
        "Class2/Test/0002.PNG": (9, 24, 22, 37),
    }


@pytest.mark.parametrize("doubled", [True, False])
def test_doubled_folders_and_one_class_alone_are_read(tmp_path: Path, doubled: bool) -> None:
    root = tmp_path / "Class1"
    shutil.copytree(ROOT / "Class1", root / "Class1" if doubled else root)
    read_from = tmp_path if doubled else root
    assert detect(read_from) == []
    rows, faults = read("dagm", read_from)
    assert faults == [] and len(rows) == 4
    assert set(column(rows, "category").values()) == {"Class1"}


def test_contradictions_between_list_and_masks_are_reported(tmp_path: Path) -> None:
    root = copied("dagm", tmp_path)
    shutil.copy(root / "Class1/Train/Label/0002_label.PNG", root / "Class1/Train/Label/0001_label.PNG")
    (root / "Class1/Test/Label/0001_label.PNG").unlink()
    (root / "Class2/Test/Label/Labels.txt").unlink()
    (root / "Class2/Train/Label/Labels.txt").write_text("2\n1 0 0001.PNG 0 0\n1 1 0001.PNG 0 0\n")
    rows, faults = read("dagm", root)
    assert codes(faults) == [
        ("missing_mask", "Class1/Test/0001.PNG"),
        ("label_conflict", "Class1/Train/0001.PNG"),
        ("label_conflict", "Class2/Train/0001.PNG"),
        ("missing_list", "Class2/Test/Label/Labels.txt"),
    ]
    assert column(rows, "label") == {
        "Class1/Test/0001.PNG": "anomalous",
        "Class1/Test/0003.PNG": "normal",
        "Class1/Train/0001.PNG": "unknown",
        "Class1/Train/0002.PNG": "anomalous",
        "Class2/Test/0002.PNG": "anomalous",
        "Class2/Train/0001.PNG": "unknown",
    }
    assert rows["Class1/Train/0001.PNG"]["gt_mask_path"] is None
    assert "has the mask Class1/Train/Label/0001_label.PNG" in faults[1].message


def test_bad_lines_are_reported_with_their_number(tmp_path: Path) -> None:
    root = copied("dagm", tmp_path)
    lines = [
        "1",
        "1 0 0001.PNG 0 0",
        "2 yes 0002.PNG 0 0",
        "3 1",
        "4 0 ../../../etc/passwd 0 0",
        "5 0 9.PNG 0 0",
    ]
    lines += ["", "2 1 0002.PNG 0 0001_label.PNG"]
    (root / LIST).write_text("\n".join(lines), encoding="utf-8-sig")
    rows, faults = read("dagm", root)
    assert [(fault.code, fault.message.split(":")[0]) for fault in faults] == [
        ("bad_annotation", f"{LIST}, line 3"),
        ("bad_annotation", f"{LIST}, line 4"),
        ("bad_annotation", f"{LIST}, line 8"),
        ("missing_image", f"{LIST}, line 6"),
        ("path_outside", f"{LIST}, line 5"),
    ]
    assert rows["Class1/Train/0002.PNG"]["label"] == "anomalous"


@pytest.mark.parametrize("content", [b"\xe9t\xe9 0 0001.PNG", b"\x00\x01\n\x02 \x03", b"[[[[[[", b"no list"])
def test_a_list_that_is_none_is_one_fault_and_masks_tell_the_label(tmp_path: Path, content: bytes) -> None:
    root = copied("dagm", tmp_path)
    (root / LIST).write_bytes(content)
    rows, faults = read("dagm", root)
    assert codes(faults) == [
        ("bad_annotation_file", LIST),
        ("unlisted", "Class1/Train/0001.PNG"),
    ]
    assert rows["Class1/Train/0002.PNG"]["label"] == "anomalous"


def test_suffixes_may_have_changed_and_strays_are_reported(tmp_path: Path) -> None:
    root = copied("dagm", tmp_path)
    (root / "Class1/Train/0002.PNG").rename(root / "Class1/Train/0002.png")
    (root / "Class1/Train/Label/0002_label.PNG").rename(root / "Class1/Train/Label/0002_LABEL.png")
    shutil.copy(root / "Class2/Train/0001.PNG", root / "Class2/Train/0001.bmp")
    shutil.copy(root / "Class2/Test/Label/0002_label.PNG", root / "Class2/Test/Label/0009_label.PNG")
    (root / "Class1_def").mkdir()
    shutil.copy(root / "Class1/Train/0001.PNG", root / "Class1_def/1.png")
    (root / "Class2/Test/Thumbs.txt").touch()
    rows, faults = read("dagm", root)
    assert rows["Class1/Train/0002.png"]["label"] == "anomalous"
    assert {rows[f"Class2/Train/0001.{suffix}"]["label"] for suffix in ("PNG", "bmp")} == {"unknown"}
    assert codes(faults) == [
        ("ambiguous_mask", "Class2/Train/0001.PNG"),
        ("ambiguous_mask", "Class2/Train/0001.bmp"),
        ("unknown_folder", "Class1_def"),
        ("orphan_mask", "Class2/Test/Label/0009_label.PNG"),
        ("unknown_file", "Class2/Test/Thumbs.txt"),
        ("unlisted", "Class2/Train/0001.bmp"),
    ]


def test_detect_wants_masks_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "Class1/Train/Label").mkdir(parents=True)
    assert detect(tmp_path) == ["no mask <number>_label.PNG and no Labels.txt in the folders Label"]


def test_a_mask_that_fits_two_images_is_named_by_their_faults(tmp_path: Path) -> None:
    root = copied("dagm", tmp_path)
    shutil.copy(root / "Class2/Test/0002.PNG", root / "Class2/Test/0002.bmp")
    _, faults = read("dagm", root)
    told = {fault.relative_path: fault.related for fault in faults if fault.code == "ambiguous_mask"}
    mask = ("Class2/Test/Label/0002_label.PNG",)
    assert told == {"Class2/Test/0002.PNG": mask, "Class2/Test/0002.bmp": mask}
