"""The reader of rearranged VisA on a hand-checked tree, in every variant, and on what goes wrong."""

import shutil
from pathlib import Path

import pytest

from curate.formats import recognise, visa_prepared
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "visa_prepared"
CANDLE = "1cls/candle"


def two_class(root: Path, name: str) -> Path:
    """Add a two-class variant to a copy of the golden tree, made of its one-class images."""
    one = root / CANDLE
    two = root / name / "candle"
    for split, stem in (("train", "000"), ("test", "001")):
        (two / split / "good").mkdir(parents=True)
        (two / split / "bad").mkdir()
        (two / "ground_truth" / split / "bad").mkdir(parents=True)
        shutil.copy(one / f"test/bad/{stem}.JPG", two / split / "bad")
        shutil.copy(one / f"ground_truth/bad/{stem}.png", two / "ground_truth" / split / "bad")
    shutil.copy(one / "train/good/0000.JPG", two / "train/good")
    shutil.copy(one / "test/good/0002.JPG", two / "test/good")
    return root


def test_good_and_bad_give_the_labels_and_masks_are_paired_by_stem() -> None:
    rows, faults = read("visa_prepared", ROOT)
    assert faults == []
    assert {
        path.removeprefix("1cls/"): (row["split"], row["label"], Path(row["gt_mask_path"] or "").name)
        for path, row in rows.items()
    } == {
        "candle/train/good/0000.JPG": ("train", "normal", ""),
        "candle/train/good/0001.JPG": ("train", "normal", ""),
        "candle/test/good/0002.JPG": ("test", "normal", ""),
        "candle/test/bad/000.JPG": ("test", "anomalous", "000.png"),
        "candle/test/bad/001.JPG": ("test", "anomalous", "001.png"),
        "pcb1/train/good/0000.JPG": ("train", "normal", ""),
        "pcb1/test/good/0001.JPG": ("test", "normal", ""),
        "pcb1/test/bad/000.JPG": ("test", "anomalous", "000.png"),
    }
    assert all(row["defect_types"] == [] for row in rows.values())
    assert set(column(rows, "licence").values()) == {"CC BY 4.0"}


def test_the_first_mask_that_shows_something_tells_what_its_values_mean(tmp_path: Path) -> None:
    rows, _ = read("visa_prepared", ROOT)
    assert rows[f"{CANDLE}/test/bad/000.JPG"]["mask_kind"] == "binary"
    assert rows["1cls/pcb1/test/bad/000.JPG"]["mask_kind"] == "classes"
    root = copied("visa_prepared", tmp_path)
    (root / CANDLE / "ground_truth/bad/000.png").write_bytes(b"not an image")
    rows, _ = read("visa_prepared", root)
    assert rows[f"{CANDLE}/test/bad/001.JPG"]["mask_kind"] == "binary"


@pytest.mark.parametrize("below", ["", "VisA_pytorch", "visa_pytorch"])
def test_the_objects_may_lie_in_folders_of_the_script(tmp_path: Path, below: str) -> None:
    root = copied("visa_prepared", tmp_path / below)
    outer = tmp_path / below
    (root / "1cls").rename(outer / "1cls")
    shutil.rmtree(root)
    for place, n_parts in ((tmp_path, 5 + bool(below)), (outer, 5), (outer / "1cls", 4)):
        assert visa_prepared.detect(place) == []
        rows, faults = read("visa_prepared", place)
        assert faults == [] and len(rows) == 8
        assert {len(path.split("/")) for path in rows} == {n_parts}
    rows, faults = read("visa_prepared", outer / CANDLE)
    assert faults == [] and set(column(rows, "category").values()) == {"candle"}
    assert recognise(outer / CANDLE)[0] == "visa_prepared"


@pytest.mark.parametrize("name", ["2cls_highshot", "2cls_fewshot"])
def test_a_two_class_variant_has_anomalous_images_in_train(tmp_path: Path, name: str) -> None:
    root = two_class(copied("visa_prepared", tmp_path), name)
    shutil.rmtree(root / "1cls")
    rows, faults = read("visa_prepared", root)
    assert faults == []
    assert {
        path.removeprefix(f"{name}/candle/"): (row["split"], row["label"], row["gt_mask_path"])
        for path, row in rows.items()
    } == {
        "train/good/0000.JPG": ("train", "normal", None),
        "train/bad/000.JPG": (
            "train",
            "anomalous",
            str(root / name / "candle/ground_truth/train/bad/000.png"),
        ),
        "test/good/0002.JPG": ("test", "normal", None),
        "test/bad/001.JPG": ("test", "anomalous", str(root / name / "candle/ground_truth/test/bad/001.png")),
    }


def test_of_several_variants_one_is_read(tmp_path: Path) -> None:
    root = two_class(copied("visa_prepared", tmp_path), "2cls_fewshot")
    rows, faults = read("visa_prepared", root)
    assert codes(faults) == [("other_variant", "2cls_fewshot")]
    assert "only 1cls is read" in faults[0].message and 'variant to "2cls_fewshot"' in faults[0].remedy
    assert {path.split("/")[0] for path in rows} == {"1cls"}
    rows, faults = read("visa_prepared", root, variant="2cls_fewshot")
    assert codes(faults) == [("other_variant", "1cls")]
    assert {path.split("/")[0] for path in rows} == {"2cls_fewshot"}
    with pytest.raises(ValueError, match=r'variant is "2cls", but .* Known: 1cls, 2cls_fewshot\.'):
        read("visa_prepared", root, variant="2cls")


def test_trees_that_could_be_anybodys_are_left_to_mvtec_ad(tmp_path: Path) -> None:
    for names, reason in (
        (["pcb1"], "pcb1 could be anybody's; no folder named after VisA or a variant"),
        (["pcb1", "candle", "flex"], "flex is not an object of VisA"),
        (["flex"], "no folder of an object of VisA"),
    ):
        root = tmp_path / f"line{len(names)}{names[0]}"
        for name in names:
            shutil.copytree(ROOT / "1cls/pcb1", root / name)
        assert visa_prepared.detect(root)[0].startswith(reason)
        assert recognise(root)[0] == "mvtec_ad"
    root = copied("visa_prepared", tmp_path)
    (root / "1cls/manifest.json").write_text("{}")
    assert visa_prepared.detect(root / "1cls") == [
        "manifest.json says that it was exported, in the layout of mvtec_ad"
    ]


def test_what_is_missing_or_does_not_belong_is_reported(tmp_path: Path) -> None:
    root = copied("visa_prepared", tmp_path)
    masks = root / CANDLE / "ground_truth/bad"
    (masks / "000.png").rename(masks / "0.png")
    (root / CANDLE / "test/scratch").mkdir()
    (root / "1cls/soap").mkdir()
    (root / "notes").mkdir()
    (root / "preview.png").write_bytes(b"x")
    rows, faults = read("visa_prepared", root)
    assert codes(faults) == [
        ("missing_mask", f"{CANDLE}/test/bad/000.JPG"),
        ("orphan_mask", f"{CANDLE}/ground_truth/bad/0.png"),
        ("unknown_folder", f"{CANDLE}/test/scratch"),
        ("unknown_folder", "1cls/soap"),
        ("unknown_folder", "notes"),
        ("unused_image", "preview.png"),
    ]
    assert len(rows) == 8
