"""Regions with and without defect types become one mask, and nothing of them is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.drawn_types import Region, combined, known_values, values_for

HW = 9, 13


def region(name: str | None, top: int, left: int, side: int = 2) -> Region:
    return name, (left, top, left + side, top + side), np.ones((side, side), dtype=bool)


def test_one_type_for_all_regions_is_the_type_of_the_image() -> None:
    drawn = combined([region("dent", 0, 0), region("dent", 5, 5)], HW)
    assert (drawn.defect_type, drawn.classes, drawn.mask.dtype, drawn.mask.sum()) == ("dent", None, bool, 8)


def test_no_type_stays_none() -> None:
    drawn = combined([region(None, 0, 0)], HW)
    assert (drawn.defect_type, drawn.classes) == (None, None)
    assert combined([], HW).mask.sum() == 0


def test_several_types_have_values_that_the_dataset_knows() -> None:
    three = [region("hole", 0, 0), region("dent", 5, 5, 3), region(None, 0, 9)]
    drawn = combined(three, HW, lambda: {"hole": 7})
    assert drawn.defect_type is None
    assert drawn.classes == [
        {"value": 1, "defect_type": "dent", "area_px": 9},
        {"value": 7, "defect_type": "hole", "area_px": 4},
        {"value": 255, "defect_type": None, "area_px": 4},
    ]
    assert (drawn.mask[0, 0], drawn.mask[6, 6], drawn.mask[0, 9], drawn.mask[8, 12]) == (7, 1, 255, 0)


def test_a_type_that_another_one_covers_wholly_is_not_told() -> None:
    drawn = combined([region("hole", 1, 1), region("dent", 0, 0, 4), region(None, 0, 0, 3)], HW)
    assert (drawn.defect_type, drawn.classes, drawn.mask.sum()) == ("dent", None, 16)


def test_a_type_that_could_not_name_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        combined([region("a/b", 0, 0)], HW)


def test_values_run_out_after_254_types() -> None:
    known = {f"type {n}": n for n in range(1, 255)}
    assert values_for(["type 3"], known) == {"type 3": 3}
    with pytest.raises(ValueError, match=r'at most 254 .* instead of "new"'):
        values_for(["new"], known)


def test_known_values_are_those_of_all_verdicts() -> None:
    told = [{"value": 2, "defect_type": "hole"}, {"value": 255, "defect_type": None}]
    assert known_values([{"mask_classes": told}, {"mask_classes": None}, {}]) == {"hole": 2}


REGIONS = st.lists(
    st.tuples(
        st.sampled_from([None, "dent", "hole", "burr"]),
        st.integers(0, HW[0] - 1),
        st.integers(0, HW[1] - 1),
        st.integers(1, 5),
        st.integers(1, 5),
        st.integers(0, 2**25 - 1),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(REGIONS)
def test_the_mask_is_the_union_and_its_values_say_where_each_type_is(
    raw: list[tuple[str | None, int, int, int, int, int]],
) -> None:
    regions: list[Region] = []
    union = np.zeros(HW, dtype=bool)
    for name, top, left, height, width, bits in raw:
        bottom, right = min(HW[0], top + height), min(HW[1], left + width)
        n_rows, n_columns = bottom - top, right - left
        flat = np.array([bits >> n & 1 for n in range(n_rows * n_columns)], dtype=bool)
        crop = flat.reshape(n_rows, n_columns)
        regions.append((name, (left, top, right, bottom), crop))
        union[top:bottom, left:right] |= crop
    drawn = combined(regions, HW)
    assert np.array_equal(drawn.mask > 0, union)
    told = {each["value"]: each["area_px"] for each in drawn.classes or ()}
    counts = np.bincount(np.asarray(drawn.mask, dtype=np.uint8).ravel(), minlength=256)
    assert all(counts[value] == area for value, area in told.items())
    if drawn.classes:
        assert sum(told.values()) == union.sum()
        assert len(told) == len({each["defect_type"] for each in drawn.classes}) > 1
