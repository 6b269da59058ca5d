"""The MVTec AD 2 reader on a hand-checked tree, and on what goes wrong in such trees."""

from pathlib import Path

import pytest

from curate.formats import mvtec_ad_2
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "mvtec_ad_2"


def test_every_image_has_its_split_label_part_and_lighting() -> None:
    rows, faults = read("mvtec_ad_2", ROOT)
    assert faults == []
    assert {
        path.removeprefix("can/"): (row["split"], row["label"], row["part_id"], row["lighting"])
        for path, row in rows.items()
    } == {
        "train/good/000_regular.png": ("train", "normal", "can/train/good/000", "regular"),
        "train/good/001_regular.png": ("train", "normal", "can/train/good/001", "regular"),
        "validation/good/000_regular.png": ("val", "normal", "can/validation/good/000", "regular"),
        "test_public/good/000_regular.png": ("test", "normal", "can/test_public/good/000", "regular"),
        "test_public/good/000_shift_1.png": ("test", "normal", "can/test_public/good/000", "shift_1"),
        "test_public/bad/000_regular.png": ("test", "anomalous", "can/test_public/bad/000", "regular"),
        "test_public/bad/000_overexposed.png": (
            "test",
            "anomalous",
            "can/test_public/bad/000",
            "overexposed",
        ),
        "test_public/bad/001_underexposed.png": (
            "test",
            "anomalous",
            "can/test_public/bad/001",
            "underexposed",
        ),
        "test_private/000_regular.png": ("test", "unknown", "can/test_private/000", "regular"),
        "test_private/001_regular.png": ("test", "unknown", "can/test_private/001", "regular"),
        "test_private_mixed/000_mixed.png": ("test", "unknown", "can/test_private/000", "mixed"),
        "test_private_mixed/001_mixed.png": ("test", "unknown", "can/test_private/001", "mixed"),
    }
    assert set(column(rows, "licence").values()) == {"CC BY-NC-SA 4.0"}
    assert all(row["defect_types"] == [] for row in rows.values())


def test_no_part_lies_in_two_splits() -> None:
    rows, _ = read("mvtec_ad_2", ROOT)
    splits: dict[str, set[str]] = {}
    for row in rows.values():
        splits.setdefault(row["part_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_each_light_has_the_mask_of_its_own_name() -> None:
    rows, _ = read("mvtec_ad_2", ROOT)
    masks = {path: mask for path, mask in column(rows, "gt_mask_path").items() if mask}
    assert masks == {
        f"can/test_public/bad/{name}.png": str(ROOT / f"can/test_public/ground_truth/bad/{name}_mask.png")
        for name in ("000_regular", "000_overexposed", "001_underexposed")
    }


def test_a_single_category_is_a_dataset_too() -> None:
    assert mvtec_ad_2.detect(ROOT / "can") == []
    rows, faults = read("mvtec_ad_2", ROOT / "can")
    assert faults == [] and len(rows) == 12
    assert rows["test_private_mixed/000_mixed.png"]["part_id"] == "can/test_private/000"


def test_a_category_of_another_name_keeps_its_own_licence(tmp_path: Path) -> None:
    root = copied("mvtec_ad_2", tmp_path)
    (root / "can").rename(root / "acf")
    (root / "LICENSE").write_text("Ours\nand nobody else's")
    rows, _ = read("mvtec_ad_2", root)
    assert {(row["licence"], row["citation"]) for row in rows.values()} == {("Ours", None)}


def test_what_is_missing_or_does_not_belong_is_reported_at_once(tmp_path: Path) -> None:
    root = copied("mvtec_ad_2", tmp_path)
    public = root / "can/test_public"
    masks = public / "ground_truth/bad"
    (masks / "000_regular_mask.png").rename(masks / "000_shift_2_mask.png")
    (masks / "000_overexposed_mask.png").unlink()
    (masks / "000_overexposed_mask.png").mkdir()
    (public / "scratch").mkdir()
    (root / "can/train/bad").mkdir()
    (root / "can/test_private/bad").mkdir()
    (root / "can/test_private/2.PNG").write_bytes((public / "good/000_regular.png").read_bytes())
    (root / "can/test_private_mixed/checksums.txt").write_text("x")
    (root / "can/extra.png").write_bytes(b"x")
    rows, faults = read("mvtec_ad_2", root)
    assert codes(faults) == [
        ("missing_mask", "can/test_public/bad/000_overexposed.png"),
        ("missing_mask", "can/test_public/bad/000_regular.png"),
        ("unused_image", "can/extra.png"),
        ("unknown_part", "can/test_private/2.PNG"),
        ("unknown_folder", "can/test_private/bad"),
        ("unknown_file", "can/test_private_mixed/checksums.txt"),
        ("unknown_folder", "can/test_public/ground_truth/bad/000_overexposed_mask.png"),
        ("orphan_mask", "can/test_public/ground_truth/bad/000_shift_2_mask.png"),
        ("unknown_folder", "can/test_public/scratch"),
        ("unknown_folder", "can/train/bad"),
    ]
    assert rows["can/test_private/2.PNG"]["part_id"] is None
    assert len(rows) == 13


@pytest.mark.parametrize("name", ["test_private", "test_private_mixed", "test_public"])
def test_one_test_alone_is_recognised(tmp_path: Path, name: str) -> None:
    root = copied("mvtec_ad_2", tmp_path)
    (tmp_path / "can").mkdir()
    (root / "can" / name).rename(tmp_path / "can" / name)
    assert mvtec_ad_2.detect(tmp_path / "can") == []
    rows, faults = read("mvtec_ad_2", tmp_path / "can")
    assert faults == [] and {path.split("/")[0] for path in rows} == {name}
