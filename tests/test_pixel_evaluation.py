"""Pixel figures with intervals: exact values, honest intervals, curves, what is left out."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from curate import pixel_histograms as of
from curate.intervals import GroupDraws
from curate.pixel_bins import binned, resampled
from curate.pixel_evaluation import Channel, PixelEvaluation, PixelItem, evaluate_pixels
from curate.pixel_exact import exact
from curate.pixel_histograms import count, masses_of
from tests.metrics.test_pixel_metrics import scene

EXACT = {
    "pixel_auroc": of.auroc(), "pixel_average_precision": of.average_precision(), "pixel_f1_max": of.f1_max(),
    "aupro_0.3": of.aupro(0.3), "aupro_0.05": of.aupro(0.05), "aupimo": of.aupimo(),
}  # fmt: skip


def images(seed: int, n: int = 24, n_per_group: int = 2, channels: bool = False) -> list[PixelItem]:
    maps, masks = scene(seed, n)
    return [
        PixelItem(
            f"image {number}",
            one,
            mask,
            f"part {number // n_per_group}",
            (Channel(mask, 30.0), Channel(np.roll(mask, 5) & mask, 10.0)) if channels and mask.any() else (),
        )
        for number, (one, mask) in enumerate(zip(maps, masks, strict=True))
    ]


def evaluated(items: list[PixelItem], **options: object) -> PixelEvaluation:
    return evaluate_pixels(lambda: items, **options)  # type: ignore[arg-type]


def test_values_are_exact_and_intervals_hold_them() -> None:
    items = images(1)
    found = evaluated(items)
    assert set(found.estimates) == set(EXACT)
    assert found.error_bound <= 1e-6
    for name, metric in EXACT.items():
        estimate = found.estimates[name]
        assert estimate.value == pytest.approx(exact(items, metric), abs=1e-6), name
        assert estimate.low <= estimate.value <= estimate.high, name  # type: ignore[operator]
        assert (estimate.n, estimate.method) == (12, "group bootstrap")
    assert "12 groups" in found.estimates["aupro_0.3"].note
    assert "chosen on these very pixels" in found.estimates["pixel_f1_max"].note
    assert "too few to tell a rate of 1e-5" in found.estimates["aupimo"].note


def test_channels_add_saturated_overlap() -> None:
    items = images(2, channels=True)
    found = evaluated(items, n_replicates=20)
    for limit in (0.01, 0.05, 0.1, 0.3, 1.0):
        estimate = found.estimates[f"auc_spro_{limit:g}"]
        assert estimate.value == pytest.approx(exact(items, of.auc_spro(limit)), abs=1e-6)
        assert estimate.low is not None


def test_replicates_are_what_the_drawn_images_give() -> None:
    items = images(3, n=12, n_per_group=1)
    metrics = list(EXACT.values())[:5]
    names = masses_of(metrics)
    bins = binned(count(lambda: items, metrics), names)
    sizes = [4, 8]
    whole, replicates = resampled(
        ([item] for item in items), bins, names, GroupDraws(sizes, 5, np.random.default_rng(7)), 5
    )
    again = GroupDraws(sizes, 5, np.random.default_rng(7))
    times = [again.next(int(item.gt_mask.any())) for item in items]
    for metric in metrics:
        assert float(whole.values(metric)) == pytest.approx(exact(items, metric), abs=1e-3)
        for number, value in enumerate(replicates.values(metric)):
            drawn = [item for item, n in zip(items, times, strict=True) for _ in range(n[number])]
            assert value == pytest.approx(exact(drawn, metric), abs=3e-3), metric.name


def test_the_same_input_and_seed_give_the_same_figures() -> None:
    items = images(4)
    first, second = evaluated(items), evaluated(items)
    assert first.estimates == second.estimates
    assert evaluated(items, seed=1).estimates["aupro_0.3"].low != first.estimates["aupro_0.3"].low


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Maps of a part share an offset, so pixels are far from independent."""
    rng = np.random.default_rng(5)
    mask = np.zeros((12, 16), dtype=bool)
    mask[2:6, 3:9] = True

    def draw(n_groups: int) -> list[PixelItem]:
        found = []
        for group in range(n_groups):
            offset = rng.normal()
            for number in range(2):
                truth = mask if group % 2 else mask & False
                one = rng.normal(size=mask.shape) + offset + 1.5 * truth
                found.append(PixelItem(f"{group} {number}", one.astype(np.float32), truth, str(group)))
        return found

    population = exact(draw(3000), EXACT["pixel_auroc"])
    estimates = [evaluated(draw(40), n_replicates=100, level=0.9).estimates["pixel_auroc"] for _ in range(40)]
    covered = [e.low <= population <= e.high for e in estimates]  # type: ignore[operator]
    assert 0.75 <= np.mean(covered) <= 0.99
    assert np.mean([e.high - e.low for e in estimates]) > 0.05  # type: ignore[operator]


def test_curves_are_short_and_have_bands() -> None:
    found = evaluated(images(6, n=60))
    for name, metric in (("roc", "pixel_auroc"), ("pr", "pixel_average_precision"), ("pro", "aupro_1")):
        curve = found.curves[name]
        assert 10 < len(curve.x) <= 256
        assert curve.low is not None and curve.high is not None
        assert (curve.low <= curve.y).all() and (curve.y <= curve.high).all()
        value = exact(images(6, n=60), EXACT.get(metric, of.aupro(1.0)))
        assert curve.area == pytest.approx(value, abs=2e-3)


def test_maps_that_are_not_finite_are_left_out_and_named() -> None:
    items = images(7)
    damaged = items[5].anomaly_map.copy()
    damaged[3, 4] = np.nan
    wrong = PixelItem("image 5", damaged, items[5].gt_mask, items[5].group)
    with_wrong = evaluated([*items[:5], wrong, *items[6:]])
    assert with_wrong.not_finite == ["image 5"]
    assert with_wrong.estimates == evaluated([*items[:5], *items[6:]]).estimates


def test_without_defects_there_is_a_reason_instead_of_a_value() -> None:
    items = [
        PixelItem(str(n), np.eye(4, 6, dtype=np.float32), np.zeros((4, 6), bool), str(n)) for n in range(3)
    ]
    found = evaluated(items)
    assert found.curves == {}
    assert found.estimates["aupro_0.3"].value is None
    assert "found no region" in found.estimates["aupro_0.3"].note
    assert "found no anomalous pixel" in found.estimates["pixel_auroc"].note


def test_without_normal_images_aupimo_alone_is_not_defined() -> None:
    found = evaluated([item for item in images(8) if item.gt_mask.any()])
    assert found.estimates["aupimo"].value is None
    assert found.estimates["aupro_0.3"].low is not None


def test_without_replicates_there_are_values_only() -> None:
    found = evaluated(images(9), n_replicates=0)
    assert found.estimates["pixel_auroc"].value is not None
    assert found.estimates["pixel_auroc"].low is None
    assert found.curves["roc"].low is None


def test_groups_must_come_together() -> None:
    items = images(10)
    with pytest.raises(ValueError, match='"part 0" comes back later'):
        evaluated([*items, items[0]])


def test_progress_adds_up_to_the_images() -> None:
    told: list[int] = []
    evaluated(images(11, n=25), progress=told.append)
    assert sum(told) == 25
    assert len(told) > 20


def many(n: int) -> Iterator[PixelItem]:
    for number in range(n):
        rng = np.random.default_rng(number)
        mask = np.zeros((96, 128), dtype=bool)
        mask[10:30, 20:60] = number % 2 == 0
        yield PixelItem(
            str(number), (rng.normal(size=mask.shape) + mask).astype(np.float32), mask, str(number)
        )


def peak(n: int) -> int:
    tracemalloc.start()
    evaluate_pixels(lambda: many(n), n_replicates=50)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return highest


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images() -> None:
    """Cells are as many as the values need, so only up to their largest number."""
    peak(2)
    few, many_more = peak(100), peak(300)
    assert many_more < few + 3_000_000  # 200 maps more are 9.8 MB, their masks 2.5 MB


def test_one_group_with_defects_tells_nothing_of_others() -> None:
    items = [
        PixelItem(item.name, item.anomaly_map, item.gt_mask, "one" if item.gt_mask.any() else item.name)
        for item in images(1)
    ]
    items = sorted(items, key=lambda item: item.group)
    found = evaluated(items, n_replicates=20)
    assert all(curve.low is None for curve in found.curves.values())
    for estimate in found.estimates.values():
        assert estimate.value is not None and estimate.low is None
        assert "one group" in estimate.note
