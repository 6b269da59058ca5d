"""Region recall: by hand, and against a slow reference."""

import numpy as np
import pytest

from curate.metrics.region_recall import compute, is_found
from curate.region_table import found


def oracle(predicted: list[np.ndarray], truth: list[np.ndarray], min_overlap: float) -> float:
    """Flood fill by hand, pixel by pixel."""
    outcomes = []
    for pred_mask, gt_mask in zip(predicted, truth, strict=True):
        left = {(int(r), int(c)) for r, c in np.argwhere(gt_mask)}
        while left:
            region, stack = set(), [left.pop()]
            while stack:
                r, c = stack.pop()
                region.add((r, c))
                near = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
                left -= near
                stack.extend(near)
            n_hit = sum(bool(pred_mask[place]) for place in region)
            outcomes.append(n_hit > 0 and n_hit >= min_overlap * len(region))
    return sum(outcomes) / len(outcomes)


@pytest.mark.parametrize("min_overlap", [0.0, 0.25, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_a_slow_reference(seed: int, min_overlap: float) -> None:
    rng = np.random.default_rng(seed)
    truth = [rng.uniform(size=shape) < 0.2 for shape in ((12, 17), (9, 20), (5, 6))]
    predicted = [rng.uniform(size=one.shape) < 0.3 for one in truth]
    assert compute(predicted, truth, min_overlap=min_overlap) == oracle(predicted, truth, min_overlap)


def test_overlap_of_exactly_the_limit_counts() -> None:
    mask = np.zeros((4, 12), dtype=bool)
    mask[1, 1:11] = True
    predicted = np.zeros_like(mask)
    predicted[1, 1:4] = True
    assert compute([predicted], [mask], min_overlap=0.3) == 1.0
    predicted[1, 3] = False
    assert compute([predicted], [mask], min_overlap=0.3) == 0.0
    assert compute([predicted], [mask]) == 1.0


def test_what_lies_outside_of_regions_finds_nothing() -> None:
    mask = np.zeros((4, 12), dtype=bool)
    mask[1, 1:4] = True
    assert compute([~mask], [mask]) == 0.0


def test_maps_instead_of_masks_are_refused() -> None:
    mask = np.eye(3, dtype=bool)
    with pytest.raises(ValueError, match="with a threshold first"):
        compute([np.zeros((3, 3))], [mask])
    with pytest.raises(ValueError, match="found 2 and 1"):
        compute([mask, mask], [mask])
    with pytest.raises(ValueError, match="shape"):
        compute([np.zeros((3, 4), dtype=bool)], [mask])
    with pytest.raises(ValueError, match=r"\[0, 1\]; found 30"):
        compute([mask], [mask], min_overlap=30)


def test_found_and_recall_agree() -> None:
    rng = np.random.default_rng(5)
    labels = np.array([[1, 1, 1, 0, 2, 2, 0, 3]], np.int32)
    any_pixel, overlap = found(rng.uniform(size=labels.shape), labels, 3, 0.5)
    assert is_found(overlap).tolist() == any_pixel.tolist()
