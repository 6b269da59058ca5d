"""The DeepPCB reader on a hand-checked tree, on what goes wrong, and on the real images."""

from collections import Counter
from pathlib import Path

import pytest

from curate.formats.deep_pcb import parse_box
from tests.helpers.golden import GOLDEN, codes, column, copied, read
from tests.helpers.places import DEEP_PCB

ROOT = GOLDEN / "deep_pcb"
BOARD = "PCBData/group00041/00041"


def test_templates_are_normal_and_tested_images_anomalous_with_boxes() -> None:
    rows, _ = read("deep_pcb", ROOT)
    assert len(rows) == 6
    assert rows[f"{BOARD}/00041000_temp.jpg"]["label"] == "normal"
    assert rows[f"{BOARD}/00041000_temp.jpg"]["boxes"] is None
    tested = rows[f"{BOARD}/00041000_test.jpg"]
    assert tested["label"] == "anomalous"
    assert tested["defect_types"] == ["mousebite", "open"]
    assert tested["boxes"] == [
        {"box_xyxy": [6, 5, 20, 16], "defect_type": "mousebite"},
        {"box_xyxy": [30, 20, 41, 31], "defect_type": "open"},
    ]


def test_a_pair_is_one_part_and_a_group_one_lot() -> None:
    rows, _ = read("deep_pcb", ROOT)
    assert Counter(column(rows, "part_id").values()) == {
        "group00041-00041000": 2,
        "group00041-00041001": 2,
        "group12300-12300000": 2,
    }
    assert rows["PCBData/group12300/12300/12300000_test.jpg"]["lot"] == "group12300"
    assert {row["um_per_px"] for row in rows.values()} == {1000 / 48}


def test_the_lists_give_the_split_and_what_they_leave_out_is_reported() -> None:
    rows, faults = read("deep_pcb", ROOT)
    splits = column(rows, "split")
    assert splits[f"{BOARD}/00041000_temp.jpg"] == splits[f"{BOARD}/00041000_test.jpg"] == "train"
    assert splits[f"{BOARD}/00041001_test.jpg"] == "test"
    assert splits["PCBData/group12300/12300/12300000_test.jpg"] is None
    assert codes(faults) == [("unlisted", "PCBData/group12300/12300/12300000_test.jpg")]


def test_without_lists_there_is_no_split(tmp_path: Path) -> None:
    root = copied("deep_pcb", tmp_path)
    for name in ("trainval.txt", "test.txt"):
        (root / "PCBData" / name).unlink()
    rows, faults = read("deep_pcb", root)
    assert set(column(rows, "split").values()) == {None}
    assert faults == []


def test_the_folder_of_the_groups_is_a_dataset_too() -> None:
    rows, _ = read("deep_pcb", ROOT / "PCBData")
    assert rows["group00041/00041/00041000_test.jpg"]["split"] == "train"


def test_every_wrong_line_is_reported_with_file_and_number(tmp_path: Path) -> None:
    root = copied("deep_pcb", tmp_path)
    path = root / "PCBData/group00041/00041_not/00041000.txt"
    path.write_text("6 5 20 16 3\n\n20 5 6 16 3\n1 2 3\n1 2 70 9 1\n1 2 9 9 7\n-1 2 9 9 1\n")
    rows, faults = read("deep_pcb", root)
    bad = [fault.message for fault in faults if fault.code == "bad_box"]
    where = "PCBData/group00041/00041_not/00041000.txt"
    assert sorted(bad) == [
        f'{where}, line 3: "20 5 6 16 3" has corners out of order, expected x1 < x2 and y1 < y2; '
        "it is left out.",
        f'{where}, line 4: "1 2 3" is not five whole numbers x1 y1 x2 y2 type; it is left out.',
        f'{where}, line 5: "1 2 70 9 1" leaves the image of 64 x 48 px; it is left out.',
        f'{where}, line 6: "1 2 9 9 7" has type 7, expected 1 to 6 '
        "(open, short, mousebite, spur, copper, pin-hole); it is left out.",
        f'{where}, line 7: "-1 2 9 9 1" leaves the image of 64 x 48 px; it is left out.',
    ]
    assert [box["box_xyxy"] for box in rows[f"{BOARD}/00041000_test.jpg"]["boxes"]] == [[6, 5, 20, 16]]


def test_a_box_may_touch_the_edge_but_not_cross_it() -> None:
    assert isinstance(parse_box("0 0 64 48 1", (48, 64)), dict)
    assert parse_box("0 0 65 48 1", (48, 64)) == "leaves the image of 64 x 48 px"


def test_incomplete_pairs_are_reported(tmp_path: Path) -> None:
    root = copied("deep_pcb", tmp_path)
    for name in ("trainval.txt", "test.txt"):
        (root / "PCBData" / name).unlink()
    (root / BOARD / "00041000_temp.jpg").unlink()
    (root / BOARD / "00041001_test.jpg").unlink()
    (root / "PCBData/group12300/12300_not/12300000.txt").unlink()
    rows, faults = read("deep_pcb", root)
    assert codes(faults) == [
        ("missing_boxes", "PCBData/group12300/12300/12300000_test.jpg"),
        ("missing_template", f"{BOARD}/00041000_test.jpg"),
        ("missing_test_image", f"{BOARD}/00041001_temp.jpg"),
        ("orphan_boxes", "PCBData/group00041/00041_not/00041001.txt"),
    ]
    assert rows["PCBData/group12300/12300/12300000_test.jpg"]["boxes"] is None


def test_a_pair_in_both_lists_and_a_listed_but_absent_one_are_reported(tmp_path: Path) -> None:
    root = copied("deep_pcb", tmp_path)
    with (root / "PCBData/test.txt").open("a") as file:
        file.write("group00041/00041/00041000.jpg x.txt\ngroup00041/00041/00041999.jpg x.txt\n")
    rows, faults = read("deep_pcb", root)
    assert rows[f"{BOARD}/00041000_test.jpg"]["split"] is None
    assert ("split_conflict", f"{BOARD}/00041000_test.jpg") in codes(faults)
    assert any("names 1 pairs that are not here" in fault.message for fault in faults)


@pytest.mark.real_images
def test_the_real_set_is_read_without_a_fault() -> None:
    rows, faults = read("deep_pcb", DEEP_PCB)
    assert faults == []
    assert Counter(column(rows, "label").values()) == {"normal": 762, "anomalous": 762}
    assert Counter(column(rows, "lot").values()) == {
        "group00041": 442,
        "group12300": 196,
        "group13000": 432,
        "group77000": 214,
        "group92000": 240,
    }
    types = Counter(box["defect_type"] for row in rows.values() for box in row["boxes"] or [])
    assert types == {
        "mousebite": 1022,
        "open": 879,
        "spur": 821,
        "pin-hole": 811,
        "copper": 774,
        "short": 604,
    }
