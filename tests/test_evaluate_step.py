"""The evaluation of a workspace: only the test part, resumable, valid, and the same in all its outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from curate import schema, tables
from curate.errors import CurateError, Missing
from curate.evaluation import Options
from curate.evaluation_table import COLUMNS
from curate.files import read_json
from curate.metrics import auroc
from curate.steps import evaluate, evaluation_outputs, threshold
from curate.steps.record import Context
from tests.helpers.evaluated import dataset, part, rows_tested, scored

QUICK = Options(n_replicates=20)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two categories, two detectors, and a decision about one of them."""
    made = scored(dataset(tmp_path_factory.mktemp("evaluated")))
    threshold.run(made, "keen", "f1_max")
    return made


@pytest.fixture(scope="module")
def evaluation(context: Context) -> dict[str, Any]:
    return evaluate.run(context, (), QUICK)["evaluation"]  # type: ignore[no-any-return]


def test_figures_are_those_of_the_test_part_alone(context: Context, evaluation: dict[str, Any]) -> None:
    for detector in ("keen", "dull"):
        for category in ("weave", "mesh"):
            rows = rows_tested(context, category, detector)
            scores, anomalous = (
                rows["anomaly_score"].to_numpy(float),
                (rows["label"] == "anomalous").to_numpy(),
            )
            found = part(evaluation, detector, category)
            assert found["counts"]["n_normal"] + found["counts"]["n_anomalous"] == len(rows) < 42
            assert found["image"]["image_auroc"]["value"] == pytest.approx(auroc.compute(scores, anomalous))
            cut = found["threshold"]["value"]
            decided = found["at_threshold"]
            assert decided["n_false_alarms"] == int((scores[~anomalous] >= cut).sum())
            assert decided["n_missed"] == int((scores[anomalous] < cut).sum())


def test_the_decided_threshold_holds_and_a_rule_stands_in_elsewhere(
    context: Context, evaluation: dict[str, Any]
) -> None:
    chosen = read_json(context.paths.threshold)
    keen, dull = (part(evaluation, detector, "mesh")["threshold"] for detector in ("keen", "dull"))
    assert (keen["source"], keen["value"]) == ("decision", chosen["by_category"]["mesh"]["threshold"])
    assert (dull["source"], dull["rule"]) == ("calibration", "max_normal")
    samples = tables.read(context.paths.samples).merge(tables.read(context.paths.split), on="sample_id")
    scores = tables.read(context.paths.detector("dull") / "predictions.parquet")[
        ["sample_id", "anomaly_score"]
    ]
    rows = samples.merge(scores, on="sample_id").query("category == 'mesh' and label == 'normal'")
    highest = rows[rows["assigned_split"] == "calibration"]["anomaly_score"].max()
    assert highest < dull["value"] < highest + 1e-5


def test_the_file_keeps_its_contract_and_holds_no_infinity(
    context: Context, evaluation: dict[str, Any]
) -> None:
    text = (context.paths.root / "evaluation.json").read_text()
    assert json.loads(text) == evaluation
    schema.check_rows([evaluation], "evaluation")
    assert "Infinity" not in text and "NaN" not in text


def test_the_better_detector_is_told_apart(evaluation: dict[str, Any]) -> None:
    rows = [row for row in evaluation["differences"]["weave"] if row["metric"] == "image_auroc"]
    (row,) = rows
    keen, dull = (
        part(evaluation, name, "weave")["image"]["image_auroc"]["value"] for name in ("keen", "dull")
    )
    assert {row["first"], row["second"]} == {"keen", "dull"}
    sign = 1 if row["first"] == "keen" else -1
    assert row["value"] == pytest.approx(sign * (keen - dull))
    assert row["p_holm"] >= row["p_value"]


def test_means_over_categories_have_counts_summed(evaluation: dict[str, Any]) -> None:
    for each in evaluation["detectors"]:
        parts = list(each["categories"].values())
        mean = np.mean([one["image"]["image_auroc"]["value"] for one in parts])
        assert each["overall"]["image"]["image_auroc"]["value"] == pytest.approx(mean)
        missed = sum(one["at_threshold"]["n_missed"] for one in parts)
        assert each["overall"]["at_threshold"]["n_missed"] == missed


def test_the_table_is_complete_and_equal_to_the_file(
    context: Context, evaluation: dict[str, Any], tmp_path: Path
) -> None:
    evaluation_outputs.write(context, evaluation, "today", None, tmp_path / "figures.parquet")
    table = pq.read_table(tmp_path / "figures.parquet").to_pandas()
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated([*COLUMNS[:6]]).any()
    whole = table[(table["slice_column"] == "") & (table["category"] == "weave")].set_index(
        ["detector", "metric"]
    )
    for detector in ("keen", "dull"):
        found = part(evaluation, detector, "weave")
        for metric, estimate in {**found["image"], **found["pixel"]}.items():
            row = whole.loc[(detector, metric)]
            assert row["value"] == pytest.approx(estimate["value"], nan_ok=True) or estimate["value"] is None
            assert row["interval_level"] == 0.95
        assert (
            whole.loc[(detector, "region_recall_found_any")]["value"]
            == found["regions"]["found_any"]["value"]
        )
        for row in found["pixel_slices"]:
            own = table[(table["slice_column"] == row["column"]) & (table["slice_value"] == row["value"])]
            own = own[(own["detector"] == detector) & (own["category"] == "weave")].set_index("metric")
            for metric, estimate in row["figures"].items():
                assert own.loc[metric]["value"] == pytest.approx(estimate["value"])
                assert own.loc[metric]["level"] == ("region" if "recall" in metric else "pixel")
    assert set(table["category"]) == {"weave", "mesh", "(all)"}
    assert {"", "defect_type", "reduction", "region_size", "minus"} == set(table["slice_column"])


def test_finished_work_is_kept_and_the_rest_goes_on(
    context: Context, evaluation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = evaluate.run(context, (), QUICK)
    assert not again["fresh"] and again["evaluation"] == evaluation

    def never(*arguments: Any) -> None:
        raise AssertionError("evaluated again")

    (context.paths.root / "evaluation.json").unlink()
    monkeypatch.setattr(evaluate, "evaluate_scores", never)
    assert evaluate.run(context, (), QUICK)["evaluation"] == evaluation  # from the parts of the detectors
    with pytest.raises(AssertionError, match="evaluated again"):
        evaluate.run(context, (), Options(n_replicates=21))


def test_a_decision_made_later_counts_and_one_about_other_scores_does_not(tmp_path: Path) -> None:
    said: list[str] = []
    quiet = scored(dataset(tmp_path, ("weave",)), "keen")
    made = Context(quiet.workspace, quiet.paths, said.append)
    first = part(evaluate.run(made, (), QUICK)["evaluation"], "keen", "weave")
    assert first["threshold"]["source"] == "calibration"
    threshold.run(made, "keen", "f1_max")
    second = part(evaluate.run(made, (), QUICK)["evaluation"], "keen", "weave")
    assert second["threshold"]["source"] == "decision"
    target = made.paths.detector("keen") / "predictions.parquet"
    scores = tables.read(target)
    scores["anomaly_score"] += 1.0
    tables.write(scores, target)
    third = part(evaluate.run(made, (), QUICK)["evaluation"], "keen", "weave")
    assert third["threshold"]["source"] == "calibration"
    assert any("chosen on other scores and does not count" in line for line in said)


def test_one_label_only_gives_counts_and_no_ranking(tmp_path: Path) -> None:
    made = scored(dataset(tmp_path, ("weave",), n_per_defect=0), "keen")
    result = evaluate.run(made, (), QUICK)
    found = part(result["evaluation"], "keen", "weave")
    assert found["counts"]["n_anomalous"] == 0 < found["counts"]["n_normal"]
    assert found["image"]["image_auroc"]["value"] is None
    assert found["at_threshold"]["false_alarm_rate"]["value"] is not None
    page = evaluation_outputs.page(made, result["evaluation"], "today")
    assert "no anomalous image, so misses are not known" in page


def test_without_normal_calibration_images_no_threshold_holds(tmp_path: Path) -> None:
    made = dataset(tmp_path, ("weave",))
    split = tables.read(made.paths.split)
    split.loc[split["assigned_split"] == "calibration", "assigned_split"] = "train"
    tables.write(split, made.paths.split)
    made = scored(made, "keen")
    result = evaluate.run(made, (), QUICK)
    found = part(result["evaluation"], "keen", "weave")
    assert found["threshold"]["value"] is None and found["at_threshold"] is None
    assert found["by_defect_type"][0]["recall"] is None
    assert "no threshold holds" in evaluation_outputs.page(made, result["evaluation"], "today")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    made = dataset(tmp_path, ("weave",))
    with pytest.raises(Missing, match=r"has no scores\. Run: curate score toy"):
        evaluate.run(made)
    scored(made, "keen")
    with pytest.raises(Missing, match="no scores of dull"):
        evaluate.run(made, ("dull",))
    split = tables.read(made.paths.split)
    split["assigned_split"] = "train"
    tables.write(split, made.paths.split)
    scored(made, "keen")
    with pytest.raises(CurateError, match="no labelled image"):
        evaluate.run(made)
