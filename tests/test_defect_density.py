"""Where defects lie: shares of cells by hand, nothing lost or made, images counted once."""

from pathlib import Path

import numpy as np
import pytest

from curate import density_cache
from curate.defect_density import Mark, counted, covered, grid_of, images_at, mark, mark_boxes, types_of
from curate.masks import boxes_to_mask

GRID = (6, 8)


def test_a_mask_that_ends_within_cells_covers_parts_of_them() -> None:
    mask = np.zeros((4, 10), dtype=bool)
    mask[1:4, 3:7] = True  # rows 0.25 to 1, columns 0.3 to 0.7
    # two rows of cells: the upper one is half covered; five columns of 0.2: 0.3-0.4, 0.4-0.6, 0.6-0.7
    expected = np.outer([0.5, 1.0], [0.0, 0.5, 1.0, 0.5, 0.0])
    assert covered(mask, (2, 5)) == pytest.approx(expected)


@pytest.mark.parametrize("image_hw", [(48, 64), (5, 7), (6, 8), (301, 33)])
def test_the_marked_share_of_an_image_is_kept_whatever_its_size(image_hw: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(image_hw))
    mask = rng.random(image_hw) < 0.1
    shares = covered(mask, GRID)
    assert shares.mean() == pytest.approx(mask.mean())
    assert shares.min() >= 0 and shares.max() <= 1 + 1e-12


def test_boxes_cover_what_their_mask_covers() -> None:
    boxes = [(3.0, 5.0, 17.0, 20.0), (40.0, 30.0, 80.0, 36.0), (-4.0, 44.0, 2.0, 48.0)]
    found = mark_boxes("a", ["dent"], boxes, (48, 64), GRID)
    filled = mark("a", ["dent"], boxes_to_mask(boxes, (48, 64)), GRID)
    assert np.array_equal(found.cells, filled.cells)
    assert found.shares == pytest.approx(filled.shares)
    twice = mark_boxes("a", [], [boxes[0], boxes[0]], (48, 64), GRID)
    assert twice.shares.max() == 1.0


def test_an_image_counts_once_in_a_cell_and_only_with_the_type_asked_for() -> None:
    left, right = np.zeros((48, 64), dtype=bool), np.zeros((48, 64), dtype=bool)
    left[0:8, 0:8] = True  # exactly the first cell
    right[0:8, 0:16] = True  # the first two
    marks = [mark("a", ["dent"], left, GRID), mark("a", ["stain"], right, GRID), mark("b", [], right, GRID)]
    everything = counted(marks, GRID)
    assert (everything.n_in_cell[0, :3].tolist(), everything.n_images) == ([2, 2, 0], 2)
    assert everything.n_in_cell.sum() == 4
    assert everything.area[0, :3].tolist() == pytest.approx([2, 2, 0])  # what overlaps in "a" is one area
    dents = counted(marks, GRID, "dent")
    assert (dents.n_in_cell[0, :2].tolist(), dents.n_images) == ([1, 0], 1)
    assert types_of(marks) == {"dent": 1, "stain": 1}


def test_the_order_of_the_images_does_not_matter_and_empty_masks_mark_nothing() -> None:
    rng = np.random.default_rng(3)
    marks = [mark(str(index), ["dent"], rng.random((48, 64)) < 0.01, GRID) for index in range(6)]
    marks.append(mark("empty", ["dent"], np.zeros((48, 64), dtype=bool), GRID))
    one, other = counted(marks, GRID), counted(marks[::-1], GRID)
    assert np.array_equal(one.n_in_cell, other.n_in_cell)
    assert (one.n_images, types_of(marks)) == (6, {"dent": 6})


def test_the_images_of_cells_are_found_by_type() -> None:
    first = Mark("a", ("dent",), np.array([0, 9], np.int32), np.ones(2))
    second = Mark("b", ("stain",), np.array([9], np.int32), np.ones(1))
    assert images_at([second, first], [9]) == ["b", "a"]
    assert images_at([first, second], [9], "stain") == ["b"]
    assert images_at([first, second], [1]) == []


def test_an_elongated_part_keeps_enough_cells_across() -> None:
    assert grid_of([(4000, 200)] * 3) == (64, 8)
    assert grid_of([(48, 64), (48, 64), (64, 48)]) == (48, 64)


def test_marks_come_back_from_their_file_and_a_damaged_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "weave.npz"
    assert density_cache.read(path) == {}
    rng = np.random.default_rng(5)
    held = {
        "k1": [mark("a", types, rng.random((48, 64)) < 0.02, GRID) for types in (["dent", "Kratzer ä"], [])],
        "k2": [],
        "k3": [mark("b", ["dent"], np.zeros((48, 64), dtype=bool), GRID)],
    }  # fmt: skip
    density_cache.write(path, held)
    found = density_cache.read(path)
    assert list(found) == ["k1", "k2", "k3"]
    for key, marks in held.items():
        assert len(found[key]) == len(marks)
        for one, other in zip(found[key], marks, strict=True):
            assert (one.sample_id, one.defect_types) == (other.sample_id, other.defect_types)
            assert np.array_equal(one.cells, other.cells) and np.array_equal(one.shares, other.shares)
    path.write_bytes(path.read_bytes()[:-40])
    assert density_cache.read(path) == {}
