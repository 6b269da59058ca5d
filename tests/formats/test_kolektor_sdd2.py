"""The KolektorSDD2 reader on a hand-checked tree and on what goes wrong."""

import shutil
from pathlib import Path

from curate.formats.kolektor_sdd2 import detect
from curate.masks import read_mask, regions
from tests.helpers.golden import GOLDEN, codes, copied, read

ROOT = GOLDEN / "kolektor_sdd2"


def test_labels_come_from_the_masks_and_train_keeps_its_anomalous_images() -> None:
    rows, faults = read("kolektor_sdd2", ROOT)
    assert faults == []
    told = ("label", "split", "part_id", "mask_kind")
    assert {path: tuple(row[name] for name in told) for path, row in rows.items()} == {
        "test/20000.png": ("normal", "test", None, "binary"),
        "test/20005.png": ("anomalous", "test", None, "binary"),
        "train/10000.png": ("normal", "train", None, "binary"),
        "train/10301.png": ("anomalous", "train", None, "binary"),
    }
    row = rows["train/10301.png"]
    (region,) = regions(read_mask(Path(row["gt_mask_path"]), row["mask_rule"]))
    assert region.box_xyxy == (6, 5, 15, 12)


def test_the_stray_copies_of_the_archive_are_left_out_and_reported(tmp_path: Path) -> None:
    root = copied("kolektor_sdd2", tmp_path)
    shutil.copy(root / "train/10301.png", root / "train/10301 (copy).png")
    shutil.copy(root / "train/10301_GT.png", root / "train/10301_GT (copy).png")
    rows, faults = read("kolektor_sdd2", root)
    assert list(rows) == list(read("kolektor_sdd2", ROOT)[0])
    assert codes(faults) == [
        ("unknown_file", "train/10301 (copy).png"),
        ("unknown_file", "train/10301_GT (copy).png"),
    ]


def test_what_is_missing_or_does_not_belong_is_reported(tmp_path: Path) -> None:
    root = copied("kolektor_sdd2", tmp_path)
    (root / "train/10301_GT.png").rename(root / "train/10302_GT.png")
    (root / "test/20005_GT.png").write_bytes(b"GIF89a")
    (root / "test/20000.png").rename(root / "test/20000.PNG")
    (root / "test/split.pyb").touch()
    (root / "test/old").mkdir()
    shutil.copy(root / "test/20005.png", root / "test/old/20005.png")
    (root / "extra").mkdir()
    rows, faults = read("kolektor_sdd2", root)
    assert codes(faults) == [
        ("unreadable_mask", "test/20005.png"),
        ("missing_mask", "train/10301.png"),
        ("unknown_folder", "extra"),
        ("unknown_folder", "test/old"),
        ("unknown_file", "test/split.pyb"),
        ("orphan_mask", "train/10302_GT.png"),
    ]
    assert {path: row["label"] for path, row in rows.items()} == {
        "test/20000.PNG": "normal",
        "test/20005.png": "unknown",
        "train/10000.png": "normal",
        "train/10301.png": "unknown",
    }


def test_an_image_that_cannot_be_read_keeps_its_label(tmp_path: Path) -> None:
    root = copied("kolektor_sdd2", tmp_path)
    (root / "train/10301.png").write_bytes(b"")
    rows, faults = read("kolektor_sdd2", root)
    assert faults == [] and rows["train/10301.png"]["label"] == "anomalous"


def test_detect_wants_a_mask(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert detect(tmp_path) == ["no mask train/<number>_GT.png or test/<number>_GT.png"]
    (tmp_path / "train/10000_gt.PNG").touch()
    assert detect(tmp_path) == []
