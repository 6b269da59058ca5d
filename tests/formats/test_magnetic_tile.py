"""The magnetic tile reader on a hand-checked tree, on what goes wrong, and on the real images."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from curate.checks import CHECKS, Evidence
from curate.formats.magnetic_tile import part_starts
from curate.ingest import build_table, write_masks
from curate.masks import read_mask
from curate.registry import lookup
from tests.helpers.golden import GOLDEN, codes, column, copied, read
from tests.helpers.mask_facts import counted
from tests.helpers.places import MAGNETIC_TILE

ROOT = GOLDEN / "magnetic_tile"


def test_labels_and_defect_types_come_from_the_folder() -> None:
    rows, faults = read("magnetic_tile", ROOT)
    assert faults == []
    assert {path: (row["label"], row["defect_types"], row["part_id"]) for path, row in rows.items()} == {
        "MT_Crack/Imgs/exp3_num_557.jpg": ("anomalous", ["crack"], "tile-000524"),
        "MT_Free/Imgs/exp1_num_524.jpg": ("normal", [], "tile-000524"),
        "MT_Free/Imgs/exp2_num_542.jpg": ("normal", [], "tile-000524"),
        "MT_Free/Imgs/exp1_num_9000.jpg": ("normal", [], "tile-009000"),
        "MT_Uneven/Imgs/exp4_num_9040.jpg": ("anomalous", ["uneven"], "tile-009000"),
    }


def test_a_mask_pixel_is_defect_when_half_of_it_is() -> None:
    rows, _ = read("magnetic_tile", ROOT)
    row = rows["MT_Crack/Imgs/exp3_num_557.jpg"]
    mask = read_mask(Path(row["gt_mask_path"]), row["mask_rule"])
    assert mask.shape == (48, 64)
    # rows 8 to 13 are 255 and row 14 is 128; row 7 is 100 and a speck at row 30 is 1
    assert np.argwhere(mask).min(axis=0).tolist() == [8, 20]
    assert np.argwhere(mask).max(axis=0).tolist() == [14, 29]
    assert mask.sum() == 7 * 10


def test_normal_images_keep_their_empty_masks() -> None:
    rows, _ = read("magnetic_tile", ROOT)
    assert {row["mask_kind"] for row in rows.values()} == {"grey"}
    normal = {path: row for path, row in rows.items() if row["label"] == "normal"}
    assert len(normal) == 3
    for path, row in normal.items():
        assert row["gt_mask_path"] == str((ROOT / path).with_suffix(".png"))
        assert not read_mask(Path(row["gt_mask_path"]), row["mask_rule"]).any()


@pytest.mark.parametrize(
    ("numbers", "starts"),
    [
        ([(10, 1), (30, 2), (900, 1), (920, 2)], [10, 10, 900, 900]),
        ([(10, 4), (30, 5), (50, 6), (60, 1), (80, 2)], [10] * 5),  # the round begins at exposure 4
        ([(10, 1), (12, 1), (30, 2), (33, 2)], [10] * 4),  # two tiles in turn
        ([(10, 1), (1200, 2), (2501, 3)], [10, 10, 2501]),
        ([(53011, 1), (53025, 2), (65001, 1), (65017, 2)], [53011] * 4),  # photographed again
        ([], []),
    ],
)
def test_parts_follow_numbers_and_exposures(numbers: list[tuple[int, int]], starts: list[int]) -> None:
    assert part_starts(numbers) == starts


def test_missing_and_orphan_masks_and_odd_names_are_reported(tmp_path: Path) -> None:
    root = copied("magnetic_tile", tmp_path)
    images = root / "MT_Crack/Imgs"
    (images / "exp3_num_557.png").rename(images / "exp3_num_558.png")
    (root / "MT_Free/Imgs/exp1_num_9000.jpg").rename(root / "MT_Free/Imgs/tile.jpg")
    (root / "MT_Free/Imgs/exp1_num_9000.png").unlink()
    (root / "MT_Holes").mkdir()
    rows, faults = read("magnetic_tile", root)
    assert codes(faults) == [
        ("missing_mask", "MT_Crack/Imgs/exp3_num_557.jpg"),
        ("orphan_mask", "MT_Crack/Imgs/exp3_num_558.png"),
        ("unknown_part", "MT_Free/Imgs/tile.jpg"),
        ("unknown_folder", "MT_Holes"),
    ]
    assert rows["MT_Free/Imgs/tile.jpg"]["part_id"] is None


@pytest.mark.real_images
def test_the_real_set_has_912_images_of_138_parts_without_a_fault() -> None:
    rows, faults = read("magnetic_tile", MAGNETIC_TILE)
    assert faults == []
    kinds = Counter(path.split("/")[0] for path in rows)
    assert kinds == {
        "MT_Blowhole": 57,
        "MT_Break": 70,
        "MT_Crack": 45,
        "MT_Fray": 31,
        "MT_Free": 632,
        "MT_Uneven": 77,
    }
    assert len(set(column(rows, "part_id").values())) == 138


@pytest.mark.real_images
def test_the_real_set_has_three_empty_and_two_tiny_masks(tmp_path: Path) -> None:
    table, faults = build_table(MAGNETIC_TILE)
    assert faults == [] and write_masks(table, tmp_path) == []
    evidence = Evidence(table, tmp_path, mask_facts=counted(table))
    names = ("empty_mask", "tiny_mask", "mask_on_normal", "mask_size")
    found = {
        name: [fault.relative_path for fault in lookup(CHECKS, name, "check").run(evidence)] for name in names
    }
    assert found == {
        "empty_mask": [
            f"MT_Uneven/Imgs/exp{name}.jpg" for name in ("3_num_45042", "4_num_124690", "4_num_352527")
        ],
        "tiny_mask": [f"MT_Uneven/Imgs/exp{name}.jpg" for name in ("3_num_24829", "4_num_24843")],
        "mask_on_normal": [],
        "mask_size": [],
    }
    assert len(table) == table["gt_mask_path"].notna().sum() == 912
    # the rule "> 127" empties no mask that "> 0" does not
    anomalous = table[table["label"] == "anomalous"]
    empty = [path for path in anomalous["gt_mask_path"] if not read_mask(Path(path), "> 0").any()]
    assert len(anomalous) == 280 and len(empty) == 3
