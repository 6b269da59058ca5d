"""The MVTec AD reader on a hand-checked tree, and on what goes wrong in such trees."""

import json
from pathlib import Path

import pytest

from curate.formats import mvtec_ad, recognise
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "mvtec_ad"


def test_read_finds_every_image_with_its_split_label_and_type() -> None:
    rows, faults = read("mvtec_ad", ROOT)
    assert faults == []
    assert {path: (row["split"], row["label"], row["defect_types"]) for path, row in rows.items()} == {
        "weave/train/good/000.png": ("train", "normal", []),
        "weave/train/good/001.PNG": ("train", "normal", []),
        "weave/val/good/000.jpg": ("val", "normal", []),
        "weave/test/good/000.png": ("test", "normal", []),
        "weave/test/cut/000.png": ("test", "anomalous", ["cut"]),
        "weave/test/cut/001.bmp": ("test", "anomalous", ["cut"]),
        "weave/test/hole/000.png": ("test", "anomalous", ["hole"]),
    }
    assert set(column(rows, "category").values()) == {"weave"}
    assert set(column(rows, "licence").values()) == {"Free to use for tests"}


def test_read_pairs_masks_by_name() -> None:
    rows, _ = read("mvtec_ad", ROOT)
    masks = {path: mask for path, mask in column(rows, "gt_mask_path").items() if mask}
    assert masks == {
        "weave/test/cut/000.png": str(ROOT / "weave/ground_truth/cut/000_mask.png"),
        "weave/test/cut/001.bmp": str(ROOT / "weave/ground_truth/cut/001.png"),
        "weave/test/hole/000.png": str(ROOT / "weave/ground_truth/hole/000_mask.png"),
    }
    assert {(rows[path]["mask_rule"], rows[path]["mask_kind"]) for path in masks} == {("> 0", "binary")}
    assert all(rows[path]["mask_kind"] is None for path in rows.keys() - masks.keys())


def test_one_category_folder_is_a_dataset_too() -> None:
    rows, faults = read("mvtec_ad", ROOT / "weave")
    assert mvtec_ad.detect(ROOT / "weave") == []
    assert "test/cut/000.png" in rows and len(rows) == 7 and faults == []
    assert set(column(rows, "category").values()) == {"weave"}


def test_read_reports_every_missing_and_orphan_mask_at_once(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "weave/ground_truth/cut/000_mask.png").rename(root / "weave/ground_truth/cut/007_mask.png")
    (root / "weave/ground_truth/hole/000_mask.png").unlink()
    rows, faults = read("mvtec_ad", root)
    assert codes(faults) == [
        ("missing_mask", "weave/test/cut/000.png"),
        ("missing_mask", "weave/test/hole/000.png"),
        ("orphan_mask", "weave/ground_truth/cut/007_mask.png"),
    ]
    assert faults[0].message == (
        "weave/test/cut/000.png is anomalous but has no mask. "
        "Looked for weave/ground_truth/cut/000_mask.png and 000.png."
    )
    assert faults[0].remedy == 'Add the mask, or label the image "unknown".'
    assert rows["weave/test/cut/000.png"]["gt_mask_path"] is None
    assert rows["weave/test/cut/001.bmp"]["gt_mask_path"] is not None


def test_two_images_of_one_stem_get_no_guessed_mask(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "weave/test/cut/000.jpg").write_bytes(b"x")
    rows, faults = read("mvtec_ad", root)
    assert codes(faults) == [
        ("ambiguous_mask", "weave/test/cut/000.jpg"),
        ("ambiguous_mask", "weave/test/cut/000.png"),
    ]
    assert rows["weave/test/cut/000.png"]["gt_mask_path"] is None


def test_read_ignores_and_reports_what_does_not_belong(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    picture = (root / "weave/train/good/000.png").read_bytes()
    for folder in (".ipynb_checkpoints", "weave/test/.ipynb_checkpoints", "weave/notes", "weave/train/cut"):
        (root / folder).mkdir()
        (root / folder / "000.png").write_bytes(picture)
    (root / "weave/train/stray.png").write_bytes(picture)
    (root / "weave/test/good/Thumbs.db").write_bytes(b"x")
    (root / "weave/test/good/list.txt").write_text("x")
    rows, faults = read("mvtec_ad", root)
    assert len(rows) == 7
    assert codes(faults) == [
        ("hidden_file", ".ipynb_checkpoints"),
        ("unknown_folder", "weave/notes"),
        ("hidden_file", "weave/test/.ipynb_checkpoints"),
        ("hidden_file", "weave/test/good/Thumbs.db"),
        ("unknown_file", "weave/test/good/list.txt"),
        ("unknown_folder", "weave/train/cut"),
        ("unused_image", "weave/train/stray.png"),
    ]
    assert {fault.severity for fault in faults} == {"warning"}


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("bottle", "The MVTec Anomaly Detection Dataset\nCC BY-NC-SA 4.0", "CC BY-NC-SA 4.0"),
        ("bottle", "Attribution-NonCommercial-ShareAlike 4.0", "CC BY-NC-SA 4.0"),
        ("bottle", "All rights reserved", "All rights reserved"),
        ("weave", "Inspired by MVTec", "Inspired by MVTec"),
        ("bottle", "", None),
    ],
)
def test_the_licence_is_mvtecs_only_where_names_and_licence_file_say_so(
    tmp_path: Path, name: str, text: str, licence: str | None
) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "weave").rename(root / name)
    (root / name / "license.txt").write_text(text)
    rows, _ = read("mvtec_ad", root)
    assert set(column(rows, "licence").values()) == {licence}
    cited = licence == "CC BY-NC-SA 4.0"
    assert all((row["citation"] is not None) == cited for row in rows.values())


def test_a_calibration_tree_gives_the_split_calibration(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "calibration/weave").mkdir(parents=True)
    for folder in ("test", "ground_truth"):
        (root / "weave" / folder).rename(root / "calibration/weave" / folder)
    rows, faults = read("mvtec_ad", root)
    assert faults == []
    splits = column(rows, "split")
    assert splits["calibration/weave/test/cut/000.png"] == "calibration"
    assert splits["weave/train/good/000.png"] == "train"
    assert set(column(rows, "category").values()) == {"weave"}
    assert rows["calibration/weave/test/cut/000.png"]["gt_mask_path"].endswith("cut/000_mask.png")


def test_our_manifest_gives_back_what_folders_cannot_hold(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    box = {"box_xyxy": [5, 10, 17, 20], "defect_type": "cut"}
    entry = {
        "path": "weave/test/cut/000.png",
        "category": "weave/blue",
        "label": "anomalous",
        "defect_types": ["cut", "hole"],
        "split": "test",
        "part_id": "tile-000524",
        "lot": "L7",
        "um_per_px": 20.8,
        "boxes": [box],
        "licence": "ours",
        "citation": None,
    }
    gone = entry | {"path": "weave/test/cut/009.png"}
    manifest = {"schema_version": 1, "layout": "mvtec_ad", "images": [entry, gone]}
    (root / "manifest.json").write_text(json.dumps(manifest))
    rows, faults = read("mvtec_ad", root)
    row = rows["weave/test/cut/000.png"]
    assert {name: row[name] for name in entry if name != "path"} == {
        name: value for name, value in entry.items() if name != "path"
    }
    assert row["gt_mask_path"].endswith("000_mask.png")
    assert ("manifest_mismatch", "weave/test/cut/009.png") in codes(faults)
    assert ("manifest_mismatch", "weave/test/cut/001.bmp") in codes(faults)
    assert len(faults) == 7


def test_a_foreign_or_damaged_manifest_does_not_stop_the_reading(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "manifest.json").write_text('{"name": "web app"}')
    assert read("mvtec_ad", root)[1] == []
    (root / "manifest.json").write_text('{"schema_version": 1, "layo')
    rows, faults = read("mvtec_ad", root)
    assert len(rows) == 7
    assert codes(faults) == [("bad_manifest", "manifest.json")]


def test_a_folder_of_masks_per_image_is_not_taken_for_this_layout(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "weave/ground_truth/cut/000").mkdir()
    assert mvtec_ad.detect(root) == [
        "weave/ground_truth/cut/000 is a folder; expected one mask file per image "
        "(MVTec LOCO AD keeps a folder of masks per image)"
    ]


def test_masks_of_normal_images_are_kept_and_reported(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    (root / "weave/ground_truth/good").mkdir()
    mask = (root / "weave/ground_truth/cut/000_mask.png").read_bytes()
    for name in ("000_mask.png", "009_mask.png"):
        (root / "weave/ground_truth/good" / name).write_bytes(mask)
    rows, faults = read("mvtec_ad", root)
    assert codes(faults) == [
        ("normal_masks", "weave/ground_truth/good"),
        ("orphan_mask", "weave/ground_truth/good/009_mask.png"),
    ]
    assert "masks of 1 normal images" in faults[0].message
    row = rows["weave/test/good/000.png"]
    assert row["label"] == "normal" and row["gt_mask_path"].endswith("ground_truth/good/000_mask.png")
    assert rows["weave/train/good/000.png"]["gt_mask_path"] is None
    assert rows["weave/val/good/000.jpg"]["gt_mask_path"] is None


def test_a_tree_with_the_folder_bad_is_read_with_that_type(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    for folder in ("test", "ground_truth"):
        (root / "weave" / folder / "hole").rename(root / "weave" / folder / "bad")
    assert recognise(root)[0] == "mvtec_ad"
    rows, faults = read("mvtec_ad", root)
    assert faults == []
    assert rows["weave/test/bad/000.png"]["defect_types"] == ["bad"]
    assert rows["weave/test/bad/000.png"]["gt_mask_path"].endswith("ground_truth/bad/000_mask.png")
