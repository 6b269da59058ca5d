"""Pixel figures of slices: against a slow oracle, their common background, and how they add up."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from curate import pixel_slices
from curate.intervals import Estimate
from curate.masks import label_regions
from curate.pixel_evaluation import Channel, PixelItem, evaluate_pixels
from curate.pixel_items import Key
from tests.metrics.test_pixel_metrics import scene
from tests.oracles import pixels as oracle

SMALL, LARGE = ("region_size", "small"), ("region_size", "large")
Found = dict[Key, dict[str, Estimate]]


def by_area(mask: np.ndarray, at_least: int = 60) -> list[tuple[Key, ...]]:
    labels, n = label_regions(mask)
    return [(LARGE if (labels == k).sum() >= at_least else SMALL,) for k in range(1, n + 1)]


def images(seed: int, n: int = 24, n_per_group: int = 2) -> list[PixelItem]:
    """Mixed sizes; the lot changes within groups, and regions are small or large."""
    maps, masks = scene(seed, n)
    return [
        PixelItem(
            f"image {k}",
            one,
            mask,
            f"part {k // n_per_group}",
            (),
            (("lot", "AB"[k % 4 == 0]),),
            by_area(mask),
        )
        for k, (one, mask) in enumerate(zip(maps, masks, strict=True))
    ]


def sliced(items: Sequence[PixelItem], **options: object) -> Found:
    return evaluate_pixels(lambda: items, **options).slices  # type: ignore[arg-type]


def left(item: PixelItem, key: Key) -> np.ndarray:
    """The mask of the regions of a slice."""
    labels, _ = label_regions(item.gt_mask)
    numbers = [k for k, keys in enumerate(item.region_slices, start=1) if key in keys]
    return np.isin(labels, numbers)


def kept(item: PixelItem, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of the background and of a mask, and for each of these the share of its region."""
    labels, n = label_regions(mask)
    areas = np.bincount(labels[mask], minlength=n + 1)
    return item.anomaly_map[~item.gt_mask], item.anomaly_map[mask], 1 / areas[labels[mask]]


def slow(
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], limit: float
) -> tuple[float, float, float]:
    """AUROC by pairs, average precision and AUPRO, one threshold after the other."""
    background, defect, share = (np.concatenate([part[at] for part in parts]) for at in range(3))
    n_regions, points, precision, before = share.sum(), [(0.0, 0.0)], 0.0, 0.0
    for value in np.unique(np.concatenate([background, defect]))[::-1]:
        wrong, right = background >= value, defect >= value
        points.append((wrong.mean(), share[right].sum() / n_regions))
        precision += (right.mean() - before) * right.sum() / (right.sum() + wrong.sum())
        before = right.mean()
    pairs = np.mean([(background < value).mean() + (background == value).mean() / 2 for value in defect])
    return float(pairs), float(precision), oracle.area(points, limit)


def check(found: dict[str, Estimate], expected: tuple[float, float, float], within: float = 1e-6) -> None:
    for name, value in zip(("pixel_auroc", "pixel_average_precision", "aupro_0.3"), expected, strict=True):
        assert found[name].value == pytest.approx(value, abs=within), name


@pytest.fixture(scope="module")
def few() -> list[PixelItem]:
    """Maps of some tens of values, with ties."""
    return [
        PixelItem(i.name, np.round(i.anomaly_map, 1), i.gt_mask, i.group, (), i.slices, i.region_slices)
        for i in images(3, n=12)
    ]


def test_regions_of_a_slice_stand_against_the_background_of_all_images(few: list[PixelItem]) -> None:
    found = sliced(few, n_replicates=0)
    for key in (SMALL, LARGE):
        check(found[key], slow([kept(item, left(item, key)) for item in few], 0.3))


def test_images_of_a_slice_are_a_set_of_their_own(few: list[PixelItem]) -> None:
    found = sliced(few, n_replicates=0)
    for lot in "AB":
        own = [item for item in few if ("lot", lot) in item.slices]
        assert 0 < len(own) < len(few)
        check(found["lot", lot], slow([kept(item, item.gt_mask) for item in own], 0.3))


def test_the_whole_is_the_mean_of_its_slices_of_regions() -> None:
    items = images(4)
    whole = evaluate_pixels(lambda: items, n_replicates=0)
    n = {key: sum(keys == (key,) for item in items for keys in item.region_slices) for key in (SMALL, LARGE)}
    assert min(n.values()) > 3
    for name in ("aupro_0.3", "aupro_0.05"):
        mean = sum(n[key] * float(whole.slices[key][name].value or 0) for key in n) / sum(n.values())
        assert mean == pytest.approx(whole.estimates[name].value, abs=3e-6)


def many(n: int = 24) -> list[PixelItem]:
    """More pixels than are counted value by value, all of them different."""
    out = []
    for k in range(n):
        rng, mask = np.random.default_rng(k), np.zeros((192, 256), dtype=bool)
        if k % 3:
            mask[20 : 24 + k, 30:60] = mask[100:140, 100:160] = True
        values = (rng.normal(size=mask.shape) + 0.8 * mask).astype(np.float32)
        out.append(PixelItem(f"{k}", values, mask, f"{k}", (), (("lot", "AB"[k % 2]),), by_area(mask, 800)))
    return out


@pytest.mark.parametrize(("memory", "within"), [(pixel_slices.MEMORY, 1e-6), (1 << 20, 1e-4)])
def test_streaming_slices_agree_with_exact_ones(
    monkeypatch: pytest.MonkeyPatch, memory: int, within: float
) -> None:
    monkeypatch.setattr(pixel_slices, "MEMORY", memory)
    items = many()
    found = sliced(items, n_replicates=0)
    for key in (SMALL, LARGE, ("lot", "A")):
        own = [item for item in items if key[0] != "lot" or key in item.slices]
        parts = [kept(item, item.gt_mask if key[0] == "lot" else left(item, key)) for item in own]
        background, defect, share = (np.concatenate([part[at] for part in parts]) for at in range(3))
        check(found[key], sorted_figures(background, defect, share), within)
        if memory < pixel_slices.N_BINS << 12:
            assert "Exact within" in found[key]["aupro_0.05"].note


def sorted_figures(
    background: np.ndarray, defect: np.ndarray, share: np.ndarray
) -> tuple[float, float, float]:
    """The same as slow, for values that are all different, or nearly so."""
    values = np.concatenate([background, defect])
    order = np.argsort(-values, kind="stable")
    wrong = np.cumsum(order < len(background))
    right = np.cumsum(order >= len(background))
    weights = np.concatenate([np.zeros(len(background)), share])[order]
    hits = order >= len(background)
    x, y = wrong / len(background), np.cumsum(weights) / share.sum()
    precision = float(np.mean((right / (right + wrong))[hits]))
    auroc = float(np.mean(1 - x[hits]))
    ends = np.append(0, x), np.append(0, y)
    keep = ends[0] <= 0.3
    return auroc, precision, float(np.trapezoid(ends[1][keep], ends[0][keep]) / 0.3)


def test_slices_do_not_depend_on_each_other() -> None:
    items = images(5)
    alone = [PixelItem(i.name, i.anomaly_map, i.gt_mask, i.group, (), (), i.region_slices) for i in items]
    both, one = sliced(items, n_replicates=50), sliced(alone, n_replicates=50)
    assert one[SMALL]["aupro_0.3"].n == 12
    assert "Only 12 groups have such defects, so the interval is rough" in one[SMALL]["aupro_0.3"].note
    assert set(one) == {SMALL, LARGE} and one == {key: both[key] for key in one}


def test_an_interval_is_that_of_the_images_of_the_slice_alone() -> None:
    """Binned differently, so the ends agree nearly."""
    items = images(6, n=60)
    own = [item for item in items if ("lot", "A") in item.slices]
    found = sliced(items)["lot", "A"]
    alone = evaluate_pixels(lambda: own).estimates
    for name in ("pixel_auroc", "aupro_0.3", "aupro_0.05"):
        assert found[name].n == alone[name].n
        assert found[name].low == pytest.approx(alone[name].low, abs=5e-3)
        assert found[name].high == pytest.approx(alone[name].high, abs=5e-3)


def test_intervals_of_all_regions_are_those_of_all_images() -> None:
    items = [
        PixelItem(
            i.name, i.anomaly_map, i.gt_mask, i.group, (), (("site", "here"),),
            [(("defect_type", "any"),) for _ in i.region_slices],
        )
        for i in images(6)
    ]  # fmt: skip
    found = sliced(items)
    assert len(found) == 2
    for name, estimate in found["site", "here"].items():
        other = found["defect_type", "any"][name]
        ends = estimate.value, estimate.low, estimate.high
        assert (other.value, other.low, other.high) == pytest.approx(ends, abs=1e-12)
        assert estimate.low < estimate.high  # type: ignore[operator]


def test_one_part_with_such_defects_gives_no_interval() -> None:
    items = images(7)
    rare = ("defect_type", "rare")
    first = next(k for k, item in enumerate(items) if item.region_slices)
    at = items[first]
    keys = [(rare,), *((),) * (len(at.region_slices) - 1)]
    items[first] = PixelItem(at.name, at.anomaly_map, at.gt_mask, at.group, (), at.slices, keys)
    found = sliced(items, n_replicates=20)[rare]["aupro_0.3"]
    assert found.value is not None and found.low is None and found.n == 1
    assert "no interval" in found.note


def test_channels_count_in_their_slices() -> None:
    gap, hole = ("defect_type", "gap"), ("defect_type", "hole")
    items = []
    for k, item in enumerate(images(8)):
        key = (gap, hole)[k % 2]
        channels = (Channel(item.gt_mask, 30.0, (key,)),) if item.gt_mask.any() else ()
        items.append(PixelItem(item.name, item.anomaly_map, item.gt_mask, item.group, channels))
    found = evaluate_pixels(lambda: items, n_replicates=0)
    n = [sum(key in c.slices for i in items for c in i.channels) for key in (gap, hole)]
    values = [float(found.slices[key]["auc_spro_0.05"].value or 0) for key in (gap, hole)]
    assert values[0] != values[1]
    assert np.average(values, weights=n) == pytest.approx(found.estimates["auc_spro_0.05"].value, abs=3e-6)


def test_a_slice_without_background_or_defect_says_so() -> None:
    items = [
        PixelItem("a", np.eye(4, 6, dtype=np.float32), np.zeros((4, 6), bool), "a", (), (("lot", "1"),)),
        PixelItem("b", np.eye(4, 6, dtype=np.float32), np.eye(4, 6, dtype=bool), "b", (), (("lot", "2"),)),
    ]
    found = sliced(items, n_replicates=20)
    assert found["lot", "1"]["aupro_0.3"].value is None
    assert "found no region" in found["lot", "1"]["aupro_0.3"].note
    assert found["lot", "2"]["pixel_auroc"].value == 1


def test_regions_and_their_slices_must_be_as_many() -> None:
    item = images(9)[0]
    wrong = PixelItem("odd", np.eye(4, 6, dtype=np.float32), np.eye(4, 6, dtype=bool), "z", (), (), ((), ()))
    with pytest.raises(ValueError, match="each of the 1 regions of odd; found 2"):
        sliced([item, wrong])


@pytest.mark.parametrize("change", [lambda items: items[::-1], lambda items: items])
def test_the_order_of_groups_changes_no_value(
    change: Callable[[list[PixelItem]], list[PixelItem]],
) -> None:
    items = images(10)
    one, other = sliced(items, n_replicates=0), sliced(change(items), n_replicates=0)
    for key, figures in one.items():
        for name, estimate in figures.items():
            assert other[key][name].value == pytest.approx(estimate.value, abs=1e-9)
