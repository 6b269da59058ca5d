"""Figures of image scores: values, intervals, bands, and what is said where data are missing."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from curate.image_curves import precision_at, tpr_at
from curate.image_evaluation import ImageEvaluation, evaluate_images
from curate.metrics import auroc, average_precision, f1_max, precision_at_defect_rate, tpr_at_fpr
from curate.ranking import Counts

NAMES = [
    "image_auroc",
    "image_average_precision",
    "image_f1_max",
    "tpr_at_fpr",
    "tnr_at_miss_rate",
    "precision_at_defect_rate",
]
Case = tuple[np.ndarray, np.ndarray, list[str]]


def case(n_parts: int = 60, n_views: int = 2, apart: float = 1.5, seed: int = 0) -> Case:
    """Scores of parts with several views; a third of the parts are anomalous."""
    rng = np.random.default_rng(seed)
    parts = np.repeat(np.arange(n_parts), n_views)
    labels = parts % 3 == 0
    scores = rng.normal(size=n_parts)[parts] + rng.normal(size=len(parts)) / 2 + apart * labels
    return np.round(scores, 2), labels, [f"part {n}" for n in parts]


def evaluated(found: Case, **options: float) -> ImageEvaluation:
    return evaluate_images(*found, **{"n_replicates": 200, **options})  # type: ignore[arg-type]


def test_values_are_those_of_the_metrics_and_lie_in_their_intervals() -> None:
    scores, labels, groups = case()
    found = evaluated((scores, labels, groups), defect_rate=0.01)
    assert list(found.estimates) == NAMES
    values = {name: estimate.value for name, estimate in found.estimates.items()}
    assert values["image_auroc"] == auroc.compute(scores, labels)
    assert values["image_average_precision"] == pytest.approx(average_precision.compute(scores, labels))
    assert values["image_f1_max"] == f1_max.compute(scores, labels)
    assert values["tpr_at_fpr"] == tpr_at_fpr.compute(scores, labels)
    assert values["precision_at_defect_rate"] == pytest.approx(
        precision_at_defect_rate.compute(scores, labels, defect_rate=0.01)
    )
    for estimate in found.estimates.values():
        assert estimate.low is not None and estimate.high is not None and estimate.value is not None
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.method) == (60, "group bootstrap")
    assert "oracle" in found.estimates["image_f1_max"].note


def test_the_interval_of_independent_images_is_that_of_delong() -> None:
    scores, labels, _ = case(n_parts=400, n_views=1)
    found = evaluated((scores, labels, [str(n) for n in range(400)]), n_replicates=1000)
    estimate = found.estimates["image_auroc"]
    above = (scores[labels][:, None] > scores[~labels]) + (scores[labels][:, None] == scores[~labels]) / 2
    spread = above.mean(1).var(ddof=1) / labels.sum() + above.mean(0).var(ddof=1) / (~labels).sum()
    assert estimate.low is not None and estimate.high is not None
    assert estimate.high - estimate.low == pytest.approx(2 * norm.ppf(0.975) * np.sqrt(spread), rel=0.1)


def test_thresholds_give_the_figures_they_stand_for() -> None:
    scores, labels, groups = case()
    found = evaluated((scores, labels, groups), fpr=0.1, miss_rate=0.1)
    at = found.thresholds
    assert (scores[~labels] >= at["tpr_at_fpr"]).mean() <= 0.1
    assert (scores[labels] >= at["tpr_at_fpr"]).mean() == found.estimates["tpr_at_fpr"].value
    assert (scores[labels] < at["tnr_at_miss_rate"]).mean() <= 0.1
    assert (scores[~labels] < at["tnr_at_miss_rate"]).mean() == pytest.approx(
        found.estimates["tnr_at_miss_rate"].value
    )


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_rows() -> None:
    scores, labels, groups = case()
    order = np.random.default_rng(1).permutation(len(scores))
    one = evaluated((scores, labels, groups), seed=4)
    other = evaluated((scores[order], labels[order], [groups[n] for n in order]), seed=4)
    assert repr(one.estimates) == repr(other.estimates)
    for name, curve in one.curves.items():
        for part in ("x", "y", "low", "high"):
            assert getattr(curve, part).tobytes() == getattr(other.curves[name], part).tobytes()
    assert repr(evaluated((scores, labels, groups), seed=5).estimates) != repr(one.estimates)


def test_rescaled_scores_give_the_same_figures() -> None:
    scores, labels, groups = case()
    assert (
        evaluated((np.exp(scores), labels, groups)).estimates == evaluated((scores, labels, groups)).estimates
    )


def test_curves_hold_their_area_and_lie_in_their_bands() -> None:
    found = evaluated(case(n_parts=900))
    roc, pr = found.curves["roc"], found.curves["pr"]
    assert roc.area == pytest.approx(found.estimates["image_auroc"].value, abs=1e-3)
    assert pr.area == pytest.approx(found.estimates["image_average_precision"].value, abs=1e-3)
    for curve in (roc, pr):
        assert len(curve.x) <= 256
        assert curve.low is not None and curve.high is not None
        assert (curve.low <= curve.y).all() and (curve.y <= curve.high).all()
        assert curve.low.min() >= 0 and curve.high.max() <= 1
        assert 0.01 < np.median(curve.high - curve.low) < 0.2
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)


def test_replicates_of_the_curves_are_those_of_repeated_images() -> None:
    scores, labels, _ = case(n_parts=30)
    times = np.random.default_rng(0).integers(0, 4, (5, len(scores)))
    drawn = Counts.of_scores(scores, labels, times)
    rates = np.linspace(0, 1, 11)
    for n, (precisions, tprs) in enumerate(
        zip(precision_at(drawn, rates), tpr_at(drawn, rates), strict=True)
    ):
        values, truth = np.repeat(scores, times[n]), np.repeat(labels, times[n])
        found = values[truth]
        cuts = [max(cut for cut in found if (found >= cut).mean() >= rate - 1e-12) for rate in rates]
        assert precisions == pytest.approx([truth[values >= cut].mean() for cut in cuts])
        fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
        assert tprs == pytest.approx(np.interp(rates, fpr, tpr))


def test_a_band_is_the_interval_at_one_rate() -> None:
    scores, labels, groups = case(n_parts=900)
    found = evaluated((scores, labels, groups), n_replicates=400, fpr=0.2)
    roc, estimate = found.curves["roc"], found.estimates["tpr_at_fpr"]
    assert roc.low is not None and roc.high is not None and estimate.low is not None
    assert np.interp(0.2, roc.x, roc.low) == pytest.approx(estimate.low, abs=0.02)
    assert np.interp(0.2, roc.x, roc.high) == pytest.approx(estimate.high, abs=0.02)


@pytest.mark.parametrize(("anomalous", "absent"), [(True, "normal"), (False, "anomalous")])
def test_one_label_alone_gives_no_figure_but_a_note(anomalous: bool, absent: str) -> None:
    found = evaluated((np.arange(3.0), np.full(3, anomalous), ["a", "b", "c"]))
    assert list(found.estimates) == NAMES and not found.curves and not found.thresholds
    assert {e.value for e in found.estimates.values()} == {None}
    assert {e.note for e in found.estimates.values()} == {f"There is no {absent} image."}


def test_no_image_at_all_gives_no_figure() -> None:
    found = evaluated((np.zeros(0), np.zeros(0, dtype=bool), []))
    assert {e.note for e in found.estimates.values()} == {"There is no anomalous image."}


def test_a_perfect_ranking_is_not_certain() -> None:
    labels = np.arange(50) % 2 == 0
    found = evaluated((labels * 1.0, labels, [f"{n}" for n in range(50)])).estimates
    auroc_found = found["image_auroc"]
    assert (auroc_found.value, auroc_found.high, auroc_found.n) == (1, 1, 25)
    assert auroc_found.low == pytest.approx(0.025 ** (1 / 25))
    assert found["tpr_at_fpr"].value == 1 and found["tpr_at_fpr"].low is None
    assert "cannot tell the uncertainty" in found["tpr_at_fpr"].note
    mixed = evaluated((labels * 1.0, labels, [f"{n // 2}" for n in range(50)])).estimates
    assert mixed["image_auroc"].n == 12


def test_few_groups_are_told() -> None:
    scores, labels, groups = case(n_parts=30)
    found = evaluated((scores, labels, groups))
    assert "Only 10 groups with anomalous images" in found.estimates["image_auroc"].note
    assert "Only" not in evaluated(case()).estimates["image_auroc"].note
    single = evaluated((np.array([0.0, 2.0, 1.0]), np.array([False, False, True]), ["a", "b", "c"]))
    assert single.estimates["image_auroc"].value == 0.5
    assert single.estimates["image_auroc"].low is None


def test_a_limit_finer_than_the_images_is_told() -> None:
    scores, labels, groups = case(n_parts=60, n_views=1)  # 20 anomalous, 40 normal
    found = evaluated((scores, labels, groups), fpr=0.02, miss_rate=0.05).estimates
    assert found["tpr_at_fpr"].note.startswith("A limit of 0.02 allows none of the 40 normal images.")
    assert "allows none" not in found["tnr_at_miss_rate"].note
    found = evaluated((scores, labels, groups), fpr=0.025, miss_rate=0.01).estimates
    assert "allows none" not in found["tpr_at_fpr"].note
    assert "A limit of 0.01 allows none of the 20 anomalous images." in found["tnr_at_miss_rate"].note


def test_what_is_not_stated_or_undefined_is_told() -> None:
    scores, labels, groups = case()
    found = evaluated((scores, labels, groups)).estimates["precision_at_defect_rate"]
    assert (found.value, found.note) == (None, "The line's defect rate was not stated.")
    found = evaluated((scores * 0, labels, groups), defect_rate=0.01).estimates["precision_at_defect_rate"]
    assert found.value is None and "No threshold with an alarm" in found.note


def test_wrong_input_is_refused() -> None:
    scores, labels, groups = case(n_parts=3, n_views=1)
    with pytest.raises(ValueError, match="position 1: nan"):
        evaluated((np.array([0, np.nan, 1]), labels, groups))
    with pytest.raises(ValueError, match="found 2 for 3 scores"):
        evaluated((scores, labels, groups[:2]))
    with pytest.raises(ValueError, match="found None at position 2"):
        evaluated((scores, labels, ["a", "b", None]))  # type: ignore[list-item]
    for name in ("fpr", "miss_rate", "defect_rate"):
        with pytest.raises(ValueError, match=name):
            evaluated((scores, labels, groups), **{name: 5})


def test_one_group_of_a_label_tells_nothing_of_others() -> None:
    labels = np.arange(60) % 3 == 0
    scores = np.random.default_rng(0).normal(size=60) + labels
    groups = ["one part" if label else f"part {n}" for n, label in enumerate(labels)]
    found = evaluate_images(scores, labels, groups, n_replicates=50)
    assert all(curve.low is None for curve in found.curves.values())
    estimate = found.estimates["image_auroc"]
    assert estimate.value is not None and estimate.low is None and "one group" in estimate.note


def test_a_precision_without_a_false_alarm_is_not_certain() -> None:
    scores = np.concatenate([np.arange(17.0), np.arange(20.0, 37.0)])
    labels = np.arange(34) >= 17
    found = evaluate_images(scores, labels, list(range(34)), defect_rate=0.001, n_replicates=50)
    precision = found.estimates["precision_at_defect_rate"]
    assert (precision.value, precision.high) == (1.0, 1.0)
    assert precision.low == pytest.approx(0.0035, abs=0.001)  # 17 normal images allow a rate of 0.22
    assert precision.method == "clopper-pearson"
    assert "From the intervals of both rates" in precision.note
