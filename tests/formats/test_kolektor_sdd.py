"""The KolektorSDD reader on a hand-checked tree and on what goes wrong."""

import shutil
from pathlib import Path

import numpy as np

from curate.formats.kolektor_sdd import detect
from curate.images import encode_png
from curate.masks import read_mask, regions
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "kolektor_sdd"


def test_labels_come_from_the_masks_and_parts_from_the_folders() -> None:
    rows, faults = read("kolektor_sdd", ROOT)
    assert faults == []
    told = ("label", "part_id", "position", "split", "mask_kind")
    assert {path: tuple(row[name] for name in told) for path, row in rows.items()} == {
        "kos01/Part0.jpg": ("normal", "kos01", "Part0", None, "binary"),
        "kos01/Part1.jpg": ("anomalous", "kos01", "Part1", None, "binary"),
        "kos02/Part0.jpg": ("anomalous", "kos02", "Part0", None, "binary"),
        "kos02/Part1.jpg": ("normal", "kos02", "Part1", None, "binary"),
    }


def test_a_mask_of_value_one_counts() -> None:
    rows, _ = read("kolektor_sdd", ROOT)
    row = rows["kos02/Part0.jpg"]
    (region,) = regions(read_mask(Path(row["gt_mask_path"]), row["mask_rule"]))
    assert region.box_xyxy == (50, 40, 59, 44) and region.area_px == 4 * 9


def test_masks_stay_with_their_images_and_boxes_are_weak() -> None:
    rows, _ = read("kolektor_sdd", ROOT, boxes=True)
    assert set(column(rows, "mask_quality").values()) == {"weak"}
    rows, _ = read("kolektor_sdd", ROOT)
    assert set(column(rows, "mask_quality").values()) == {None}
    assert all(row["gt_mask_path"].endswith(f"{path[:-4]}_label.bmp") for path, row in rows.items())


def test_detect_wants_a_mask(tmp_path: Path) -> None:
    (tmp_path / "kos01").mkdir()
    (tmp_path / "kos01/Part0.jpg").touch()
    assert detect(tmp_path) == ["no mask kos<number>/Part<number>_label.bmp"]


def test_masks_that_are_no_use_leave_the_label_unknown(tmp_path: Path) -> None:
    root = copied("kolektor_sdd", tmp_path)
    (root / "kos01/Part0_label.bmp").write_bytes(b"")
    (root / "kos01/Part1_label.bmp").unlink()
    (root / "kos02/Part0_label.bmp").unlink()
    (root / "kos02/Part0_label.png").write_bytes(encode_png(np.ones((64, 48), np.uint8)))
    rows, faults = read("kolektor_sdd", root)
    assert codes(faults) == [
        ("unreadable_mask", "kos01/Part0.jpg"),
        ("missing_mask", "kos01/Part1.jpg"),
        ("mask_size", "kos02/Part0.jpg"),
    ]
    assert column(rows, "label") == {
        "kos01/Part0.jpg": "unknown",
        "kos01/Part1.jpg": "unknown",
        "kos02/Part0.jpg": "unknown",
        "kos02/Part1.jpg": "normal",
    }
    assert [path for path, row in rows.items() if row["gt_mask_path"]] == ["kos02/Part1.jpg"]
    assert "is empty (0 bytes); the label is unknown" in faults[0].message
    assert "Looked for kos01/Part1_label.bmp" in faults[1].message


def test_files_that_do_not_belong_are_reported(tmp_path: Path) -> None:
    root = copied("kolektor_sdd", tmp_path)
    shutil.copy(root / "kos01/Part0.jpg", root / "loose.jpg")
    shutil.copy(root / "kos01/Part0_label.bmp", root / "kos01/Part7_label.bmp")
    (root / "kos01/notes.txt").touch()
    (root / "kos01/old").mkdir()
    (root / "kos51b").mkdir()
    rows, faults = read("kolektor_sdd", root)
    assert len(rows) == 4
    assert codes(faults) == [
        ("orphan_mask", "kos01/Part7_label.bmp"),
        ("unknown_file", "kos01/notes.txt"),
        ("unknown_folder", "kos01/old"),
        ("unknown_folder", "kos51b"),
        ("unused_image", "loose.jpg"),
    ]


def test_a_shared_name_never_decides_a_label(tmp_path: Path) -> None:
    root = copied("kolektor_sdd", tmp_path)
    shutil.copy(root / "kos01/Part1.jpg", root / "kos01/Part1.JPEG")
    shutil.copy(root / "kos02/Part0_label.bmp", root / "kos02/Part0_label.BMP")
    rows, faults = read("kolektor_sdd", root)
    assert codes(faults) == [
        ("ambiguous_mask", "kos01/Part1.JPEG"),
        ("ambiguous_mask", "kos01/Part1.jpg"),
        ("missing_mask", "kos02/Part0.jpg"),
        ("ambiguous_mask", "kos02/Part0_label.bmp"),
    ]
    anomalous = [path for path, row in rows.items() if row["label"] == "anomalous"]
    assert anomalous == []
