"""Intervals: exact ones by their definition, the bootstrap's laws, and how often it holds the truth."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from curate.intervals import (
    NO_SPREAD,
    GroupDraws,
    bootstrap,
    bootstrapped,
    group_weights,
    grouped_proportion,
    proportion,
)
from curate.metrics import auroc
from curate.ranking import Ranking


@pytest.mark.parametrize("n_trials", [1, 7, 20, 212])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_ends_of_a_proportion_are_where_the_tails_are_as_promised(n_trials: int, level: float) -> None:
    tail = (1 - level) / 2
    for n_hits in range(n_trials + 1):
        found = proportion(n_hits, n_trials, level)
        if n_hits:
            assert binom.sf(n_hits - 1, n_trials, found.low) == pytest.approx(tail)
        else:
            assert found.low == 0
        if n_hits < n_trials:
            assert binom.cdf(n_hits, n_trials, found.high) == pytest.approx(tail)
        else:
            assert found.high == 1


def test_a_proportion_of_nothing_says_so() -> None:
    found = proportion(0, 0)
    assert (found.value, found.low, found.high, found.n) == (None, 0, 1, 0)
    assert found.note == "There was no trial."


def test_wrong_proportions_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 3 hits; found 4"):
        proportion(4, 3)
    with pytest.raises(ValueError, match="level"):
        proportion(1, 3, 95)


def test_every_replicate_draws_as_many_groups_as_there_are() -> None:
    draws = GroupDraws([5, 3], 40, np.random.default_rng(0))
    first, second = ([draws.next(stratum) for _ in range(n)] for stratum, n in ((0, 5), (1, 3)))
    assert (np.sum(first, axis=0) == 5).all() and (np.sum(second, axis=0) == 3).all()
    with pytest.raises(ValueError, match="Stratum 1 has no more groups"):
        draws.next(1)


def test_counts_of_a_group_are_binomial() -> None:
    draws = GroupDraws([10], 20_000, np.random.default_rng(1))
    every = np.array([draws.next() for _ in range(10)])
    weights = group_weights(range(10), [0] * 10, 20_000, np.random.default_rng(2)).T
    for counts in (*every, *weights):
        shares = np.bincount(counts, minlength=11)[:5] / 20_000
        np.testing.assert_allclose(shares, binom.pmf(range(5), 10, 0.1), atol=0.015)
    assert np.corrcoef(every[0], every[9])[0, 1] == pytest.approx(-1 / 9, abs=0.03)
    assert np.corrcoef(weights[0], weights[9])[0, 1] == pytest.approx(-1 / 9, abs=0.03)


def test_items_of_a_group_come_together_and_strata_apart() -> None:
    groups = ["b", "a", "b", "c", "c", "d"]
    strata = [False, True, False, False, True, False]  # c has an item of the higher kind
    weights = group_weights(groups, strata, 50, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 1] + weights[:, 3] == 2).all()
    assert (weights[:, 0] + weights[:, 5] == 2).all()


def test_the_order_of_items_and_the_chunks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=60), [f"part {n % 17}" for n in range(60)]
    order = rng.permutation(60)

    def replicates(order: np.ndarray, chunk: int | None) -> np.ndarray:
        def total(weights: np.ndarray) -> np.ndarray:
            return (weights * np.round(values[order] * 1024)).sum(axis=1)

        return bootstrap(total, [groups[n] for n in order], [0] * 60, 101, seed=3, chunk=chunk)

    whole = replicates(np.arange(60), None)
    assert whole.tobytes() == replicates(order, 7).tobytes()
    assert len(set(whole)) > 50


def test_a_statistic_may_have_several_columns() -> None:
    found = bootstrap(lambda weights: weights[:, :3].astype(float), "abcd", [0] * 4, 12, chunk=5)
    assert found.shape == (12, 3)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_an_item_without_a_group_is_refused(missing: object) -> None:
    with pytest.raises(ValueError, match=r"found (None|nan) at position 1"):
        group_weights(["a", missing], [0, 0], 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="found 1 for 2 items"):
        group_weights(["a", "b"], [0], 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="1 replicate or more"):
        bootstrap(lambda weights: weights[:, 0], ["a"], [0], 0)


def test_an_interval_is_the_middle_of_the_replicates() -> None:
    found = bootstrapped(0.5, np.random.default_rng(0).permutation(1001) / 1000, 9, level=0.9)
    assert (found.low, found.high, found.n, found.method) == (0.05, 0.95, 9, "group bootstrap")


def test_infinite_replicates_have_a_place() -> None:
    found = bootstrapped(3.0, np.array([1.0, 2, 3, np.inf, np.inf]), 9)
    assert (found.low, found.high) == (1, np.inf)
    found = bootstrapped(3.0, np.append(2.0, np.full(99, np.inf)), 9, level=0.9)
    assert (found.low, found.high) == (np.inf, np.inf)


def test_what_tells_nothing_gives_no_interval() -> None:
    spread = np.linspace(0, 1, 10)
    assert bootstrapped(0.5, spread, 1).low is None
    assert bootstrapped(None, spread, 9).low is None
    assert bootstrapped(0.5, np.append(spread[:4], [np.nan] * 6), 9).low is None
    assert bootstrapped(0.5, np.append(spread[:5], [np.nan] * 5), 9).low == 0
    assert bootstrapped(0.5, np.full(5, np.nan), 9).low is None
    same = bootstrapped(1.0, np.ones(10), 9, note="Told.")
    assert (same.low, same.high, same.method, same.note) == (None, None, "", f"Told. {NO_SPREAD}")
    with pytest.raises(ValueError, match="level"):
        bootstrapped(0.5, spread, 9, level=1)


def test_a_proportion_of_single_items_is_exact_and_of_groups_is_not() -> None:
    hits = np.arange(40) < 30
    assert grouped_proportion(hits, range(40)) == proportion(30, 40)
    grouped = grouped_proportion(hits, [n // 10 for n in range(40)])
    assert grouped.method == "group bootstrap" and grouped.n == 4 and "independent" in grouped.note
    low, high = grouped.low, grouped.high
    assert low is not None and high is not None
    exact = proportion(30, 40)
    assert exact.low is not None and exact.high is not None
    assert high - low > 1.5 * (exact.high - exact.low)


def test_groups_without_a_miss_count_as_single_trials() -> None:
    found = grouped_proportion(np.ones(40, dtype=bool), [n // 10 for n in range(40)])
    assert (found.value, found.low, found.high, found.n) == (1, proportion(4, 4).low, 1, 4)
    found = grouped_proportion(np.zeros(40, dtype=bool), [n // 10 for n in range(40)])
    assert (found.value, found.low, found.high) == (0, 0, proportion(0, 4).high)
    assert "counts as one trial" in found.note


@pytest.mark.slow
def test_groups_hold_the_truth_where_single_items_do_not() -> None:
    """40 parts of each label with 5 images alike: images drawn for themselves hold it in 0.7 of cases."""
    n_parts, n_views, alike, apart = 40, 5, 0.7, 1.2
    truth = norm.cdf(apart / np.sqrt(2))
    parts = np.repeat(np.arange(2 * n_parts), n_views)
    labels = parts < n_parts
    rng = np.random.default_rng(5)
    held = {"parts": 0, "images": 0}
    n_draws = 120
    for draw in range(n_draws):
        common = np.repeat(rng.normal(size=2 * n_parts), n_views) * np.sqrt(alike)
        scores = common + rng.normal(size=len(parts)) * np.sqrt(1 - alike) + apart * labels
        ranking = Ranking(scores, labels)
        for kind, groups in (("parts", parts), ("images", np.arange(len(parts)))):
            drawn = bootstrap(
                lambda weights, ranking=ranking: auroc.of(ranking.counts(weights)), groups, labels, 200, draw
            )
            found = bootstrapped(0.0, drawn, 80)
            assert found.low is not None and found.high is not None
            held[kind] += found.low <= truth <= found.high
    assert 0.88 <= held["parts"] / n_draws <= 0.99
    assert held["images"] / n_draws <= 0.8


def test_an_interval_from_few_groups_says_so() -> None:
    for n_groups, told in ((19, True), (20, False)):
        hits, groups = np.arange(3 * n_groups) % 2 > 0, np.arange(3 * n_groups) // 3
        found = grouped_proportion(hits, groups.tolist())
        assert ("too narrow" in found.note) == told


def test_a_weight_is_so_many_items() -> None:
    hits, groups = np.arange(40) % 3 == 0, np.arange(40) // 4
    weights = np.arange(40) % 5 + 1
    found = grouped_proportion(hits, groups.tolist(), weights=weights)
    apart = grouped_proportion(np.repeat(hits, weights), np.repeat(groups, weights).tolist())
    assert found == apart
    assert grouped_proportion(hits, list(range(40)), weights=weights).method == "group bootstrap"
