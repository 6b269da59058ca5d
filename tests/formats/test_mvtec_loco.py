"""The MVTec LOCO AD reader on a hand-checked tree, and on what goes wrong in such trees."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.formats import mvtec_loco, recognise
from curate.ground_truth import read as read_truth
from curate.ingest import build_table
from curate.tables import read as read_table
from curate.tables import to_rows, write
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "mvtec_loco"
LOGICAL = "pushpins/test/logical_anomalies"
MASKS = "pushpins/ground_truth/logical_anomalies"
CONFIG = "pushpins/defects_config.json"


def draw(path: Path, *values: int) -> None:
    """A mask file with one row of pixels for each value."""
    pixels = np.zeros((24, 32), dtype=np.uint8)
    for row, value in enumerate(values):
        pixels[row, 4:9] = value
    Image.fromarray(pixels).save(path)


def test_splits_labels_and_types_come_from_folders_and_channels() -> None:
    rows, faults = read("mvtec_loco", ROOT)
    assert faults == []
    assert {path: (row["split"], row["label"], row["defect_types"]) for path, row in rows.items()} == {
        "pushpins/train/good/000.png": ("train", "normal", []),
        "pushpins/train/good/001.png": ("train", "normal", []),
        "pushpins/validation/good/000.png": ("val", "normal", []),
        "pushpins/test/good/000.png": ("test", "normal", []),
        f"{LOGICAL}/000.png": ("test", "anomalous", ["additional_pushpin", "missing_pushpin"]),
        f"{LOGICAL}/001.png": ("test", "anomalous", ["missing_pushpin"]),
        "pushpins/test/structural_anomalies/000.png": ("test", "anomalous", ["contamination"]),
    }
    assert set(column(rows, "licence").values()) == {"CC BY-NC-SA 4.0"}
    assert set(column(rows, "gt_mask_path").values()) == {None}


def test_a_channel_has_the_type_and_the_area_of_its_value() -> None:
    rows, _ = read("mvtec_loco", ROOT)
    row = rows[f"{LOGICAL}/000.png"]
    assert row["mask_channels"] == [
        {
            "path": str(ROOT / MASKS / "000/000.png"),
            "defect_type": "additional_pushpin",
            "value": 255,
            "saturation_threshold": 6300.0,
            "relative_saturation": False,
        },
        {
            "path": str(ROOT / MASKS / "000/001.png"),
            "defect_type": "missing_pushpin",
            "value": 254,
            "saturation_threshold": 1.0,
            "relative_saturation": True,
        },
    ]
    # two boxes of 6 x 8 and 4 x 12 px
    assert row["mask_classes"] == [
        {"value": 254, "defect_type": "missing_pushpin", "area_px": 48},
        {"value": 255, "defect_type": "additional_pushpin", "area_px": 48},
    ]
    assert (row["mask_rule"], row["mask_kind"]) == ("> 0", "classes")


def test_overlapping_channels_stay_apart_and_their_union_is_the_truth() -> None:
    rows, _ = read("mvtec_loco", ROOT)
    truth = read_truth(rows[f"{LOGICAL}/000.png"] | {"height": 24, "width": 32})
    assert truth.mask.sum() == 48 + 48 - 2 * 3  # rows 6 and 7, columns 8 to 10, are in both
    assert truth.values == {254: 48, 255: 48}


def test_the_table_keeps_its_contract_and_its_channels_on_disk(tmp_path: Path) -> None:
    table, faults = build_table(ROOT)
    assert faults == []
    write(table, tmp_path / "samples.parquet")
    assert to_rows(read_table(tmp_path / "samples.parquet")) == to_rows(table)


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ((253,), "unknown_channel_value", "has the value 253, which defects_config.json does not know"),
        ((254, 255), "mixed_channel", "has the values 254, 255; a channel has one"),
        ((), "empty_channel", "has no pixel above 0"),
    ],
)
def test_a_channel_that_says_no_type_is_kept_and_reported(
    tmp_path: Path, values: tuple[int, ...], code: str, message: str
) -> None:
    root = copied("mvtec_loco", tmp_path)
    draw(root / MASKS / "001/000.png", *values)
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [(code, f"{MASKS}/001/000.png")]
    assert message in faults[0].message
    row = rows[f"{LOGICAL}/001.png"]
    assert row["defect_types"] == ["logical_anomalies"]
    [channel] = row["mask_channels"]
    assert channel["defect_type"] is None and channel["saturation_threshold"] is None
    assert channel["value"] == (values[0] if len(values) == 1 else None)
    assert [found["value"] for found in row["mask_classes"]] == list(values)


def test_a_damaged_channel_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    root = copied("mvtec_loco", tmp_path)
    (root / MASKS / "000/000.png").write_bytes(b"not an image")
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [("unreadable_mask", f"{MASKS}/000/000.png")]
    assert rows[f"{LOGICAL}/000.png"]["defect_types"] == ["missing_pushpin"]
    assert len(rows[f"{LOGICAL}/000.png"]["mask_channels"]) == 2


GOOD = {
    "defect_name": "x",
    "pixel_value": 7,
    "saturation_threshold": 0.5,
    "relative_saturation": True,
}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ([], "is not an object"),
        (GOOD | {"defect_name": " "}, "has no defect_name"),
        (GOOD | {"defect_name": "a\nb"}, "has no defect_name"),
        (GOOD | {"pixel_value": 0}, "has the pixel_value 0, expected a whole number from 1 to 255"),
        (GOOD | {"pixel_value": 256}, "has the pixel_value 256"),
        (GOOD | {"pixel_value": True}, "has the pixel_value True"),
        (GOOD | {"pixel_value": 255}, "has the pixel_value 255, which additional_pushpin has too"),
        (GOOD | {"relative_saturation": 1}, "has the relative_saturation 1, expected true or false"),
        (GOOD | {"saturation_threshold": 1}, "has the relative saturation_threshold 1, expected a fraction"),
        (GOOD | {"saturation_threshold": 1.5}, "has the relative saturation_threshold 1.5"),
        (GOOD | {"saturation_threshold": 0.0}, "has the relative saturation_threshold 0.0"),
        (
            GOOD | {"relative_saturation": False},
            "has the absolute saturation_threshold 0.5, expected a whole",
        ),
        (GOOD | {"relative_saturation": False, "saturation_threshold": 0}, "has the absolute"),
        (GOOD | {"relative_saturation": False, "saturation_threshold": 10**400}, "has the absolute"),
        ({key: value for key, value in GOOD.items() if key != "saturation_threshold"}, "None"),
    ],
)
def test_a_wrong_entry_of_the_configuration_is_left_out_and_reported(
    tmp_path: Path, entry: Any, problem: str
) -> None:
    root = copied("mvtec_loco", tmp_path)
    entries = json.loads((root / CONFIG).read_text())
    (root / CONFIG).write_text(json.dumps([*entries, entry]))
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [("bad_annotation", CONFIG)]
    assert "entry 3" in faults[0].message and problem in faults[0].message
    assert rows[f"{LOGICAL}/001.png"]["defect_types"] == ["missing_pushpin"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "missing_config"),
        (b"", "bad_annotation_file"),
        (b"null", "bad_annotation_file"),
        (b'{"defect_name": "x"}', "bad_annotation_file"),
        (b'[{"defect_name": "\xe9"}]', "bad_annotation_file"),
        (b"[" * 100_000, "bad_annotation_file"),
    ],
)
def test_without_a_configuration_the_folder_is_the_type(
    tmp_path: Path, content: bytes | None, code: str
) -> None:
    root = copied("mvtec_loco", tmp_path)
    (root / CONFIG).unlink()
    if content is not None:
        (root / CONFIG).write_bytes(content)
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [(code, CONFIG)]
    row = rows[f"{LOGICAL}/000.png"]
    assert row["defect_types"] == ["logical_anomalies"]
    assert [channel["value"] for channel in row["mask_channels"]] == [255, 254]


def test_what_has_no_partner_is_reported(tmp_path: Path) -> None:
    root = copied("mvtec_loco", tmp_path)
    (root / MASKS / "001").rename(root / MASKS / "002")
    (root / MASKS / "001.png").write_bytes((root / MASKS / "002/000.png").read_bytes())
    (root / MASKS / "000/notes.txt").write_text("x")
    (root / "pushpins/ground_truth/structural_anomalies/000/000.png").unlink()
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [
        ("missing_mask", f"{LOGICAL}/001.png"),
        ("missing_mask", "pushpins/test/structural_anomalies/000.png"),
        ("unknown_file", f"{MASKS}/000/notes.txt"),
        ("unused_image", f"{MASKS}/001.png"),
        ("orphan_mask", f"{MASKS}/002"),
    ]
    assert f"Looked for {MASKS}/001/000.png." in faults[0].message
    assert rows[f"{LOGICAL}/001.png"]["mask_channels"] is None


def test_two_images_of_one_stem_get_no_guessed_channels(tmp_path: Path) -> None:
    root = copied("mvtec_loco", tmp_path)
    (root / LOGICAL / "001.jpg").write_bytes(b"x")
    rows, faults = read("mvtec_loco", root)
    assert codes(faults) == [
        ("ambiguous_mask", f"{LOGICAL}/001.jpg"),
        ("ambiguous_mask", f"{LOGICAL}/001.png"),
    ]
    row = rows[f"{LOGICAL}/001.png"]
    assert row["mask_channels"] is None and row["mask_rule"] is None and row["mask_kind"] is None


def test_a_tree_of_one_mask_per_image_is_not_taken_for_this_layout() -> None:
    assert mvtec_loco.detect(GOLDEN / "mvtec_ad") == [
        "no defects_config.json and no ground_truth/<kind>/<stem> folder of masks in weave"
    ]
    assert recognise(ROOT / "pushpins")[0] == "mvtec_loco"
