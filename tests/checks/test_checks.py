"""Each check of files, masks and labels on a tree that is in order but for the fault it looks for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.checks import CHECKS, Evidence, no_mask
from curate.faults import Fault, to_rows
from curate.ingest import build_table, write_masks
from curate.registry import lookup
from tests.helpers.golden import codes
from tests.helpers.mask_facts import counted
from tests.helpers.tiny import write_mvtec

STAIN = "weave/test/stain"
PASSING_ON = ("unreadable", "layout", "orphans", "decoder_warnings", "wrong_extension")


class Case:
    """A small dataset that a test damages, and what a check then finds."""

    def __init__(self, folder: Path) -> None:
        self.root = write_mvtec(folder / "data")
        self.masks = folder / "masks"
        self.split: pd.DataFrame | None = None

    def ingest(self) -> Evidence:
        table, faults = build_table(self.root)
        faults += write_masks(table, self.masks)
        table.loc[table["gt_mask_path"].notna(), "mask_kind"] = "binary"
        return Evidence(table, self.masks, to_rows(faults), self.split, counted(table))

    def find(self, name: str, evidence: Evidence | None = None) -> list[Fault]:
        found: list[Fault] = lookup(CHECKS, name, "check").run(evidence or self.ingest())
        return found

    def mask(self, name: str, mask: np.ndarray) -> None:
        Image.fromarray(mask).save(self.root / "weave/ground_truth/stain" / name)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_dataset_in_order_has_no_findings(case: Case, name: str) -> None:
    assert case.find(name) == []


def test_unreadable_passes_on_what_ingest_left_out(case: Case) -> None:
    (case.root / "weave/train/good/000.png").write_bytes(b"")
    (case.root / "weave/ground_truth/stain/001_mask.png").write_bytes(b"")
    (case.root / "weave/test/good/caf\udce9.png").write_bytes(b"x")
    assert codes(case.find("unreadable")) == [
        ("name_encoding", r"weave/test/good/caf\xe9.png"),
        ("unreadable_mask", f"{STAIN}/001.png"),
        ("unreadable", "weave/train/good/000.png"),
    ]
    assert case.find("layout") == []


def test_unreadable_finds_files_gone_or_changed_since_ingest(case: Case) -> None:
    evidence = case.ingest()
    (case.root / "weave/train/good/000.png").unlink()
    (case.root / "weave/train/good/001.png").write_bytes(b"x")
    faults = case.find("unreadable", evidence)
    assert codes(faults) == [("unreadable", f"weave/train/good/{name}.png") for name in ("000", "001")]
    assert "has vanished" in faults[0].message
    assert "to 1 bytes since it was ingested" in faults[1].message


def test_a_mask_under_another_name_is_missing_in_the_layout_and_an_orphan(case: Case) -> None:
    masks = case.root / "weave/ground_truth/stain"
    (masks / "000_mask.png").rename(masks / "009_mask.png")
    assert codes(case.find("layout")) == [("missing_mask", f"{STAIN}/000.png")]
    assert codes(case.find("orphans")) == [("orphan_mask", "weave/ground_truth/stain/009_mask.png")]


def test_each_fault_of_ingest_is_passed_on_by_one_check(case: Case) -> None:
    met = [
        "unreadable_mask", "no_permission", "decoder_warning", "wrong_extension", "mask_size", "orphan_boxes",
        "missing_image", "row_without_image", "unknown_folder", "exif_orientation",
    ]  # fmt: skip
    rows = to_rows(Fault(code, "warning", f"{code}.png", "It is odd.", "Mend it.") for code in met)
    evidence = replace(case.ingest(), faults=rows)
    passed = {name: [fault.code for fault in case.find(name, evidence)] for name in PASSING_ON}
    assert passed == {
        "unreadable": ["no_permission", "unreadable_mask"],
        "layout": ["exif_orientation", "unknown_folder"],
        "orphans": ["missing_image", "orphan_boxes", "row_without_image"],
        "decoder_warnings": ["decoder_warning"],
        "wrong_extension": ["wrong_extension"],
    }


def test_mask_size_names_both_sizes(case: Case) -> None:
    case.mask("001_mask.png", np.full((47, 64), 255, np.uint8))
    (fault,) = case.find("mask_size")
    assert (fault.code, fault.severity, fault.relative_path) == ("mask_size", "error", f"{STAIN}/001.png")
    assert "has 64 x 48 px, but its mask 001_mask.png has 64 x 47 px" in fault.message
    assert case.find("layout") == case.find("unreadable") == []


def test_empty_mask_finds_a_mask_without_a_defect_pixel(case: Case) -> None:
    case.mask("001_mask.png", np.zeros((48, 64), np.uint8))
    (fault,) = case.find("empty_mask")
    assert (fault.code, fault.severity, fault.relative_path) == ("empty_mask", "warning", f"{STAIN}/001.png")
    assert case.find("tiny_mask") == []


@pytest.mark.parametrize(("n_pixels", "n_found"), [(1, 1), (9, 1), (10, 0)])
def test_tiny_mask_finds_fewer_than_ten_pixels(case: Case, n_pixels: int, n_found: int) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[7, 3 : 3 + n_pixels] = 255
    case.mask("001_mask.png", mask)
    found = case.find("tiny_mask")
    assert len(found) == n_found
    assert all(f"has a mask of {n_pixels} px in all" in fault.message for fault in found)


def test_exact_duplicates_are_found_across_file_formats(case: Case) -> None:
    good = case.root / "weave/train/good"
    Image.open(good / "002.png").save(good / "100.bmp")
    Image.open(good / "002.png").save(good / "101.png", compress_level=0)
    (fault,) = case.find("exact_duplicates")
    assert fault.severity == "warning"
    assert fault.relative_path == "weave/train/good/002.png"
    assert fault.related == ("weave/train/good/100.bmp", "weave/train/good/101.png")
    assert "002.png and weave/train/good/100.bmp and 1 more show the same picture" in fault.message


def test_a_picture_with_two_labels_is_an_error(case: Case) -> None:
    picture = (case.root / STAIN / "000.png").read_bytes()
    (case.root / "weave/test/good/009.png").write_bytes(picture)
    (fault,) = case.find("exact_duplicates")
    assert fault.severity == "error"
    assert "but are labelled anomalous and normal" in fault.message


def test_a_picture_in_two_delivered_splits_is_an_error(case: Case) -> None:
    picture = (case.root / "weave/train/good/000.png").read_bytes()
    (case.root / "weave/test/good/009.png").write_bytes(picture)
    (fault,) = case.find("split_duplicates")
    assert fault.severity == "error"
    assert fault.message.startswith(
        "weave/test/good/009.png (test) and weave/train/good/000.png (train) show the same picture"
    )


def test_assigned_splits_count_once_there_are_any(case: Case) -> None:
    picture = (case.root / "weave/train/good/000.png").read_bytes()
    (case.root / "weave/test/good/009.png").write_bytes(picture)
    samples = case.ingest().samples
    case.split = pd.DataFrame({"sample_id": samples["sample_id"], "assigned_split": "train"})
    assert case.find("split_duplicates") == []
    case.split.loc[0, "assigned_split"] = "test"
    assert case.find("split_duplicates") == []
    samples["part_id"] = "tile-1"
    evidence = Evidence(samples, case.masks, (), case.split)
    (fault,) = case.find("split_duplicates", evidence)
    assert "show the same part tile-1 in different splits; 19 images are concerned" in fault.message


def test_anomalous_images_of_a_folder_without_masks_are_reported_and_boxes_are_enough(tmp_path: Path) -> None:
    for name in ("ok/1.png", "ng/scratch/2.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)
    table, faults = build_table(tmp_path, "folder")
    (found,) = no_mask.run(Evidence(table, tmp_path / "none", to_rows(faults)))
    assert found.relative_path == "ng/scratch/2.png"
    assert "an export leaves it out" in found.message
    boxed = table.copy()
    index = boxed.index[boxed["label"] == "anomalous"][0]
    boxed.at[index, "boxes"] = [{"box_xyxy": [1.0, 2.0, 9.0, 7.0], "defect_type": "scratch"}]
    assert no_mask.run(Evidence(boxed, tmp_path / "none")) == []
