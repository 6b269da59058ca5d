"""Subsets of small defects: which images belong, and normals that match without a part in two places."""

from collections import Counter
from typing import Any

import pytest

from curate.errors import CurateError, DataFault
from curate.subset_choice import Limit, choose_small, limit_of, match_normals, parts_that_cross

PX = Limit("diameter_px", 10.0)


def image(name: str, label: str = "normal", split: str = "test", **changed: Any) -> dict[str, Any]:
    return {
        "sample_id": name, "relative_path": f"{name}.png", "label": label, "assigned_split": split,
        "category": "weave", "part_id": name, "lot": None, "camera": None, "lighting": None, "site": None,
        **changed,
    }  # fmt: skip


def region(name: str, diameter_px: float, um: float | None = None) -> dict[str, Any]:
    return {
        "sample_id": name, "diameter_px": diameter_px, "area_px": round(diameter_px**2),
        "diameter_um": None if um is None else um * diameter_px, "area_fraction": diameter_px**2 / 3072,
    }  # fmt: skip


ROWS = [
    image("only small", "anomalous"), image("both", "anomalous"), image("large", "anomalous"),
    image("trained", "anomalous", "train"), image("calibrated", "anomalous", "calibration"),
]  # fmt: skip
REGIONS = [
    region("only small", 10.0), region("only small", 3.0), region("both", 4.0), region("both", 40.0),
    region("large", 30.0), region("trained", 5.0), region("calibrated", 6.0), region("elsewhere", 1.0),
]  # fmt: skip


def test_an_image_belongs_when_all_its_regions_are_small() -> None:
    small = choose_small(ROWS, REGIONS, PX)
    assert small.members == {"only small": (2, 2), "calibrated": (1, 1)}
    assert (small.n_small, small.n_beside_larger, small.n_images_beside_larger) == (5, 1, 1)
    assert (small.n_in_train, small.n_crossing) == (1, 0)


def test_any_region_takes_images_with_larger_ones() -> None:
    small = choose_small(ROWS, REGIONS, PX, any_region=True)
    assert small.members == {"only small": (2, 2), "calibrated": (1, 1), "both": (1, 2)}


def test_the_limit_itself_is_small() -> None:
    assert "only small" not in choose_small(ROWS, REGIONS, Limit("diameter_px", 9.99)).members
    assert "only small" in choose_small(ROWS, REGIONS, Limit("area_px", 100)).members
    assert "only small" in choose_small(ROWS, REGIONS, Limit("area_fraction", 100 / 3072)).members


def test_parts_in_two_parts_of_the_split_are_left_out() -> None:
    rows = [*ROWS, image("twin", "normal", "train", part_id="only small")]
    small = choose_small(rows, REGIONS, PX)
    assert set(small.members) == {"calibrated"} and small.n_crossing == 1
    assert parts_that_cross(rows) == {"only small"}


def test_micrometres_without_a_scale_name_the_images() -> None:
    regions = [region("only small", 4.0, um=2.0), region("both", 4.0)]
    with pytest.raises(DataFault, match=r"1 images with defects have no um_per_px:\n  both.png"):
        choose_small(ROWS, regions, Limit("diameter_um", 9.0))
    assert choose_small(ROWS, regions[:1], Limit("diameter_um", 8.0)).members == {"only small": (1, 1)}


def test_no_small_region_tells_the_smallest() -> None:
    with pytest.raises(CurateError, match=r"at most 2; the smallest has 3\. See the sizes"):
        choose_small(ROWS, REGIONS, Limit("diameter_px", 2.0))
    with pytest.raises(CurateError, match="no region at all"):
        choose_small(ROWS, [], PX)


def limits(**given: float) -> Limit:
    names = ("diameter_um", "diameter_px", "area_px", "area_fraction")
    return limit_of(**{**dict.fromkeys(names), **given})


def test_exactly_one_limit_is_taken() -> None:
    assert limits(area_px=9) == Limit("area_px", 9.0)
    with pytest.raises(ValueError, match="found none"):
        limits()
    with pytest.raises(ValueError, match="found --max-diameter-px 5 and --max-area-px 9"):
        limits(diameter_px=5, area_px=9)
    for wrong in ({"area_px": 0.0}, {"diameter_px": -1.0}, {"area_fraction": 2.0}, {"area_px": float("nan")}):
        with pytest.raises(ValueError, match="Expected --max-"):
            limits(**wrong)


def crowd(n: int, **changed: Any) -> list[dict[str, Any]]:
    return [image(f"{changed} {index}", **changed) for index in range(n)]


def test_normals_come_from_the_same_category_and_part() -> None:
    rows = [
        *ROWS, *crowd(8), *crowd(8, split="calibration"), *crowd(9, split="train"),
        *crowd(9, category="other"), *crowd(9, label="unknown"),
    ]  # fmt: skip
    matched = match_normals(rows, ["only small", "calibrated"], 3)
    by_id = {row["sample_id"]: row for row in rows}
    places = Counter((by_id[n]["label"], by_id[n]["category"], by_id[n]["assigned_split"])
                     for n in matched.sample_ids)  # fmt: skip
    assert places == {("normal", "weave", "test"): 3, ("normal", "weave", "calibration"): 3}
    assert not matched.short and not matched.n_unlike


def test_the_ratio_of_the_part_is_kept_unless_told() -> None:
    rows = [*ROWS, *crowd(9)]  # 3 anomalous images in test, 9 normal ones
    matched = match_normals(rows, ["only small", "both"])
    assert matched.wanted == {("weave", "test"): 6} and len(matched.sample_ids) == 6


def test_lots_and_cameras_have_the_shares_of_the_defects() -> None:
    defects = [image(f"d{index}", "anomalous", lot="A" if index < 3 else "B") for index in range(4)]
    rows = [*defects, *crowd(20, lot="A"), *crowd(20, lot="B"), *crowd(20, lot="C"), *crowd(20, camera="2")]
    matched = match_normals(rows, [row["sample_id"] for row in defects], 2)
    lots = Counter(row["lot"] for row in rows if row["sample_id"] in matched.sample_ids)
    assert lots == {"A": 6, "B": 2} and matched.n_unlike == 0


def test_what_runs_out_is_filled_in_and_told() -> None:
    defects = [image(f"d{index}", "anomalous", lot="A") for index in range(4)]
    rows = [*defects, *crowd(3, lot="A"), *crowd(4, lot="B")]
    matched = match_normals(rows, [row["sample_id"] for row in defects], 1.5)
    assert len(matched.sample_ids) == 6 and matched.n_unlike == 3 and not matched.short
    matched = match_normals(rows, [row["sample_id"] for row in defects], 3)
    assert len(matched.sample_ids) == 7 and matched.short == {("weave", "test"): 5}


def test_matched_normals_share_no_part_with_another_part_of_the_split() -> None:
    twins = [image(f"twin {i}", part_id=f"part {i}") for i in range(9)]
    rows = [*ROWS, *twins, *(image(f"t{i}", split="train", part_id=f"part {i}") for i in range(6))]
    matched = match_normals(rows, ["only small"], 9)
    assert matched.sample_ids == ["twin 6", "twin 7", "twin 8"]


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    rows = [*ROWS, *crowd(40)]
    first = match_normals(rows, ["only small"], 8)
    assert match_normals(rows[::-1], ["only small"], 8) == first
    assert match_normals(rows, ["only small"], 8, seed=1).sample_ids != first.sample_ids
    with pytest.raises(ValueError, match="more than 0 normal images"):
        match_normals(rows, ["only small"], 0)
