"""AP, F1-max, TPR at an FPR, TNR at a miss rate, precision: by hand, against slow oracles, their laws."""

import warnings
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from curate.metrics import (
    auroc,
    average_precision,
    f1_max,
    precision_at_defect_rate,
    tnr_at_miss_rate,
    tpr_at_fpr,
)
from curate.ranking import Counts
from tests.oracles import rankings as oracle

Items = list[tuple[float, bool]]
FINITE_SCORES = st.one_of(st.integers(-4, 4).map(float), st.integers(-64, 64).map(lambda n: n / 64))
SCORES = st.one_of(FINITE_SCORES, st.sampled_from([np.inf, -np.inf]))


def of_both(scores: st.SearchStrategy[float]) -> st.SearchStrategy[Items]:
    """Normal and anomalous items in any order; made, not filtered, so that no draw is thrown away."""
    sides = [st.lists(st.tuples(scores, st.just(label)), min_size=1, max_size=15) for label in (False, True)]
    return st.tuples(*sides).map(lambda both: both[0] + both[1]).flatmap(st.permutations)


ITEMS, FINITE = of_both(SCORES), of_both(FINITE_SCORES)
RATES = st.sampled_from(["0", "0.05", "0.1", "0.29", "0.3", "0.5", "0.7", "1"])
QUICK = settings(deadline=None, max_examples=60)  # a busy machine is no fault
FIGURES = [auroc, average_precision, f1_max, tpr_at_fpr, tnr_at_miss_rate]


def arrays(items: Items) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in items]), np.array([label for _, label in items])


@QUICK
@given(ITEMS)
def test_average_precision_agrees_with_the_oracle(items: Items) -> None:
    assert average_precision.compute(*arrays(items)) == pytest.approx(oracle.average_precision(items))


@QUICK
@given(ITEMS)
def test_f1_max_and_its_threshold_agree_with_the_oracle(items: Items) -> None:
    best, threshold = oracle.f1_max(items)
    assert f1_max.compute(*arrays(items)) == pytest.approx(best)
    assert f1_max.threshold(*arrays(items)) == threshold


@QUICK
@given(ITEMS, RATES)
def test_rates_at_rates_agree_with_the_oracle(items: Items, limit: str) -> None:
    found = tpr_at_fpr.compute(*arrays(items), fpr=float(limit))
    assert found == pytest.approx(oracle.tpr_at_fpr(items, limit))
    found = tnr_at_miss_rate.compute(*arrays(items), miss_rate=float(limit))
    assert found == pytest.approx(oracle.tnr_at_miss_rate(items, limit))


@QUICK
@given(ITEMS, RATES, RATES)
def test_precision_agrees_with_the_oracle(items: Items, limit: str, defect_rate: str) -> None:
    expected = oracle.precision(items, defect_rate, limit)
    options = {"fpr": float(limit), "defect_rate": float(defect_rate)}
    if expected is None:
        with pytest.raises(ValueError, match="Precision needs an alarm"):
            precision_at_defect_rate.compute(*arrays(items), **options)
    else:
        assert precision_at_defect_rate.compute(*arrays(items), **options) == pytest.approx(expected)


@QUICK
@given(FINITE)
def test_they_equal_scikit_learn(items: Items) -> None:
    scores, labels = arrays(items)
    counts = Counts.of_scores(scores, labels)
    assert float(auroc.of(counts)) == pytest.approx(roc_auc_score(labels, scores))
    assert float(average_precision.of(counts)) == pytest.approx(average_precision_score(labels, scores))
    precision, recall, _ = precision_recall_curve(labels, scores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 where nothing is found
        f1 = np.nanmax(2 * precision * recall / (precision + recall))
    assert float(f1_max.of(counts)) == pytest.approx(f1)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert float(tpr_at_fpr.of(counts, 0.2)) == pytest.approx(tpr[fpr <= 0.2].max())
    assert float(tnr_at_miss_rate.of(counts, 0.2)) == pytest.approx((1 - fpr)[1 - tpr <= 0.2].max())


@QUICK
@given(FINITE, st.randoms(use_true_random=False))
def test_rescaling_and_the_order_of_rows_change_nothing(items: Items, random: object) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    scores, labels = arrays(shuffled)
    for metric in FIGURES:
        found = metric.compute(*arrays(items))
        assert metric.compute(scores, labels) == found
        assert metric.compute(np.arctan(scores * 8) * 1e3 - 7, labels) == found


@QUICK
@given(ITEMS, st.integers(0, 9))
def test_a_weight_is_a_repetition(items: Items, seed: int) -> None:
    scores, labels = arrays(items)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(items)))
    together = Counts.of_scores(scores, labels, weights)
    for metric in [*FIGURES, precision_at_defect_rate]:
        for found, times in zip(metric.of(together), weights, strict=True):
            again = metric.of(Counts.of_scores(np.repeat(scores, times), np.repeat(labels, times)))
            assert found == pytest.approx(float(again), nan_ok=True)


@QUICK
@given(ITEMS)
def test_auroc_of_counts_is_auroc(items: Items) -> None:
    assert float(auroc.of(Counts.of_scores(*arrays(items)))) == auroc.compute(*arrays(items))


def test_by_hand() -> None:
    scores = np.array([9.0, 8.0, 7.0, 7.0, 5.0, 4.0, 3.0, 2.0])
    labels = np.array([True, False, True, True, False, False, True, False])
    # from the top: 1 right | 1 wrong | 2 right at once | 2 wrong | 1 right | 1 wrong
    assert average_precision.compute(scores, labels) == pytest.approx((1 + 3 / 4 + 3 / 4 + 4 / 7) / 4)
    assert f1_max.compute(scores, labels) == 2 * 3 / (4 + 4)
    assert f1_max.threshold(scores, labels) == 7.0
    assert tpr_at_fpr.compute(scores, labels, fpr=0.2) == 0.25
    assert tpr_at_fpr.compute(scores, labels, fpr=0.25) == 0.75
    assert tnr_at_miss_rate.compute(scores, labels, miss_rate=0.2) == 0.25
    assert tnr_at_miss_rate.compute(scores, labels, miss_rate=0.25) == 0.75


def test_precision_falls_to_the_lines_defect_rate() -> None:
    scores = np.arange(40.0)
    labels = scores >= 20
    scores[19] = 21.0  # a false alarm, 1 of 20 normal items
    found = precision_at_defect_rate.compute(scores, labels, threshold=20.0)
    assert found == pytest.approx(20 / 21)
    found = precision_at_defect_rate.compute(scores, labels, defect_rate=0.001, threshold=20.0)
    assert found == pytest.approx(0.001 / (0.001 + 0.999 * 0.05))
    assert precision_at_defect_rate.compute(scores, labels, defect_rate=0.001, fpr=0.0) == 1.0
    assert precision_at_defect_rate.compute(scores, labels, defect_rate=0.0, threshold=20.0) == 0.0


def test_no_alarm_has_no_precision() -> None:
    labels = np.array([False, True])
    with pytest.raises(ValueError, match="Precision needs an alarm on the line; found none >= 3"):
        precision_at_defect_rate.compute(np.array([1.0, 2.0]), labels, threshold=3.0)
    with pytest.raises(ValueError, match=r"none with a false-positive rate <= 0\.05"):
        precision_at_defect_rate.compute(np.zeros(2), labels)


def test_equal_scores_at_the_top_give_no_operating_point() -> None:
    labels = np.array([False, True, True])
    assert tpr_at_fpr.compute(np.zeros(3), labels, fpr=0.99) == 0.0
    assert tpr_at_fpr.compute(np.zeros(3), labels, fpr=1.0) == 1.0
    assert tnr_at_miss_rate.compute(np.zeros(3), labels, miss_rate=0.99) == 0.0
    assert tnr_at_miss_rate.compute(np.zeros(3), labels, miss_rate=1.0) == 1.0


def test_a_limit_written_as_a_decimal_is_met_exactly() -> None:
    # 29 of 100 is 0.29, though 0.29 * 100 is below 29 in binary
    scores = np.append(np.arange(100.0), 70.5)
    labels = np.arange(101) == 100
    assert tpr_at_fpr.compute(scores, labels, fpr=0.29) == 1.0
    assert tpr_at_fpr.compute(scores, labels, fpr=0.28) == 0.0


@pytest.mark.parametrize("metric", [*FIGURES, precision_at_defect_rate], ids=lambda metric: metric.__name__)
def test_bad_input_is_refused_with_its_place(metric: ModuleType) -> None:
    labels = np.array([False, True, True])
    with pytest.raises(ValueError, match="the first at position 1: nan"):
        metric.compute(np.array([0.0, np.nan, 1.0]), labels)
    with pytest.raises(ValueError, match="of one shape"):
        metric.compute(np.zeros(2), labels)
    with pytest.raises(ValueError, match="found no normal one among 3"):
        metric.compute(np.zeros(3), labels | True)


def test_what_is_no_rate_is_refused() -> None:
    scores, labels = np.array([0.0, 1.0]), np.array([False, True])
    with pytest.raises(ValueError, match=r"fpr in \[0, 1\]; found 5"):
        tpr_at_fpr.compute(scores, labels, fpr=5)
    with pytest.raises(ValueError, match="miss_rate"):
        tnr_at_miss_rate.compute(scores, labels, miss_rate=-0.1)
    with pytest.raises(ValueError, match="defect rate"):
        precision_at_defect_rate.compute(scores, labels, defect_rate=1.5)
    with pytest.raises(ValueError, match="found NaN"):
        precision_at_defect_rate.compute(scores, labels, threshold=np.nan)
