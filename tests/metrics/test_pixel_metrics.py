"""Pixel AUROC and AUPRO: by hand, against slow references, and the binned against the exact ones."""

import numpy as np
import pytest

from curate.metrics import aupro, auroc, pixel_auroc
from curate.pixel_histograms import PixelHistograms, accumulate, measured_range
from tests.oracles import metrics as oracle

Maps = list[np.ndarray]


def scene(seed: int, n_images: int = 12, levels: int | None = None) -> tuple[Maps, Maps]:
    """Noise maps of two sizes with defects that stand out a little; every third image is normal."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for index in range(n_images):
        shape = (48, 64) if index % 2 else (40, 56)
        anomaly_map = rng.normal(size=shape)
        mask = np.zeros(shape, dtype=bool)
        if index % 3:
            top, left = rng.integers(0, 25), rng.integers(0, 40)
            mask[top : top + 9, left : left + 13] = True
            mask[top + 10, left : left + 3] = True
            anomaly_map += 1.2 * mask
        if levels:
            anomaly_map = np.round(anomaly_map * levels) / levels
        maps.append(anomaly_map.astype(np.float32))
        masks.append(mask)
    return maps, masks


@pytest.mark.parametrize("levels", [None, 2])
def test_bins_agree_with_the_exact_metrics(levels: int | None) -> None:
    maps, masks = scene(1, levels=levels)
    flat = np.concatenate([one.ravel() for one in maps]), np.concatenate([one.ravel() for one in masks])
    assert pixel_auroc.compute(maps, masks) == pytest.approx(auroc.compute(*flat), abs=1e-6)
    for limit in (0.05, 0.3, 1.0):
        exact = aupro.compute(maps, masks, fpr_limit=limit)
        assert accumulate(maps, masks).aupro(limit) == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("levels", [1, 4])
def test_aupro_agrees_with_the_slow_reference(levels: int) -> None:
    maps, masks = scene(2, n_images=4, levels=levels)
    for limit in (0.05, 0.3):
        expected = oracle.aupro(maps, masks, limit)
        assert aupro.compute(maps, masks, fpr_limit=limit) == pytest.approx(expected, abs=1e-9)


def test_aupro_by_hand() -> None:
    mask = np.array([[True, False, False, True], [False, False, False, True]])
    anomaly_map = np.array([[9.0, 8.0, 1.0, 7.0], [1.0, 1.0, 1.0, 0.0]])
    # thresholds 9, 8, 7, 1: FPR 0, .2, .2, 1; PRO 1/2, 1/2, 3/4, 3/4, and (1, 1) at the end
    area = 0.2 * 0.5 + (0.3 - 0.2) * 0.75
    assert aupro.compute([anomaly_map], [mask]) == pytest.approx(area / 0.3)
    assert accumulate([anomaly_map], [mask]).aupro() == pytest.approx(area / 0.3)


def test_diagonal_neighbours_are_one_region() -> None:
    mask = np.eye(6, 9, dtype=bool)
    anomaly_map = np.zeros((6, 9))
    anomaly_map[0, 0] = 1.0
    histograms = accumulate([anomaly_map], [mask])
    assert histograms.n_regions == 1
    assert histograms.overlap[-1] == pytest.approx(1 / 6)


def test_perfect_maps_score_one() -> None:
    _, masks = scene(3)
    maps = [mask.astype(np.float32) for mask in masks]
    assert pixel_auroc.compute(maps, masks) == 1.0
    assert aupro.compute(maps, masks) == pytest.approx(1.0)


def test_constant_maps_tell_nothing() -> None:
    _, masks = scene(4)
    maps = [np.full(mask.shape, 3.0) for mask in masks]
    assert pixel_auroc.compute(maps, masks) == 0.5
    assert aupro.compute(maps, masks, fpr_limit=1.0) == pytest.approx(0.5)


def test_both_ends_of_the_range_are_counted() -> None:
    histograms = PixelHistograms(0.0, 1.0, n_bins=4)
    histograms.add(np.array([[0.0, 1.0]]), np.array([[False, True]]))
    assert histograms.background.tolist() == [1, 0, 0, 0]
    assert histograms.defect.tolist() == [0, 0, 0, 1]


def test_values_outside_of_the_range_are_refused() -> None:
    histograms = PixelHistograms(0.0, 1.0)
    mask = np.zeros((1, 2), dtype=bool)
    for wrong in (1.5, -0.1, np.nan):
        with pytest.raises(ValueError, match=r"from 0\.0 to 1\.0; found"):
            histograms.add(np.array([[0.5, wrong]]), mask)
    with pytest.raises(ValueError, match="finite anomaly maps"):
        measured_range([np.array([[0.0, np.inf]])])


def test_without_regions_or_background_the_metrics_say_so() -> None:
    maps, normal = [np.arange(6.0).reshape(2, 3)], [np.zeros((2, 3), dtype=bool)]
    with pytest.raises(ValueError, match="no anomalous one"):
        pixel_auroc.compute(maps, normal)
    with pytest.raises(ValueError, match="found no region"):
        aupro.compute(maps, normal)
    with pytest.raises(ValueError, match="found no region"):
        accumulate(maps, normal).aupro()
    with pytest.raises(ValueError, match="no normal one"):
        pixel_auroc.compute(maps, [~normal[0]])
    with pytest.raises(ValueError, match="no background pixel"):
        aupro.compute(maps, [~normal[0]])


def test_maps_and_masks_must_fit() -> None:
    with pytest.raises(ValueError, match="2 maps and 1 masks"):
        pixel_auroc.compute([np.zeros((2, 3))] * 2, [np.zeros((2, 3), dtype=bool)])
    with pytest.raises(ValueError, match="same shape"):
        aupro.compute([np.zeros((2, 3))], [np.zeros((3, 2), dtype=bool)])
    with pytest.raises(ValueError, match="at least one anomaly map"):
        pixel_auroc.compute([], [])
    with pytest.raises(ValueError, match=r"limit .* in \(0, 1\]; found 0"):
        aupro.compute(*scene(5), fpr_limit=0)
