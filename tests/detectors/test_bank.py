import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from detectors.blocks import bank
from detectors.blocks.bank import greedy_coreset, nearest_distance, sampled_rows


def vectors(n: int, d: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def radius(points: Tensor, chosen: Tensor) -> float:
    """Largest distance of a point to the nearest chosen one."""
    return float(cKDTree(points[chosen].double()).query(points.double())[0].max())


@pytest.mark.parametrize("n_bank", [1, 3, 400])
@pytest.mark.parametrize("most", [1, 700, 4 << 20])
def test_nearest_distance_equals_brute_force_whatever_the_pieces(n_bank, most, monkeypatch):
    monkeypatch.setattr(bank, "MAX_PRODUCTS", most)
    queries, kept = vectors(50), vectors(n_bank, seed=1)
    expected = torch.cdist(queries.double(), kept.double()).min(dim=1).values
    assert torch.allclose(nearest_distance(queries, kept).double(), expected, rtol=1e-5, atol=0)


def test_a_vector_of_the_bank_is_exactly_at_distance_zero():
    kept = 100 + vectors(300, d=32)
    assert nearest_distance(kept, kept).tolist() == [0.0] * 300


def test_nearest_distance_keeps_its_digits_far_from_the_origin():
    kept = 100 + vectors(300, d=32)
    queries = kept + 1e-2 * vectors(300, d=32, seed=2)
    expected = (queries.double() - kept.double()).norm(dim=1)
    assert torch.allclose(nearest_distance(queries, kept).double(), expected, rtol=1e-3)


def test_an_empty_bank_is_refused():
    with pytest.raises(ValueError, match="at least one vector in the bank"):
        nearest_distance(vectors(3), vectors(0))


def test_the_coreset_is_the_greedy_one():
    points = vectors(60)
    chosen = greedy_coreset(points, 10, seed=3).tolist()
    distances = torch.cdist(points.double(), points.double())
    for n in range(1, 10):
        assert distances[:, chosen[:n]].min(dim=1).values.argmax() == chosen[n]


def test_the_radius_does_not_grow_with_the_coreset():
    points = vectors(500)
    radii = [radius(points, greedy_coreset(points, k, seed=0)) for k in (1, 2, 5, 20, 100, 400)]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] < 0.5 * radii[0]


def test_a_smaller_coreset_begins_a_larger_one():
    points = vectors(200)
    large = greedy_coreset(points, 50, seed=1)
    assert torch.equal(greedy_coreset(points, 20, seed=1), large[:20])


def test_the_coreset_covers_better_than_chance():
    points = torch.cat([vectors(2000), 8 + vectors(5, seed=1)])
    by_chance = [radius(points, sampled_rows(len(points), 50, seed)) for seed in range(5)]
    assert radius(points, greedy_coreset(points, 50, seed=0, n_projected=3)) < 0.7 * min(by_chance)


def test_a_seed_decides_the_coreset():
    points = vectors(300)
    first, again, other = (greedy_coreset(points, 30, seed=seed, n_projected=3) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("n_projected", [None, 2])
def test_copies_do_not_come_twice(n_projected):
    points = vectors(4).repeat_interleave(10, dim=0)
    chosen = greedy_coreset(points, 25, seed=0, n_projected=n_projected)
    assert len(chosen.unique()) == 25
    assert len((chosen[:4] // 10).unique()) == 4  # one of each kind first


def test_few_vectors_are_all_kept():
    assert greedy_coreset(vectors(7), 9, seed=0).tolist() == list(range(7))


def test_vectors_are_left_alone():
    points = vectors(100)
    before = points.clone()
    greedy_coreset(points, 20, seed=0)
    assert torch.equal(points, before)


def test_when_stopped_the_coreset_is_filled_up_with_distinct_rows():
    points = vectors(300)
    reports = []

    def stop(done: int, total: int) -> bool:
        reports.append((done, total))
        return done > bank.POLL_EVERY

    chosen = greedy_coreset(points, 200, seed=0, stop=stop)
    assert len(chosen.unique()) == 200
    n_greedy = bank.POLL_EVERY + 1
    assert torch.equal(chosen[:n_greedy], greedy_coreset(points, n_greedy, seed=0))
    assert not torch.equal(chosen, greedy_coreset(points, 200, seed=0))
    assert reports == [(1, 200), (n_greedy, 200)]


def test_memory_does_not_grow_with_the_coreset():
    points = vectors(20_000, d=4)
    made = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and (kwargs or {}).get("out") is None:
                inputs = {each.untyped_storage().data_ptr() for each in args if isinstance(each, Tensor)}
                if result.untyped_storage().data_ptr() not in inputs:
                    made.append(result.numel())
            return result

    with Watch():
        greedy_coreset(points, 300, seed=0)
    assert sum(n >= len(points) for n in made) <= 6  # however many centres are chosen


@pytest.mark.parametrize(("n_rows", "n_kept"), [(0, 3), (3, 0)])
def test_nothing_to_choose_is_refused(n_rows, n_kept):
    with pytest.raises(ValueError, match=f"found {n_rows} and {n_kept}"):
        greedy_coreset(vectors(n_rows), n_kept, seed=0)


def test_sampled_rows_are_distinct_and_ascending():
    rows = sampled_rows(1000, 100, seed=1)
    assert np.all(np.diff(rows.numpy()) > 0)
    assert rows.max() > 800
    assert not torch.equal(rows, sampled_rows(1000, 100, seed=2))
    assert sampled_rows(4, 9, seed=0).tolist() == [0, 1, 2, 3]
