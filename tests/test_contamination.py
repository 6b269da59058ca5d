"""Anomalous images among the normal ones are found, told, and left out of the fit."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import detectors
from curate.contamination import find, folds
from curate.files import read_json
from curate.score_fit import Fitting, fit_detector
from curate.score_robust import examine, left_out, with_change, without
from curate.scoring import score_table
from tests.test_scoring import TINY, make_table

N_GOOD, N_PLANTED, N_BAD = 20, 2, 3


def test_the_rule_is_median_plus_five_deviations():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 100.0, 11.0])  # median 4, MAD 2
    found = find(scores, 0.4)
    assert found.median == 4
    assert found.scale == pytest.approx(1.4826 * 2)
    assert found.z[5] == pytest.approx(96 / (1.4826 * 2))
    assert found.above == (5,)
    assert find(np.array([4 + 5.01 * 1.4826 * 2, 1.0, 2.0, 3.0, 4.0, 5.0, 100.0]), 0.4).above == (6, 0)
    assert find(np.array([4 + 4.99 * 1.4826 * 2, 1.0, 2.0, 3.0, 4.0, 5.0, 100.0]), 0.4).above == (6,)


def test_no_more_than_the_fraction_is_left_out_and_all_above_are_counted():
    scores = np.concatenate([np.linspace(0, 1, 17), [50.0, 70.0, 60.0]])
    found = find(scores, 0.1)
    assert found.above == (18, 19, 17)
    assert found.left_out == (18, 19)


def test_scaling_and_shifting_scores_changes_nothing():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=40), [9.0, 12.0]])
    assert find(scores, 0.2).above == find(3 * scores - 50, 0.2).above == (41, 40)


def test_equal_scores_leave_nothing_out_and_one_high_one_among_them_does():
    assert find(np.ones(10), 0.3).above == ()
    assert find(np.array([1.0] * 20 + [9.0]), 0.3).above == (20,)
    assert find(np.zeros(0), 0.3).above == ()


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction above 0 and below"):
        find(np.ones(4), fraction)


def test_folds_keep_groups_together_are_even_and_do_not_depend_on_the_order():
    ids = [f"i{number}" for number in range(30)]
    groups = [None if number < 10 else f"part {number % 7}" for number in range(30)]
    chosen = dict(zip(ids, folds(ids, groups, seed=3), strict=True))
    for group in set(groups) - {None}:
        assert len({chosen[name] for name, own in zip(ids, groups, strict=True) if own == group}) == 1
    sizes = np.bincount(list(chosen.values()))
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 3
    backwards = dict(zip(ids[::-1], folds(ids[::-1], groups[::-1], seed=3), strict=True))
    assert backwards == chosen
    assert dict(zip(ids, folds(ids, groups, seed=4), strict=True)) != chosen


def test_folds_of_one_large_group_divide_it():
    assert len(set(folds(list("abcdef"), ["x"] * 6, seed=0, n_folds=3))) == 3
    assert sorted(np.bincount(folds(list("abcd"), ["x", "x", "x", None], seed=0, n_folds=2))) == [2, 2]


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Normal images, two defects labelled normal by mistake, and three defects known as such."""
    (tmp_path / "images").mkdir()
    table = make_table(tmp_path / "images", n=N_GOOD, n_bad=N_PLANTED + N_BAD)
    table.loc[N_GOOD : N_GOOD + N_PLANTED - 1, "label"] = "normal"
    return table


def fitting(folder: Path, told: list[Any] | None = None) -> Fitting:
    return Fitting("padim", TINY, folder, progress=None if told is None else told.append)


def z_of_defects(table: pd.DataFrame, predictions: pd.DataFrame) -> float:
    """How far the known defects are above the normal images that are normal, in deviations of these."""
    scores = table.merge(predictions, on="sample_id", sort=False)["anomaly_score"].to_numpy()
    good, bad = scores[:N_GOOD], scores[N_GOOD + N_PLANTED :]
    return float((bad.mean() - good.mean()) / good.std())


def test_planted_defects_are_found_and_known_ones_stand_out_more_without_them(table, tmp_path):
    train = table[table["label"] == "normal"]
    planted = table["sample_id"].iloc[N_GOOD : N_GOOD + N_PLANTED].tolist()
    found = examine(train, fitting(tmp_path / "padim"), 0.2, seed=0)
    assert sorted(left_out(found)) == sorted(planted)
    facts = found["by_category"]["weave"]
    assert (facts["n_normals"], facts["n_folds"], facts["n_above"]) == (22, 5, 2)
    assert facts["estimated_contamination"] == pytest.approx(2 / 22)
    paths = dict(zip(table["sample_id"], table["filepath"], strict=True))
    assert all(row["path"] == paths[row["sample_id"]] and row["z"] > 5 for row in facts["left_out"])
    fit_detector(train, "padim", TINY, tmp_path / "plain")
    fit_detector(without(train, found), "padim", TINY, tmp_path / "padim")
    plain, robust = (score_table(table, tmp_path / name) for name in ("plain", "padim"))
    assert z_of_defects(table, robust) > 1.2 * z_of_defects(table, plain)
    after = with_change(found, robust)["by_category"]["weave"]["left_out"]
    known = dict(zip(robust["sample_id"], robust["anomaly_score"], strict=True))
    assert [row["score_after"] for row in after] == [known[row["sample_id"]] for row in after]


def test_clean_normals_stay_in(table, tmp_path):
    clean = table.iloc[:N_GOOD]
    found = examine(clean, fitting(tmp_path / "padim"), 0.2, seed=0)
    assert found["by_category"]["weave"]["estimated_contamination"] == 0
    assert len(without(clean, found)) == N_GOOD


def test_no_image_is_scored_by_a_detector_fitted_on_it(table, tmp_path, monkeypatch):
    train = table[table["label"] == "normal"].assign(part_id=[f"p{n // 2}" for n in range(22)])
    fitted, judged = [], []
    fit, predict = detectors.base.Detector.fit, detectors.base.Detector.predict

    def fitting_on(self, images, *more, **options):
        fitted.append({row["part_id"] for row in images.rows})
        return fit(self, images, *more, **options)

    def judging(self, images):
        kept = list(images)
        judged.append(len(kept))
        return predict(self, kept)

    monkeypatch.setattr(detectors.base.Detector, "fit", fitting_on)
    monkeypatch.setattr(detectors.base.Detector, "predict", judging)
    examine(train, fitting(tmp_path / "padim"), 0.2, seed=0)
    assert (len(fitted), sum(judged)) == (5, 22)
    parts = set(train["part_id"])
    assert [2 * len(parts - seen) for seen in fitted] == judged
    assert set.union(*(parts - seen for seen in fitted)) == parts


def test_finished_folds_are_not_fitted_again(table, tmp_path):
    train = table[table["label"] == "normal"]

    def stopping(event: Any) -> None:
        if event.title == "padim fold 3 of 5":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(train, Fitting("padim", TINY, tmp_path / "padim", progress=stopping), 0.2, seed=0)
    told: list[Any] = []
    resumed = examine(train, fitting(tmp_path / "padim", told), 0.2, seed=0)
    assert {event.title for event in told} == {f"padim fold {number} of 5" for number in (3, 4, 5)}
    assert resumed == examine(train, fitting(tmp_path / "calm"), 0.2, seed=0)
    other = fitting(tmp_path / "padim", other_told := [])
    examine(train.iloc[1:], other, 0.2, seed=0)
    assert len({event.title for event in other_told}) == 5


def test_too_few_images_to_leave_one_out_are_said_to_be_so(table, tmp_path):
    found = examine(table.iloc[:9], fitting(tmp_path / "padim"), 0.1, seed=0)
    assert found["by_category"]["weave"]["n_folds"] == 0
    assert left_out(found) == []
    assert not (tmp_path / "padim").exists()


def test_the_report_tells_what_was_left_out(tmp_path):
    from curate.recipe import Source
    from curate.score_training import Choice
    from curate.steps import ingest, score, split
    from curate.steps.record import Context
    from curate.workspace import Workspace
    from tests.helpers.tiny import write_mvtec

    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    root = write_mvtec(tmp_path / "tree", n_train=18)
    good, stain = root / "weave" / "train" / "good", root / "weave" / "test" / "stain"
    (good / "by-mistake.png").write_bytes((stain / "000.png").read_bytes())
    (stain / "000.png").unlink()
    ingest.run(context, Source(root))
    split.run(context)
    told = score.run(context, "padim", TINY, choice=Choice(robust=0.1))["report"]
    (row,) = told["robust"]["by_category"]["weave"]["left_out"]
    assert row["path"].endswith("by-mistake.png")
    assert row["score_after"] > 0
    assert told["n_normals"] == 18
    assert not score.run(context, "padim", TINY, choice=Choice(robust=0.1))["fresh"]
    assert score.run(context, "padim", TINY)["report"]["n_normals"] == 19
    assert "robust" not in read_json(context.paths.detector("padim") / "report.json")


def test_an_image_that_joins_a_finished_fold_is_scored_too(table, tmp_path):
    """One that comes last in the drawn order leaves all others where they were."""
    train = table[table["label"] == "normal"]
    drawn = {name: hashlib.sha256(f"0 {name}".encode()).hexdigest() for name in train["sample_id"]}
    last = train["sample_id"] == max(drawn, key=lambda name: drawn[name])
    examine(train[~last], fitting(tmp_path / "padim"), 0.2, seed=0)
    grown = examine(train, fitting(tmp_path / "padim"), 0.2, seed=0)
    assert grown == examine(train, fitting(tmp_path / "calm"), 0.2, seed=0)
