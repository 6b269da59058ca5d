import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import detectors
from curate import tables
from curate.errors import DataFault
from curate.images import read_image
from curate.map_reductions import (
    BOX_SIDE,
    COMMON,
    compare_reductions,
    own_reduction,
    reduce_map,
    reduction_scores,
)
from curate.metrics.auroc import compute as exact_auroc
from curate.schema import check_table
from curate.schema import load as contract
from curate.score_journal import read_lines
from curate.scoring import fit_detector, score_table
from detectors.base import Prediction
from detectors.reductions import reduce
from tests.test_scoring import TINY, make_table, normals


def slow(anomaly_map: np.ndarray) -> dict[str, float]:
    """The definitions, one after the other, with a sorted list and loops."""
    values = sorted(anomaly_map.astype(np.float64).ravel().tolist(), reverse=True)
    n, half = len(values), BOX_SIDE // 2
    height, width = anomaly_map.shape
    boxes = [
        np.mean([
            anomaly_map[min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)]
            for down in range(-half, half + 1) for right in range(-half, half + 1)
        ], dtype=np.float64)
        for row in range(height) for column in range(width)
    ]  # fmt: skip

    def top(number: int) -> float:
        return sum(values[:number]) / number

    def share_not_above(value: float) -> float:
        return sum(each <= value for each in values) / n

    return {
        "max": values[0],
        "mean": sum(values) / n,
        "top_mean_0.001": top(math.ceil(n / 1000)),
        "top_mean_0.01": top(math.ceil(n / 100)),
        "top_mean_16px": top(min(16, n)),
        "quantile_0.999": min(value for value in values if share_not_above(value) >= 0.999),
        "max_mean_9px": max(boxes),
    }


@pytest.mark.parametrize("shape", [(48, 64), (1, 1), (3, 5), (40, 50), (1, 2000)])
def test_reductions_equal_their_definitions(shape):
    rng = np.random.default_rng(3)
    for values in (rng.normal(size=shape), rng.integers(0, 4, shape), np.full(shape, -2.5)):
        anomaly_map = values.astype(np.float32)
        found, expected = reduce_map(anomaly_map), slow(anomaly_map)
        assert list(found) == list(COMMON) == list(expected)
        for name in COMMON:
            assert found[name] == pytest.approx(expected[name], abs=2e-6), name


def test_a_view_of_a_larger_map_gives_what_its_copy_gives():
    whole = np.random.default_rng(1).random((60, 80)).astype(np.float32)
    assert reduce_map(whole[5:53, 7:71]) == reduce_map(whole[5:53, 7:71].copy())


def test_a_small_defect_drowns_in_the_mean_of_a_hundredth_but_not_in_16_pixels():
    calm = np.zeros((256, 256), np.float32)
    calm[::16, ::16] = 0.5  # noise that is spread out
    defect = calm.copy()
    defect[100:104, 60:64] = 1.0
    before, after = reduce_map(calm), reduce_map(defect)
    assert after["top_mean_16px"] - before["top_mean_16px"] == pytest.approx(0.5)
    assert after["top_mean_0.01"] - before["top_mean_0.01"] < 0.03


def test_reductions_of_scaled_and_shifted_maps_are_scaled_and_shifted():
    anomaly_map = np.random.default_rng(2).random((48, 64)).astype(np.float32)
    plain, other = reduce_map(anomaly_map), reduce_map(4 * anomaly_map - 8)
    assert [other[name] for name in COMMON] == pytest.approx(
        [4 * plain[name] - 8 for name in COMMON], abs=1e-5
    )


@pytest.mark.parametrize("how", ["max", "mean", "top_mean"])
@pytest.mark.parametrize("fraction", [0.001, 0.01])
def test_the_name_of_a_detectors_own_score_means_the_same_value(how, fraction):
    anomaly_map = np.random.default_rng(4).random((48, 65)).astype(np.float32)
    name = own_reduction({"score": how, "top_fraction": fraction}, True)
    assert reduce_map(anomaly_map)[name] == pytest.approx(reduce(anomaly_map, how, fraction), rel=1e-12)


def test_values_that_are_not_finite_are_counted_and_other_shapes_refused():
    broken = np.zeros((4, 5), np.float32)
    broken[1, 2:] = np.nan, np.inf, -np.inf
    with pytest.raises(ValueError, match="3 of 20 values"):
        reduce_map(broken)
    with pytest.raises(ValueError, match=r"found \(0, 3\)"):
        reduce_map(np.zeros((0, 3), np.float32))


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    (tmp_path / "images").mkdir()
    return make_table(tmp_path / "images")


def scored(table: pd.DataFrame, folder, **settings) -> pd.DataFrame:
    fit_detector(normals(table), "padim", TINY | settings, folder)
    score_table(table, folder)
    predictions = tables.read(folder / "predictions.parquet")
    check_table(predictions, "prediction")
    return predictions


def test_the_contract_has_every_reduction():
    assert tuple(contract("prediction")["properties"]["reductions"]["required"]) == COMMON


def test_predictions_have_the_reductions_of_the_detectors_maps(table, tmp_path):
    predictions = scored(table, tmp_path / "padim")
    assert set(predictions["reduction"]) == {"max"}
    detector = detectors.load(tmp_path / "padim" / "state" / "weave")
    files = table.set_index("sample_id")["filepath"]
    for row in tables.to_rows(predictions):
        (answer,) = detector.predict([read_image(Path(files[row["sample_id"]]))])
        assert row["reductions"] == reduce_map(answer.map)
        assert row["reductions"]["max"] == row["anomaly_score"]


def test_a_score_of_another_share_is_recorded_under_its_own_name(table, tmp_path):
    predictions = scored(table, tmp_path / "padim", score="top_mean", top_fraction=0.05)
    assert set(predictions["reduction"]) == {"top_mean_0.05"}
    for row in tables.to_rows(predictions):
        assert list(row["reductions"]) == [*COMMON, "top_mean_0.05"]
        assert row["reductions"]["top_mean_0.05"] == row["anomaly_score"]


def test_a_score_that_is_no_function_of_the_map_says_so(table, tmp_path, monkeypatch):
    from detectors.padim import Padim

    monkeypatch.setattr(Padim, "scores_map", False)
    predictions = scored(table, tmp_path / "padim")
    assert set(predictions["reduction"]) == {"detector"}
    assert list(reduction_scores(predictions)) == [*COMMON, "detector"]


def test_a_journal_of_an_earlier_format_is_made_again(table, tmp_path):
    scored(table, folder := tmp_path / "padim")
    journal = folder / "predictions.jsonl"
    expected = journal.read_bytes(), (folder / "predictions.parquet").read_bytes()
    head, *lines = expected[0].decode().splitlines()
    old = [{k: v for k, v in json.loads(line).items() if k != "reductions"} for line in lines]
    journal.write_text("\n".join([head, *map(json.dumps, old)]) + "\n")
    assert read_lines(journal) == []
    score_table(table, folder)
    assert (journal.read_bytes(), (folder / "predictions.parquet").read_bytes()) == expected


def test_a_map_with_nan_is_told_with_the_image_and_how_many_values(table, tmp_path, monkeypatch):
    fit_detector(normals(table), "padim", TINY, tmp_path / "padim")
    from detectors.padim import Padim

    honest = Padim.predict_prepared

    def broken(self, prepared):
        for answer in honest(self, prepared):
            answer.map[0, :7] = np.nan
            yield Prediction(answer.score, answer.map)

    monkeypatch.setattr(Padim, "predict_prepared", broken)
    with pytest.raises(DataFault, match=r"\.png .*7 of 3072 values"):
        score_table(table, tmp_path / "padim")


def made_up(scores: dict[str, list[float]], own: list[float] | None = None) -> pd.DataFrame:
    """Predictions with some reductions."""
    n = len(next(iter(scores.values())))
    rows = [
        {
            "anomaly_score": own[index] if own else scores["max"][index],
            "reduction": "detector" if own else "max",
            "reductions": {name: values[index] for name, values in scores.items()},
        }
        for index in range(n)
    ]
    return tables.from_rows(rows, list(contract("prediction")["properties"]))


def test_reductions_are_compared_by_auroc_with_intervals():
    rng = np.random.default_rng(0)
    anomalous = np.arange(80) % 2 == 1
    scores = {"max": anomalous + rng.normal(size=80), "mean": rng.normal(size=80)}
    own = (anomalous + 0.1).tolist()
    predictions = made_up({name: values.tolist() for name, values in scores.items()}, own)
    found = compare_reductions(predictions, anomalous, list(range(80)), n_replicates=200)
    assert list(found) == ["max", "mean", "detector"]
    for name, values in scores.items():
        assert found[name].value == pytest.approx(exact_auroc(values, anomalous))
        assert found[name].low < found[name].value < found[name].high
    assert found["detector"].value == 1.0
    again = compare_reductions(predictions, anomalous, list(range(80)), n_replicates=200)
    assert again == found


def test_images_of_a_group_count_together():
    anomalous = np.repeat(np.arange(20) % 2 == 1, 5)
    values = np.repeat(np.random.default_rng(1).normal(size=20) + (np.arange(20) % 2), 5)
    predictions = made_up({"max": values.tolist()})
    apart = compare_reductions(predictions, anomalous, list(range(100)))["max"]
    together = compare_reductions(predictions, anomalous, np.repeat(np.arange(20), 5).tolist())["max"]
    assert together.value == apart.value
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert (together.n, apart.n) == (20, 100)


def test_one_label_gives_no_value_and_other_lengths_are_refused():
    predictions = made_up({"max": [1.0, 2.0]})
    found = compare_reductions(predictions, np.array([True, True]), ["a", "b"])
    assert found["max"].value is None
    assert "no image is normal" in found["max"].note
    with pytest.raises(ValueError, match="2 predictions, 1 labels and 2 groups"):
        compare_reductions(predictions, np.array([True]), ["a", "b"])


@pytest.mark.parametrize(
    "kind", ["noise", "flat", "high where it is sampled", "low where it is sampled", "steps"]
)
def test_the_highest_pixels_are_exact_whatever_the_map_looks_like(kind: str) -> None:
    """They are looked for above a guess that a sample of every so many pixels gives, which may be wrong."""
    rng = np.random.default_rng(0)
    flat = rng.random(300 * 400).astype(np.float32)
    if kind == "flat":
        flat[:] = 0.5
    elif kind == "steps":
        flat = np.round(flat * 4) / 4
    elif kind != "noise":
        flat[:: 1200 // 64] += 10 if kind.startswith("high") else -10
    ordered = np.sort(flat)[::-1].astype(np.float64)
    found = reduce_map(flat.reshape(300, 400))
    for name, number in (("top_mean_0.01", 1200), ("top_mean_0.001", 120), ("top_mean_16px", 16)):
        assert found[name] == pytest.approx(ordered[:number].mean(), rel=1e-12)
    assert found["quantile_0.999"] == ordered[120]
