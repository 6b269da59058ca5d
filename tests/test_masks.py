"""Masks: the rule that makes them bool, regions against an oracle, boxes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage

from curate.masks import boxes_to_mask, label_regions, read_mask, regions

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 17)))


def test_the_rule_decides_which_grey_values_are_defect(tmp_path: Path) -> None:
    values = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)
    Image.fromarray(values).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[False, True, True], [True, True, True]]
    assert read_mask(tmp_path / "m.png", "> 127").tolist() == [[False, False, False], [True, True, True]]


def test_a_colour_mask_counts_by_its_brightest_channel(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 3), np.uint8)
    values[1, 2] = (200, 0, 0)
    Image.fromarray(values).save(tmp_path / "m.png")
    assert np.argwhere(read_mask(tmp_path / "m.png", "> 127")).tolist() == [[1, 2]]


def test_alpha_does_not_make_a_defect(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 4), np.uint8)
    values[..., 3] = 255
    Image.fromarray(values).save(tmp_path / "m.png")
    assert not read_mask(tmp_path / "m.png").any()


def test_a_wrong_rule_is_named() -> None:
    with pytest.raises(ValueError, match='found ">= 1"'):
        read_mask(Path("m.png"), ">= 1")


def test_regions_by_hand() -> None:
    mask = np.zeros((6, 8), bool)
    mask[0:2, 5:8] = True
    mask[2, 4] = True  # touches the first at a corner
    mask[4:6, 0] = True
    found = regions(mask)
    assert [region.box_xyxy for region in found] == [(4, 0, 8, 3), (0, 4, 1, 6)]
    assert [region.area_px for region in found] == [7, 2]


def test_no_region_in_an_empty_mask() -> None:
    assert regions(np.zeros((48, 64), bool)) == []
    assert label_regions(np.zeros((48, 64), bool))[1] == 0


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Slow, obvious oracle: grow each region pixel by pixel."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        region, edge = {start}, [start]
        while edge:
            r, c = edge.pop()
            near = {(r + dr, c + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} & left
            left -= near
            region |= near
            edge += near
        found.append(region)
    return found


@given(MASKS)
def test_regions_agree_with_the_oracles(mask: np.ndarray) -> None:
    oracle = flood(mask)
    labels, n_regions = label_regions(mask)
    assert n_regions == len(oracle) == ndimage.label(mask, np.ones((3, 3)))[1]
    assert [set(map(tuple, np.argwhere(labels == k + 1).tolist())) for k in range(n_regions)] == oracle
    assert [region.area_px for region in regions(mask)] == [len(region) for region in oracle]
    for region, pixels in zip(regions(mask), oracle, strict=True):
        rows, columns = zip(*pixels, strict=True)
        assert region.box_xyxy == (min(columns), min(rows), max(columns) + 1, max(rows) + 1)


@given(st.integers(0, 60), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30))
def test_a_box_survives_the_way_to_a_mask_and_back(x0: int, y0: int, width: int, height: int) -> None:
    box = (x0, y0, min(64, x0 + width), min(48, y0 + height))
    (region,) = regions(boxes_to_mask([box], (48, 64)))
    assert region.box_xyxy == box
    assert region.area_px == (box[2] - box[0]) * (box[3] - box[1])


def test_boxes_outside_or_inverted_fill_nothing() -> None:
    assert not boxes_to_mask([(64, 0, 70, 5), (-9, -9, 0, 0), (20, 9, 10, 12)], (48, 64)).any()
    assert boxes_to_mask([(-5, -5, 2, 1)], (48, 64)).sum() == 2


def test_a_partly_covered_pixel_counts_as_covered() -> None:
    assert boxes_to_mask([(1.5, 0.2, 2.1, 1)], (2, 4)).tolist() == [[False, True, True, False], [False] * 4]
