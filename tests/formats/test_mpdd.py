"""The MPDD reader on a hand-checked tree, and how its names tell it from other trees in MVTec's layout."""

import shutil
from pathlib import Path

from curate.formats import mpdd, recognise
from tests.helpers.golden import GOLDEN, codes, copied, read

ROOT = GOLDEN / "mpdd"


def test_labels_types_and_masks_come_from_the_folders() -> None:
    rows, faults = read("mpdd", ROOT)
    assert faults == []
    assert {path: (row["split"], row["label"], row["defect_types"]) for path, row in rows.items()} == {
        "bracket_black/train/good/000.png": ("train", "normal", []),
        "bracket_black/test/good/000.png": ("test", "normal", []),
        "bracket_black/test/hole/000.png": ("test", "anomalous", ["hole"]),
        "bracket_black/test/scratches/000.png": ("test", "anomalous", ["scratches"]),
        "connector/train/good/000.png": ("train", "normal", []),
        "connector/test/good/000.png": ("test", "normal", []),
        "connector/test/parts_mismatch/000.png": ("test", "anomalous", ["parts_mismatch"]),
    }
    for path, row in rows.items():
        if row["label"] == "anomalous":
            expected = path.replace("/test/", "/ground_truth/").replace(".png", "_mask.png")
            assert row["gt_mask_path"] == str(ROOT / expected)
        assert "ICUMT 2021" in row["citation"]


def test_names_that_anybody_could_use_are_left_to_mvtec_ad(tmp_path: Path) -> None:
    root = copied("mpdd", tmp_path)
    shutil.rmtree(root / "bracket_black")
    assert mpdd.detect(root) == [
        "no category bracket_black, bracket_brown, bracket_white or metal_plate with train/good"
    ]
    assert recognise(root)[0] == "mvtec_ad"
    assert mpdd.detect(ROOT / "bracket_black") == []


def test_a_foreign_category_or_an_exported_tree_is_left_to_mvtec_ad(tmp_path: Path) -> None:
    root = copied("mpdd", tmp_path)
    (root / "manifest.json").write_text('{"schema_version": 1, "layout": "mvtec_ad", "images": []}')
    assert mpdd.detect(root) == ["manifest.json says that it was exported, in the layout of mvtec_ad"]
    shutil.copytree(root / "connector", root / "flex")
    assert mpdd.detect(root) == ["flex is not a category of it"]
    assert recognise(root)[0] == "mvtec_ad"


def test_a_missing_mask_and_one_of_another_stem_are_reported(tmp_path: Path) -> None:
    root = copied("mpdd", tmp_path)
    masks = root / "bracket_black/ground_truth/hole"
    (masks / "000_mask.png").rename(masks / "00_mask.png")
    _, faults = read("mpdd", root)
    assert codes(faults) == [
        ("missing_mask", "bracket_black/test/hole/000.png"),
        ("orphan_mask", "bracket_black/ground_truth/hole/00_mask.png"),
    ]
