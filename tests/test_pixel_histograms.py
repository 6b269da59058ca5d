"""Streaming pixel metrics: near the exact ones, within their bounds, in flat memory."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import pixel_histograms as streaming
from curate.metrics import aupimo, aupro, pixel_auroc
from curate.pixel_exact import exact
from curate.pixel_histograms import Metric, PixelHistograms, accumulate, count, masses_of, surveyed
from curate.pixel_items import Channel, PixelItem, paired, region_shares
from curate.pixel_keys import N_COARSE, KeyCells, Partition, coarse_counts, divided, keys_of, values_of
from tests.metrics.test_pixel_metrics import Maps, scene

METRICS: list[Metric] = [
    streaming.auroc(), streaming.average_precision(), streaming.f1_max(), streaming.aupro(0.3),
    streaming.aupro(0.05), streaming.aupimo(),
]  # fmt: skip
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def counted(maps: Maps, masks: Maps, n_cells: int = 1 << 21) -> PixelHistograms:
    """In cells, as large sets are, although all values could be kept."""
    survey = surveyed(paired(maps, masks), masses_of(METRICS), n_kept_at_most=0)
    return count(lambda: paired(maps, masks), METRICS, n_cells_at_most=n_cells, survey=survey)


def skewed(kind: str, seed: int) -> Maps:
    """Maps as detectors make them when something is odd."""
    maps, _ = scene(seed)
    if kind == "outlier":
        maps[0][3, 4] = 1000 * max(one.max() for one in maps)
    elif kind == "far outlier":
        maps[0][3, 4] = 1e30
    elif kind == "clamped":
        maps = [np.clip(one, 0, 1) for one in maps]
    elif kind == "8 bit":
        maps = [(np.round(one * 20) / 255).astype(np.float32) for one in maps]
    elif kind == "narrow":
        maps = [(1000 + one * 1e-3).astype(np.float32) for one in maps]
    elif kind == "log":
        maps = [np.exp(8 * one).astype(np.float32) for one in maps]
    elif kind == "two values":
        maps = [(one > 0.4).astype(np.float32) for one in maps]
    return maps


KINDS = ["plain", "outlier", "far outlier", "clamped", "8 bit", "narrow", "log", "two values"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_streaming_is_within_its_bound_and_that_within_the_tolerance(kind: str, seed: int) -> None:
    maps, masks = skewed(kind, seed), scene(seed)[1]
    found = counted(maps, masks)
    for metric in METRICS:
        got = found.measure(metric)
        assert got.value is not None
        assert got.bound <= 1e-6, metric.name
        expected = exact(paired(maps, masks), metric)
        assert got.value == pytest.approx(expected, abs=got.bound + 1e-12), metric.name


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(65_536, 70_000))
def test_the_bound_holds_where_cells_are_few(seed: int, kind: str, n_cells: int) -> None:
    maps, masks = skewed(kind, seed), scene(seed)[1]
    found = counted(maps, masks, n_cells)
    for metric in METRICS:
        got = found.measure(metric)
        expected = exact(paired(maps, masks), metric)
        assert abs(got.value - expected) <= got.bound + 1e-12, metric.name  # type: ignore[operator]


@pytest.mark.parametrize("kind", KINDS)
def test_small_sets_are_counted_without_loss(kind: str) -> None:
    maps, masks = skewed(kind, 2), scene(2)[1]
    found = count(lambda: paired(maps, masks), METRICS)
    for metric in METRICS:
        got = found.measure(metric)
        assert got.bound == 0
        assert got.value == pytest.approx(exact(paired(maps, masks), metric), abs=1e-12), metric.name


def test_few_cells_give_a_bound_that_says_so() -> None:
    maps, masks = skewed("narrow", 3), scene(3)[1]
    few = counted(maps, masks, N_COARSE)
    assert few.measure(METRICS[0]).bound > 1e-3
    assert few.n_passes > 2


def test_one_pass_more_only_where_values_are_tied() -> None:
    for kind, n_passes in (("plain", 2), ("8 bit", 3)):
        maps, masks = skewed(kind, 4), scene(4)[1]
        found = counted(maps, masks)
        assert found.n_passes == n_passes, kind


def channels_of(mask: np.ndarray, rng: np.random.Generator) -> list[Channel]:
    return [Channel(mask, 20), Channel(mask & (rng.random(mask.shape) < 0.5), 7)]


def test_saturated_overlap_streams_too() -> None:
    maps, masks = scene(5)
    rng = np.random.default_rng(5)
    items = [
        PixelItem(str(number), one, mask, "", channels_of(mask, rng) if mask.any() else ())
        for number, (one, mask) in enumerate(zip(maps, masks, strict=True))
    ]
    metrics = [streaming.auc_spro(limit) for limit in (0.01, 0.05, 1.0)]
    found = count(lambda: items, metrics)
    for metric in metrics:
        assert found.measure(metric).value == pytest.approx(exact(items, metric), abs=1e-6)
        assert found.measure(metric).bound <= 1e-6


def test_metric_files_stream() -> None:
    maps, masks = scene(6)
    for metric in (pixel_auroc, aupro, aupimo):
        found = metric.streaming(maps, masks)
        assert found.value == pytest.approx(metric.compute(maps, masks), abs=1e-6)


def test_double_precision_is_rounded_and_the_bound_knows() -> None:
    rng = np.random.default_rng(7)
    masks = scene(7)[1]
    maps = [rng.integers(0, 3, mask.shape) / 3 + 1e-12 * mask for mask in masks]
    found = accumulate(maps, masks)
    assert abs(found.auroc() - pixel_auroc.compute(maps, masks)) > 0.01
    assert found.measure(streaming.auroc()).bound > 0.01


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_are_named_and_left_out(wrong: float) -> None:
    maps, masks = scene(8)
    expected = exact(paired(maps[:3] + maps[4:], masks[:3] + masks[4:]), METRICS[0])
    maps[3][7, 9] = wrong
    found = count(lambda: paired(maps, masks), METRICS)
    assert found.not_finite == ("map 3",)
    assert found.measure(METRICS[0]).value == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="NaN or infinity in map 3"):
        found.auroc()


def test_absent_labels_are_said() -> None:
    maps, masks = scene(9)
    nothing = [mask & False for mask in masks]
    with pytest.raises(ValueError, match="found no region"):
        accumulate(maps, nothing).aupro()
    with pytest.raises(ValueError, match="found no anomalous pixel"):
        accumulate(maps, nothing).auroc()


class Many:
    """A sequence of drawn maps that are never in memory together."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self) -> Iterator[PixelItem]:
        for number in range(self.n):
            rng = np.random.default_rng(number)
            mask = np.zeros((96, 128), dtype=bool)
            mask[10:30, 20:60] = number % 2 == 0
            one = (rng.normal(size=mask.shape) + mask).astype(np.float32)
            yield PixelItem(str(number), one, mask)


def peak(n: int) -> int:
    tracemalloc.start()
    survey = surveyed(Many(n)(), masses_of(METRICS), n_kept_at_most=0)
    count(Many(n), METRICS, n_cells_at_most=1 << 18, survey=survey)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return highest


def test_memory_does_not_grow_with_the_images() -> None:
    peak(2)
    few, many = peak(10), peak(80)
    assert many < few + 1_000_000  # 70 maps more are 3.4 MB, their masks 0.9 MB


@given(st.lists(FINITE, min_size=2, max_size=30))
def test_keys_keep_the_order_and_the_values(values: list[float]) -> None:
    given_values = np.array(values, dtype=np.float32)
    keys = keys_of(given_values)
    assert (values_of(keys) == given_values).all()
    order = np.argsort(given_values, kind="stable")
    assert (np.diff(keys[order].astype(np.int64)) >= 0).all()
    assert ((keys[:, None] == keys[None]) == (given_values[:, None] == given_values[None])).all()


@given(st.lists(FINITE, min_size=1, max_size=50))
def test_coarse_counts_are_those_of_the_keys(values: list[float]) -> None:
    given_values = np.array([*values, -0.0], dtype=np.float32)
    counts, finite = coarse_counts(given_values)
    assert finite
    assert (counts == np.bincount(keys_of(given_values) >> 16, minlength=N_COARSE)).all()


@given(st.lists(st.tuples(FINITE, st.integers(0, 16)), min_size=2, max_size=20))
def test_cells_rise_with_the_values_and_know_their_lowest(pairs: list[tuple[float, int]]) -> None:
    values = np.sort(np.array([value for value, _ in pairs], dtype=np.float32))
    n_bits = np.zeros(N_COARSE, dtype=np.int64)
    n_bits[keys_of(values) >> 16] = [bits for _, bits in pairs]
    partition = Partition(n_bits)
    cells = partition.cells(keys_of(values))
    assert (np.diff(cells) >= 0).all()
    assert (partition.lowest(cells) <= values).all()
    one = partition.single()[cells]
    assert (partition.lowest(cells)[one] == values[one]).all()
    low, high = int(cells[0]), int(cells[-1]) + 1
    assert (partition.coarse_of(low, high)[cells - low] == keys_of(values) >> 16).all()


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_cells_of_keys_are_one_for_each_value(values: list[float]) -> None:
    keys = keys_of(np.array(values, dtype=np.float32))
    cells = KeyCells(np.unique(keys))
    assert (cells.keys[cells.cells(keys)] == keys).all()
    assert (cells.coarse_of(0, cells.n_cells) == cells.keys >> 16).all()
    middle = int(keys[0] >> 16)
    assert (cells.keys[cells.first_of(middle) :] >= middle << 16).all()
    assert (cells.keys[: cells.first_of(middle)] < middle << 16).all()


def test_division_fits_into_what_is_allowed() -> None:
    wanted = np.ones(N_COARSE)
    wanted[100:1000] = 5000.0
    assert divided(wanted, 1 << 30).n_cells > 900 * 4000
    assert N_COARSE < divided(wanted, 1 << 20).n_cells <= 1 << 20


def test_shares_of_regions_sum_to_the_number_of_regions() -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[3:6, 40:52] = mask[10, 7] = mask[11, 8] = True
    shares, n_regions = region_shares(mask)
    assert n_regions == 2
    assert shares.tolist() == pytest.approx([1 / 36] * 36 + [1 / 2] * 2)
    assert region_shares(mask & False)[1] == 0
