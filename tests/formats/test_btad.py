"""The BTAD reader on a hand-checked tree, and on what goes wrong in such trees."""

from pathlib import Path

from curate.formats import btad
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "btad"


def test_ok_is_normal_and_ko_is_anomalous_of_no_known_type() -> None:
    rows, faults = read("btad", ROOT)
    assert faults == []
    assert {path: (row["category"], row["split"], row["label"]) for path, row in rows.items()} == {
        "01/train/ok/0000.bmp": ("01", "train", "normal"),
        "01/train/ok/0001.bmp": ("01", "train", "normal"),
        "01/test/ok/0000.bmp": ("01", "test", "normal"),
        "01/test/ko/0000.bmp": ("01", "test", "anomalous"),
        "02/train/ok/0000.png": ("02", "train", "normal"),
        "02/test/ok/0001.png": ("02", "test", "normal"),
        "02/test/ko/0000.png": ("02", "test", "anomalous"),
        "03/train/ok/0000.bmp": ("03", "train", "normal"),
        "03/test/ok/0000.bmp": ("03", "test", "normal"),
        "03/test/ko/0000.bmp": ("03", "test", "anomalous"),
        "03/test/ko/0001.bmp": ("03", "test", "anomalous"),
    }
    assert all(row["defect_types"] == [] for row in rows.values())
    assert set(column(rows, "licence").values()) == {"CC BY-NC-SA 4.0"}


def test_masks_are_paired_by_stem_whatever_their_suffix() -> None:
    rows, _ = read("btad", ROOT)
    masks = {path: mask for path, mask in column(rows, "gt_mask_path").items() if mask}
    assert masks == {
        "01/test/ko/0000.bmp": str(ROOT / "01/ground_truth/ko/0000.png"),
        "02/test/ko/0000.png": str(ROOT / "02/ground_truth/ko/0000.png"),
        "03/test/ko/0000.bmp": str(ROOT / "03/ground_truth/ko/0000.bmp"),
        "03/test/ko/0001.bmp": str(ROOT / "03/ground_truth/ko/0001.png"),
    }


def test_a_stem_that_ends_like_a_suffix_is_kept_whole(tmp_path: Path) -> None:
    root = copied("btad", tmp_path)
    for folder, old, new in (("test", "0000.bmp", "clamp.bmp"), ("ground_truth", "0000.png", "clamp.png")):
        (root / "01" / folder / "ko" / old).rename(root / "01" / folder / "ko" / new)
    rows, faults = read("btad", root)
    assert faults == []
    assert rows["01/test/ko/clamp.bmp"]["gt_mask_path"].endswith("01/ground_truth/ko/clamp.png")


def test_other_folders_and_masks_without_image_are_reported(tmp_path: Path) -> None:
    root = copied("btad", tmp_path)
    (root / "01/test/ko/0000.bmp").unlink()
    (root / "02/ground_truth/ko/0000.png").unlink()
    (root / "03/test/scratch").mkdir()
    (root / "03/train/ko").mkdir()
    (root / "notes").mkdir()
    _, faults = read("btad", root)
    assert codes(faults) == [
        ("missing_mask", "02/test/ko/0000.png"),
        ("orphan_mask", "01/ground_truth/ko/0000.png"),
        ("unknown_folder", "03/test/scratch"),
        ("unknown_folder", "03/train/ko"),
        ("unknown_folder", "notes"),
    ]
    assert "expected ok or ko in test" in faults[2].message


def test_other_names_than_01_to_03_are_read_without_its_terms(tmp_path: Path) -> None:
    root = copied("btad", tmp_path)
    (root / "01").rename(root / "coverlay")
    assert btad.detect(root / "coverlay") == []
    rows, faults = read("btad", root / "coverlay")
    assert faults == [] and len(rows) == 4
    assert {(row["licence"], row["citation"]) for row in rows.values()} == {(None, None)}
