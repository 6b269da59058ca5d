"""The size found with 90 %: known curves come back, intervals cover, gaps in the data are told."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from curate.psychometric import Curve, SmallestFound, fit, smallest_found

MIDDLE_PX, SLOPE = 8.0, 3.0


def simulated(n: int, seed: int, guess: float = 0.0, lapse: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    diameters = np.exp(rng.normal(np.log(12), 0.8, n))
    chance = guess + (1 - guess - lapse) * expit(SLOPE * np.log(diameters / MIDDLE_PX))
    return diameters, rng.uniform(size=n) < chance


def truth(guess: float = 0.0, lapse: float = 0.0) -> float:
    return float(MIDDLE_PX * np.exp(logit((0.9 - guess) / (1 - guess - lapse)) / SLOPE))


def answer(
    diameters: np.ndarray, hits: np.ndarray, n_replicates: int = 100, **options: object
) -> SmallestFound:
    groups = list(range(len(hits)))
    return smallest_found(diameters, hits, groups, n_replicates=n_replicates, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("guess", "lapse"), [(0.0, 0.0), (0.1, 0.05)])
def test_a_known_curve_comes_back(guess: float, lapse: float) -> None:
    diameters, hits = simulated(20_000, 1, guess, lapse)
    found = answer(diameters, hits, n_replicates=2)
    assert found.status == "fitted" and found.curve is not None
    assert found.size.value == pytest.approx(truth(guess, lapse), rel=0.06)
    assert float(found.curve.guess) == pytest.approx(guess, abs=0.02)
    assert float(found.curve.lapse) == pytest.approx(lapse, abs=0.015)
    assert found.curve.probability(np.array([found.size.value])) == pytest.approx(0.9)


def test_the_fit_has_the_highest_likelihood() -> None:
    diameters, hits = simulated(150, 3, 0.05, 0.05)
    weights = np.random.default_rng(0).integers(0, 3, (2, 150)).astype(float)
    curves = fit(diameters, hits, weights)

    def loss(params: np.ndarray, weight: np.ndarray) -> float:
        offset, slope, guess, lapse = params
        chance = guess + (1 - guess - lapse) * expit(offset + slope * np.log(diameters))
        chance = np.clip(chance, 1e-12, 1 - 1e-12)
        return -float((weight * np.log(np.where(hits, chance, 1 - chance))).sum())

    bounds = [(None, None), (0, 50), (0, 0.49), (0, 0.49)]
    for row, weight in enumerate(weights):
        ours = [getattr(curves, name)[row] for name in ("offset", "slope", "guess", "lapse")]
        starts = [[-6, 3, 0.05, 0.05], [-2, 1, 0.2, 0.2], [-12, 6, 0.01, 0.3]]
        best = min(minimize(loss, start, (weight,), method="L-BFGS-B", bounds=bounds).fun for start in starts)
        assert loss(np.array(ours), weight) <= best + 1e-3


def test_intervals_cover_about_as_often_as_they_say() -> None:
    answers = [
        answer(*simulated(120, seed), n_replicates=80, level=level).size
        for level in (0.95, 0.5)
        for seed in range(30)
    ]
    covered = [(size.low or 0) <= truth() <= (size.high or np.inf) for size in answers]
    assert np.mean(covered[:30]) >= 0.83  # 0.95 less three standard errors
    assert 0.2 <= np.mean(covered[30:]) <= 0.8


def test_images_and_not_regions_are_drawn() -> None:
    diameters, hits = simulated(200, 5)
    alone = answer(diameters, hits).size
    copied = smallest_found(
        np.tile(diameters, 4), np.tile(hits, 4), list(range(200)) * 4, n_replicates=100
    ).size
    assert copied.n == alone.n == 200
    assert alone.low is not None and copied.low == pytest.approx(alone.low, rel=0.02)


def test_same_seed_same_answer_whatever_the_unit() -> None:
    diameters, hits = simulated(200, 6)
    first, again, um = answer(diameters, hits), answer(diameters, hits), answer(diameters * 3.5, hits)
    assert first.size == again.size
    assert um.size.value == pytest.approx(3.5 * (first.size.value or 0), rel=1e-3)


def test_all_or_none_found_is_no_curve() -> None:
    diameters = np.linspace(4, 40, 50)
    found = answer(diameters, np.ones(50, dtype=bool))
    assert (found.status, found.size.value) == ("all_found", None)
    assert "All 50 regions were found, the smallest of 4" in found.size.note
    found = answer(diameters, np.zeros(50, dtype=bool))
    assert found.status == "none_found" and "the largest of 40 px" in found.size.note


def test_too_few_are_told_with_their_number() -> None:
    diameters, hits = np.linspace(4, 40, 60), np.arange(60) > 8
    hits[2] = True
    found = answer(diameters, hits)
    assert (found.status, found.size.value) == ("too_few", None)
    assert "52 regions were found and 8 missed" in found.size.note
    assert answer(np.zeros(0), np.zeros(0, dtype=bool)).status == "too_few"


def test_sizes_that_do_not_overlap_give_a_gap_and_no_false_precision() -> None:
    diameters = np.concatenate([np.linspace(2, 9, 20), np.linspace(12, 30, 20)])
    found = answer(diameters, diameters > 10)
    assert (found.status, found.size.value) == ("separated", None)
    assert "up to 9 px was missed and every one from 12 px on found" in found.size.note


def test_recall_that_does_not_grow_with_size_has_no_smallest_size() -> None:
    rng = np.random.default_rng(2)
    diameters = np.exp(rng.normal(2, 1, 200))
    for hits in (rng.uniform(size=200) < 0.6, diameters < 8):
        found = answer(diameters, hits)
        assert (found.status, found.size.value, found.curve) == ("no_increase", None, None)
        assert found.trend_p is not None and found.trend_p > 0.05


def test_defects_missed_however_large_leave_the_size_open() -> None:
    found = answer(*simulated(2000, 7, lapse=0.3), n_replicates=20)
    assert (found.status, found.size.value, found.size.high) == ("not_reached", None, None)
    assert "only a share of 0.69" in found.size.note


def test_a_size_beyond_the_data_is_called_extrapolated() -> None:
    diameters, hits = simulated(3000, 8)
    small = diameters < 12
    found = answer(diameters[small], hits[small], n_replicates=20)
    assert found.status == "extrapolated" and (found.size.value or 0) > 12
    assert "there are only regions from" in found.size.note


def test_regions_of_one_part_give_no_interval() -> None:
    diameters, hits = simulated(100, 9)
    size = smallest_found(diameters, hits, ["part"] * 100, n_replicates=20).size
    assert size.value is not None and (size.low, size.high, size.method) == (None, None, "")


def test_an_interval_from_few_parts_is_told_to_be_too_narrow() -> None:
    diameters, hits = simulated(190, 9)
    few = smallest_found(diameters, hits, [str(index % 19) for index in range(190)], n_replicates=20).size
    enough = smallest_found(diameters, hits, [str(index % 20) for index in range(190)], n_replicates=20).size
    assert "Only 19 parts" in few.note and few.low is not None
    assert "Only" not in enough.note


def test_size_at_handles_flat_and_limited_curves() -> None:
    flat = Curve(np.array([5.0, -5.0]), np.zeros(2), np.zeros(2), np.zeros(2))
    assert flat.size_at(0.9).tolist() == [0.0, np.inf]
    limited = Curve(np.zeros(2), np.ones(2), np.array([0.0, 0.4]), np.array([0.1, 0.0]))
    assert limited.size_at(0.9)[0] == np.inf
    assert limited.size_at(0.4)[1] == 0.0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 for 2"):
        smallest_found(np.ones(2), np.ones(1, dtype=bool), [0, 1])
    with pytest.raises(ValueError, match="above 0"):
        smallest_found(np.zeros(2), np.ones(2, dtype=bool), [0, 1])
    with pytest.raises(ValueError, match="found 1"):
        smallest_found(np.ones(2), np.ones(2, dtype=bool), [0, 1], probability=1)
