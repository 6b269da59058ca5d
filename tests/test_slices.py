"""Slices of a table: which rows stand together, what is missing, and sizes."""

import numpy as np
import pandas as pd
import pytest

from curate.slices import NOT_STATED, Slice, slices, with_largest_region

COLUMNS = ["sample_id", "category", "label", "defect_types", "lot", "position", "camera", "width"]
ROWS = pd.DataFrame(
    [
        ("s0", "acf", "normal", [], "L1", "front", "A", 64),
        ("s1", "acf", "anomalous", ["scratch"], "L2", "front", "B", 64),
        ("s2", "acf", "anomalous", ["scratch", "dent"], None, None, "A", 48),
        ("s3", "sus", "normal", [], "L1", "back", None, 64),
        ("s4", "sus", "anomalous", ["dent"], float("nan"), None, None, 64),
        ("s5", "trace", "normal", [], "L2", "back", "A", 64),
        ("s6", "acf", "anomalous", [], "L1", "back", "A", 64),
        ("s7", "acf", "unknown", [], "L1", "back", "A", 64),
    ],
    columns=COLUMNS,
)


def told(found: list[Slice]) -> dict[str, str]:
    """Value to the numbers of its rows."""
    return {part.value: "".join(str(n) for n in np.flatnonzero(part.chosen)) for part in found}


def test_a_column_makes_a_slice_per_value_and_one_of_what_is_missing() -> None:
    found = slices(ROWS, ["lot"])
    assert told(found) == {"L1": "0367", "L2": "15", NOT_STATED: "24"}
    assert [part.value for part in found][-1] == NOT_STATED
    assert {part.column for part in found} == {"lot"}
    assert told(slices(ROWS, ["category"])) == {"acf": "01267", "sus": "34", "trace": "5"}
    assert told(slices(ROWS, ["width"])) == {"48": "2", "64": "0134567"}


def test_normals_of_the_category_stay_as_negatives_of_a_defect_type() -> None:
    # s5 is normal, of a category without that type; s7 is not looked at
    assert told(slices(ROWS, ["defect_type"])) == {"dent": "0234", "scratch": "012", NOT_STATED: "06"}


def test_a_view_is_position_and_camera() -> None:
    assert told(slices(ROWS, ["view"])) == {
        "A": "2",
        "back": "3",
        "back / A": "567",
        "front / A": "0",
        "front / B": "1",
        NOT_STATED: "4",
    }


def test_sizes_fall_into_bins_that_hold_their_lower_edge() -> None:
    rows = ROWS.assign(diameter=[None, 3.0, 10.0, None, 0.5, None, np.nan, 99.0])
    found = slices(rows, [], {"diameter": [1, 3, 10]})
    assert told(found) == {"< 1": "34", "3 to 10": "01", ">= 10": "02", NOT_STATED: "06"}
    assert [part.value for part in found] == ["< 1", "3 to 10", ">= 10", NOT_STATED]


def test_columns_come_in_the_order_asked_for_and_once() -> None:
    rows = ROWS.assign(diameter=1.0)
    found = slices(rows, ["lot", "category", "lot", "diameter"], {"diameter": [2]})
    assert list(dict.fromkeys(part.column for part in found)) == ["lot", "category", "diameter"]
    assert len(found) == 3 + 3 + 1


def test_the_order_of_rows_changes_only_their_places() -> None:
    order = [5, 2, 0, 7, 1, 6, 4, 3]
    for one, other in zip(
        slices(ROWS, ["lot", "defect_type", "view"]),
        slices(ROWS.iloc[order], ["lot", "defect_type", "view"]),
        strict=True,
    ):
        assert one.value == other.value
        assert one.chosen[order].tolist() == other.chosen.tolist()


def test_an_empty_table_has_no_slice() -> None:
    assert slices(ROWS.iloc[:0], ["lot", "defect_type"]) == []


def test_the_largest_region_stands_for_its_image() -> None:
    regions = pd.DataFrame(
        {
            "sample_id": ["s1", "s1", "s2", "s2"],
            "area_px": [4, 9, 1, 2],
            "diameter_px": [2.3, 3.4, 1.1, 1.6],
            "diameter_um": [23.0, 34.0, 11.0, None],
        }
    )
    found = with_largest_region(ROWS, regions)
    assert found.loc[1, "largest_area_px"] == 9
    assert found.loc[1, "largest_diameter_um"] == 34
    assert found.loc[2, "largest_diameter_px"] == 1.6
    assert pd.isna(found.loc[2, "largest_diameter_um"]), "one of its regions has no scale"
    assert found["largest_area_px"].notna().tolist() == [False, True, True] + [False] * 5
    assert "largest_area_px" not in ROWS.columns
    assert told(slices(found, [], {"largest_diameter_px": [2]})) == {
        "< 2": "02",
        ">= 2": "01",
        NOT_STATED: "0346",
    }


def test_no_region_at_all_leaves_sizes_not_stated() -> None:
    regions = pd.DataFrame({"sample_id": [], "area_px": [], "diameter_px": [], "diameter_um": []})
    assert with_largest_region(ROWS, regions)["largest_area_px"].isna().all()


def test_wrong_columns_edges_and_sizes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r'Unknown column "lott" to slice by. Known: defect_type, view, sample_id'
    ):
        slices(ROWS, ["lott"])
    with pytest.raises(ValueError, match='Unknown column "position"'):
        slices(ROWS.drop(columns="position"), ["view"])
    with pytest.raises(ValueError, match='one value per row in "defect_types"'):
        slices(ROWS, ["defect_types"])
    for edges in ([], [2, 1], [1, 1], [np.nan]):
        with pytest.raises(ValueError, match='edges of "width"'):
            slices(ROWS, [], {"width": edges})
    for size in (-1.0, "big"):
        with pytest.raises(ValueError, match='sizes of 0 or more in "width"'):
            slices(ROWS.assign(width=size), [], {"width": [1]})
