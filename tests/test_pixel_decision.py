"""F1, precision and recall of pixels at a threshold: by hand, as the metric says it, and their intervals."""

import numpy as np
import pytest

from curate.metrics import seg_f1
from curate.pixel_decision import Decided
from curate.pixel_evaluation import PixelItem, evaluate_pixels
from tests.metrics.test_pixel_metrics import scene


def decided(items: list[PixelItem], threshold: float) -> Decided:
    found = Decided(threshold)
    for item in items:
        found.add(item)
    return found


def item(values: list[float], truth: list[int], group: str) -> PixelItem:
    return PixelItem(group, np.array([values], np.float32), np.array([truth], bool), group)


def test_a_case_by_hand() -> None:
    # 3 alarms (5 is at the threshold), 2 of them right, of 4 defect pixels
    items = [item([5, 9, 1, 2], [1, 1, 1, 1], "a"), item([0, 7, 1], [0, 0, 0], "b")]
    found = decided(items, 5.0).estimates(0)
    assert {name: each.value for name, each in found.items()} == {
        "seg_f1": pytest.approx(4 / 7), "pixel_precision": pytest.approx(2 / 3), "pixel_recall": 0.5,
    }  # fmt: skip
    assert all(each.low is None for each in found.values())


def test_intervals_hold_the_value_and_come_from_groups() -> None:
    maps, masks = scene(1, 24)
    items = [
        PixelItem(f"{k}", one, mask, f"part {k // 2}")
        for k, (one, mask) in enumerate(zip(maps, masks, strict=True))
    ]
    threshold = float(np.quantile(np.concatenate([one.ravel() for one in maps]), 0.9))
    found = evaluate_pixels(lambda: items, threshold=threshold, n_replicates=100).estimates
    assert found["seg_f1"].value == pytest.approx(seg_f1.compute([m >= threshold for m in maps], masks))
    for name in ("seg_f1", "pixel_precision", "pixel_recall"):
        estimate = found[name]
        assert estimate.low < estimate.value < estimate.high  # type: ignore[operator]
        assert (estimate.n, estimate.method) == (12, "group bootstrap")
    assert found["seg_f1"].value <= found["pixel_f1_max"].value  # type: ignore[operator]


def test_groups_with_and_without_a_defect_are_drawn_apart() -> None:
    """Groups of a kind are alike here, so every replicate is the same: their numbers do not change."""
    items = [item([9.0] * 4, [1] * 4, f"{k}") for k in range(4)]
    items += [item([9.0, 0.0], [0, 0], f"normal {k}") for k in range(40)]
    found = decided(items, 5.0).estimates(50)["pixel_precision"]
    assert (found.value, found.low) == (16 / 56, None) and "replicates are equal" in found.note


def test_without_alarms_precision_is_not_known_and_f1_is_zero() -> None:
    items = [item([1, 2], [1, 0], "a"), item([1, 2], [0, 1], "b")]
    found = decided(items, 5.0).estimates(20)
    assert found["seg_f1"].value == 0 and found["pixel_recall"].value == 0
    assert found["pixel_precision"].value is None
    assert "No pixel reaches" in found["pixel_precision"].note
    none = decided([item([1, 9], [0, 0], "a")], 5.0).estimates(20)
    assert none["seg_f1"].value is None and "No pixel is defect" in none["seg_f1"].note


def test_one_group_with_a_defect_tells_nothing_of_others() -> None:
    items = [item([5, 9, 1, 2], [1, 1, 1, 0], "a"), *(item([n, 7], [0, 0], f"n{n}") for n in range(9))]
    for each in decided(items, 5.0).estimates(20).values():
        assert each.value is not None and each.low is None and "one group" in each.note
