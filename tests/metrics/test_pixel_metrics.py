"""Exact pixel metrics: by hand, against slow references and peers, and their laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from curate.metrics import (
    auc_spro,
    aupimo,
    aupro,
    pixel_auroc,
    pixel_average_precision,
    pixel_f1_max,
    seg_f1,
)
from curate.pixel_exact import exact
from curate.pixel_histograms import aupimo as aupimo_of
from curate.pixel_items import Channel, paired
from tests.oracles import metrics as oracle
from tests.oracles import pixels as slow

Maps = list[np.ndarray]
RANKING = [pixel_auroc, pixel_average_precision, pixel_f1_max, aupro, aupimo]
SEEDS = st.integers(0, 2**32 - 1)


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


def flat(arrays: Maps) -> np.ndarray:
    return np.concatenate([one.ravel() for one in arrays])


MAP = np.array([[9.0, 8.0, 1.0, 7.0], [1.0, 1.0, 1.0, 0.0]])
MASK = np.array([[True, False, False, True], [False, False, False, True]])


def test_aupro_by_hand() -> None:
    # thresholds 9, 8, 7, 1: FPR 0, .2, .2, 1; PRO 1/2, 1/2, 3/4, 3/4, and (1, 1) at the end
    area = 0.2 * 0.5 + (0.3 - 0.2) * 0.75
    assert aupro.compute([MAP], [MASK]) == pytest.approx(area / 0.3)
    assert aupro.compute([MAP], [MASK], fpr_limit=0.05) == pytest.approx(0.5)


def test_pixel_metrics_by_hand() -> None:
    # 3 defect pixels (9, 7, 0), 5 background pixels (8, 1, 1, 1, 1): pairs won 5 + 4 + 0
    assert pixel_auroc.compute([MAP], [MASK]) == pytest.approx(9 / 15)
    assert pixel_average_precision.compute([MAP], [MASK]) == pytest.approx((1 + 2 / 3 + 3 / 8) / 3)
    assert pixel_f1_max.compute([MAP], [MASK]) == pytest.approx(2 * 2 / (3 + 3))
    assert seg_f1.compute([MAP >= 7], [MASK]) == pytest.approx(2 * 2 / (3 + 3))


def test_auc_spro_by_hand() -> None:
    anomaly_map = np.array([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
    large = Channel(np.array([[True, False, True, True, False, False]]), saturation_px=2)
    small = Channel(np.array([[False, False, False, True, True, False]]), saturation_px=2)
    # background 5 and 1; found above 5: .5 and 0; then FPR .5; then 4, 3, 2: (1 + 1) / 2; FPR 1 at the end
    area = 0.5 * (0.25 + 0.25) / 2 + 0.5 * 1.0
    assert auc_spro.compute([anomaly_map], [[large, small]], fpr_limit=1.0) == pytest.approx(area)


def test_a_channel_that_saturates_at_nothing_needs_one_pixel() -> None:
    mask = np.array([[True, True, False, False]])
    anomaly_map = np.array([[4.0, 1.0, 3.0, 2.0]])
    assert auc_spro.compute([anomaly_map], [[Channel(mask, 0)]], fpr_limit=1.0) == pytest.approx(1.0)


def test_aupimo_by_hand() -> None:
    normal = np.linspace(0, 1, 200_000, dtype=np.float32).reshape(400, 500)
    mask = np.zeros((1, 4), dtype=bool)
    mask[0, 1:3] = True
    # rates fall by 5e-6 a step; one defect pixel above all, the other between the 10th and the 11th highest
    between = (normal[-1, -10] + normal[-1, -11]) / 2
    anomalous = np.array([[0.0, 2.0, between, 0.0]], dtype=np.float32)
    expected = 0.5 + 0.5 * (np.log(1e-4 / 5e-5)) / np.log(10)
    assert aupimo.compute([normal, anomalous], [normal > 2, mask]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [1, 4])
def test_they_agree_with_the_slow_references(levels: int) -> None:
    maps, masks = scene(2, n_images=4, levels=levels)
    for limit in (0.05, 0.3, 1.0):
        assert aupro.compute(maps, masks, fpr_limit=limit) == pytest.approx(
            oracle.aupro(maps, masks, limit), abs=1e-12
        )
    assert pixel_average_precision.compute(maps, masks) == pytest.approx(slow.average_precision(maps, masks))
    assert pixel_f1_max.compute(maps, masks) == pytest.approx(slow.f1_max(maps, masks))
    few = exact(paired(maps, masks), aupimo_of((1e-3, 1e-1)))
    assert few == pytest.approx(slow.aupimo(maps, masks, 1e-3, 1e-1), abs=2e-4)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([0.01, 0.05, 0.3, 1.0]))
def test_auc_spro_agrees_with_the_slow_reference(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    maps, truth = [], []
    for index in range(3):
        shape = (6, 9) if index else (5, 7)
        maps.append(np.round(rng.normal(size=shape), 1))
        masks = [rng.random(shape) < 0.2 for _ in range(index)]
        truth.append([(mask, float(rng.integers(1, 12))) for mask in masks if mask.any()])
    channels = [[Channel(*each) for each in image] for image in truth]
    expected = slow.auc_spro(maps, truth, limit)
    assert auc_spro.compute(maps, channels, fpr_limit=limit) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([1, 3, 1000]))
def test_they_equal_scikit_learn(seed: int, levels: int) -> None:
    maps, masks = scene(seed, n_images=3, levels=levels)
    truth, scores = flat(masks), flat(maps)
    assert pixel_auroc.compute(maps, masks) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    theirs = average_precision_score(truth, scores)
    assert pixel_average_precision.compute(maps, masks) == pytest.approx(theirs, abs=1e-12)
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert pixel_f1_max.compute(maps, masks) == pytest.approx(f1.max(), abs=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("limit", [0.05, 0.3])
def test_aupro_equals_anomalib(limit: float) -> None:
    import torch
    from anomalib.metrics.aupro import _AUPRO

    maps, masks = scene(5, n_images=6)
    maps, masks = [one[:40, :56] for one in maps], [one[:40, :56] for one in masks]
    metric = _AUPRO(fpr_limit=limit)
    metric.update(torch.tensor(np.stack(maps)), torch.tensor(np.stack(masks)))
    assert aupro.compute(maps, masks, fpr_limit=limit) == pytest.approx(float(metric.compute()), abs=1e-5)


@pytest.mark.parametrize("metric", RANKING)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_monotone_rescaling_and_order_change_nothing(metric: object, seed: int) -> None:
    maps, masks = scene(seed, n_images=4, levels=3)
    value = metric.compute(maps, masks)  # type: ignore[attr-defined]
    rescaled = [np.exp(one.astype(np.float64)) for one in maps]
    assert metric.compute(rescaled, masks) == pytest.approx(value, abs=1e-12)  # type: ignore[attr-defined]
    turned = metric.compute(maps[::-1], masks[::-1])  # type: ignore[attr-defined]
    assert turned == pytest.approx(value, abs=1e-12)


def test_good_images_count_as_background() -> None:
    maps, masks = scene(6, n_images=3)
    loud = np.full((48, 64), 9.0, dtype=np.float32)
    more_maps, more_masks = [*maps, loud], [*masks, np.zeros((48, 64), dtype=bool)]
    for metric in (pixel_auroc, pixel_average_precision, pixel_f1_max, aupro):
        assert metric.compute(more_maps, more_masks) < metric.compute(maps, masks) - 0.01


def test_diagonal_neighbours_are_one_region() -> None:
    mask = np.eye(6, 9, dtype=bool)
    mask[0, 8] = True
    anomaly_map = np.zeros((6, 9))
    anomaly_map[0, 8] = 1.0
    # one region of two before all others: from (0, 1/2) to (1, 1); with 4 neighbours it would be one of seven
    assert aupro.compute([anomaly_map], [mask], fpr_limit=1.0) == pytest.approx((1 / 2 + 1) / 2)


def test_constant_maps_tell_nothing() -> None:
    _, masks = scene(4)
    maps = [np.full(mask.shape, 3.0) for mask in masks]
    assert pixel_auroc.compute(maps, masks) == 0.5
    assert aupro.compute(maps, masks, fpr_limit=1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("metric", "absent"),
    [
        (pixel_auroc, "anomalous pixel"), (aupro, "region"), (auc_spro, "channel"),
        (aupimo, "anomalous image"),
    ],
)  # fmt: skip
def test_without_defects_they_say_so(metric: object, absent: str) -> None:
    maps, normal = [np.arange(6.0).reshape(2, 3)], [np.zeros((2, 3), dtype=bool)]
    with pytest.raises(ValueError, match=f"found no {absent}"):
        metric.compute(maps, normal)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("metric", "absent"),
    [(pixel_auroc, "normal pixel"), (aupro, "background pixel"), (aupimo, "normal image")],
)
def test_without_background_they_say_so(metric: object, absent: str) -> None:
    maps, defects = [np.arange(6.0).reshape(2, 3)], [np.ones((2, 3), dtype=bool)]
    with pytest.raises(ValueError, match=f"found no {absent}"):
        metric.compute(maps, defects)  # type: ignore[attr-defined]


@pytest.mark.parametrize("metric", [*RANKING, auc_spro])
def test_maps_and_masks_must_fit(metric: object) -> None:
    maps, masks = scene(7, n_images=2)
    with pytest.raises(ValueError, match="2 maps and 1"):
        metric.compute(maps, masks[:1])  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="same shape"):
        metric.compute(maps, masks[::-1])  # type: ignore[attr-defined]
    maps[1][3, 5] = np.nan
    with pytest.raises(ValueError, match="without NaN; found NaN in map 1"):
        metric.compute(maps, masks)  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5])
def test_a_limit_outside_of_0_to_1_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        aupro.compute(*scene(8, n_images=2), fpr_limit=limit)


def test_seg_f1_refuses_scores_and_empty_truth() -> None:
    with pytest.raises(ValueError, match=r"at position 0\. Compare the map with a threshold first"):
        seg_f1.compute([MAP], [MASK])
    with pytest.raises(ValueError, match="found none among 8"):
        seg_f1.compute([MASK], [MASK & False])


def test_seg_f1_pools_pixels_of_images_of_all_sizes() -> None:
    one, other = np.ones((2, 2), dtype=bool), np.zeros((3, 5), dtype=bool)
    found = other.copy()
    found[0, :4] = True
    assert seg_f1.compute([one, found], [one, other]) == pytest.approx(2 * 4 / (8 + 4))
