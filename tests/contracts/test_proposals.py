"""Promises every refinement of a proposal keeps."""

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

import curate.proposals
from curate.proposals import REFINEMENTS
from curate.propose import How, drawn, propose

EVERY = pytest.mark.parametrize("method", list(REFINEMENTS))
REFINING = pytest.mark.parametrize("method", [name for name in REFINEMENTS if name != "plain"])
MODULES = pytest.mark.parametrize(
    "module", [entry.load() for entry in REFINEMENTS.values()], ids=list(REFINEMENTS)
)


def disc(
    centre_rc: tuple[int, int] = (20, 38), radius: int = 8, image_hw: tuple[int, int] = (48, 64)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grainy image with a bright disc, its mask, and a map that shows it blurred and a little aside."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: image_hw[0], : image_hw[1]]
    mask = (rows - centre_rc[0]) ** 2 + (columns - centre_rc[1]) ** 2 <= radius**2
    grey = 90 + rng.normal(0, 4, image_hw) + 80 * mask
    image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    moved = np.roll(mask.astype(np.float32), 2, axis=1)
    return image, mask, cv2.GaussianBlur(moved, (0, 0), radius / 2)


def iou(left: np.ndarray, right: np.ndarray) -> float:
    return float((left & right).sum() / (left | right).sum())


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.proposals.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(REFINEMENTS)
    assert all(entry.target == f"curate.proposals.{name}" for name, entry in REFINEMENTS.items())


@REFINING
def test_a_disc_is_recovered_better_than_by_the_blurred_map(method: str) -> None:
    image, mask, anomaly_map = disc()
    for threshold in (0.15, 0.4):  # the map alone gives an IoU of 0.50 and 0.73
        plain = drawn(propose(image, anomaly_map, threshold), mask.shape)
        found = propose(image, anomaly_map, threshold, How(method))
        assert [each.method for each in found] == [method]
        assert iou(drawn(found, mask.shape), mask) > max(0.9, iou(plain, mask) + 0.2)


@EVERY
def test_the_same_bytes_again_and_arguments_as_they_were(method: str) -> None:
    image, _, anomaly_map = disc()
    before = image.copy(), anomaly_map.copy()
    first = propose(image, anomaly_map, 0.2, How(method))
    np.random.default_rng(1).random(10)
    cv2.setRNGSeed(77)
    again = propose(image, anomaly_map, 0.2, How(method))
    assert [each.mask.tobytes() for each in first] == [each.mask.tobytes() for each in again]
    assert [vars(each) | {"mask": 0} for each in first] == [vars(each) | {"mask": 0} for each in again]
    assert np.array_equal(image, before[0])
    assert np.array_equal(anomaly_map, before[1])


@MODULES
def test_an_image_without_edges_gives_a_mask_of_the_right_kind(module: ModuleType) -> None:
    _, _, anomaly_map = disc()
    coarse = anomaly_map >= 0.3
    found = module.refine(np.full((48, 64, 3), 70, dtype=np.uint8), anomaly_map, coarse)
    assert found.shape == coarse.shape
    assert found.dtype == np.bool_


@EVERY
def test_what_lies_outside_of_the_crop_does_not_matter(method: str) -> None:
    image, _, anomaly_map = disc((30, 40), 8, (200, 240))
    rows, columns = slice(0, 70), slice(0, 80)  # the region spans 20 px, the crop 60 at most
    elsewhere = np.random.default_rng(3).integers(0, 255, image.shape, dtype=np.uint8)
    elsewhere[rows, columns] = image[rows, columns]
    found = drawn(propose(image, anomaly_map, 0.2, How(method)), anomaly_map.shape)
    other = drawn(propose(elsewhere, anomaly_map, 0.2, How(method)), anomaly_map.shape)
    assert np.array_equal(found, other)
    assert found[rows, columns].sum() == found.sum() > 0


@EVERY
@pytest.mark.parametrize("centre_rc", [(0, 40), (47, 63), (3, 0)])
def test_a_region_at_the_border_stays_inside_of_the_image(method: str, centre_rc: tuple[int, int]) -> None:
    image, mask, _ = disc(centre_rc)
    anomaly_map = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3)
    found = propose(image, anomaly_map, 0.2, How(method))
    assert len(found) == 1
    x0, y0, x1, y1 = found[0].box_xyxy
    assert 0 <= x0 < x1 <= 64
    assert 0 <= y0 < y1 <= 48
    assert found[0].mask.shape == (y1 - y0, x1 - x0)
    assert iou(drawn(found, mask.shape), mask) > (0.5 if method == "plain" else 0.75)


@EVERY
def test_one_pixel_and_the_whole_image_are_regions_too(method: str) -> None:
    image, _, _ = disc()
    anomaly_map = np.zeros((48, 64), dtype=np.float32)
    anomaly_map[10, 20] = 1
    found = propose(image, anomaly_map, 0.5, How(method, min_area_px=1))
    assert drawn(found, anomaly_map.shape)[10, 20]
    whole = propose(image, anomaly_map, 0.0, How(method))
    assert [(each.box_xyxy, each.area_px, each.method) for each in whole] == [
        ((0, 0, 64, 48), 48 * 64, "plain")
    ]
    assert whole[0].contrast == 0


@REFINING
def test_large_regions_are_worked_on_in_a_smaller_copy(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, anomaly_map = disc((300, 420), 160, (640, 900))
    module = REFINEMENTS[method].load()
    seen = []
    refine = module.refine
    monkeypatch.setattr(module, "refine", lambda *a, **k: seen.append(a[0].shape) or refine(*a, **k))
    found = drawn(propose(image, anomaly_map, 0.4, How(method)), mask.shape)
    assert max(seen[0]) == 384
    assert iou(found, mask) > 0.9
