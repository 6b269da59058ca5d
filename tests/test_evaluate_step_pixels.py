"""The pixel figures of an evaluation, and its slices by type, size and column, which add up to the whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import tables
from curate.anomaly_maps import read_raw
from curate.evaluation import Options
from curate.masks import read_mask
from curate.metrics import seg_f1
from curate.steps import evaluate, threshold
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


def test_pixel_figures_and_regions_are_there(evaluation: dict[str, Any]) -> None:
    found = part(evaluation, "keen", "weave")
    for name in (
        "pixel_auroc",
        "pixel_average_precision",
        "pixel_f1_max",
        "aupro_0.3",
        "aupro_0.05",
        "aupimo",
    ):
        assert 0 <= found["pixel"][name]["value"] <= 1
    assert found["truth"]["exact"] == found["counts"]["n_anomalous"] == found["regions"]["n"]
    assert found["regions"]["found_any"]["value"] >= found["regions"]["found_overlap"]["value"]
    assert {"roc", "pr", "pixel_roc", "pixel_pr", "pixel_pro"} <= set(found["curves"])
    assert found["threshold"]["map_value"] == found["threshold"]["value"]  # scores are the maximum of the map


def check_pixel_columns(whole: dict[str, Any]) -> None:
    """Slices of images add up, and one of all images is the whole."""
    rows = {(row["column"], row["value"]): row for row in whole["pixel_slices"] if row["of"] == "images"}
    assert list(rows) == [("site", "here"), ("camera", "left"), ("camera", "right")]
    every = rows["site", "here"]
    for name in ("pixel_auroc", "pixel_average_precision", "aupro_0.3", "aupro_0.05"):
        assert every["figures"][name]["value"] == pytest.approx(whole["pixel"][name]["value"], abs=1e-9)
        assert every["figures"][name]["n"] == whole["pixel"][name]["n"]
    assert every["n_images"] == sum(whole["truth"].values()) and every["n_regions"] == whole["regions"]["n"]
    for count in ("n_images", "n_regions"):
        assert rows["camera", "left"][count] + rows["camera", "right"][count] == every[count]
    for name in ("found_any", "found_overlap"):
        assert every["figures"][f"region_recall_{name}"] == whole["regions"][name]


def test_pixel_slices_by_type_and_size_add_up_to_the_whole(evaluation: dict[str, Any]) -> None:
    for category in ("weave", "mesh"):
        whole = part(evaluation, "dull", category)
        for column in ("defect_type", "region_size"):
            rows = [row for row in whole["pixel_slices"] if row["column"] == column]
            assert {row["of"] for row in rows} == {"regions"}
            n = [row["n_regions"] for row in rows]
            assert sum(n) == whole["regions"]["n"]
            for name, expected in (
                ("aupro_0.3", whole["pixel"]["aupro_0.3"]),
                ("aupro_0.05", whole["pixel"]["aupro_0.05"]),
                ("region_recall_found_any", whole["regions"]["found_any"]),
                ("region_recall_found_overlap", whole["regions"]["found_overlap"]),
            ):
                values = [row["figures"][name]["value"] for row in rows]
                assert np.average(values, weights=n) == pytest.approx(expected["value"], abs=1e-6), name
        sizes = [row for row in whole["pixel_slices"] if row["column"] == "region_size"]
        bins = {each["bin"]: each for each in whole["regions"]["sizes"]["bins"] if each["n"]}
        assert [row["value"] for row in sizes] == list(bins)
        for row in sizes:
            assert row["figures"]["region_recall_found_any"] == bins[row["value"]]["found_any"]


def test_sizes_are_told_in_um_too_where_a_scale_is_stated(tmp_path: Path) -> None:
    made = scored(dataset(tmp_path, ("weave",)), "keen")
    samples = tables.read(made.paths.samples)
    tables.write(samples.assign(um_per_px=4.0), made.paths.samples)
    found = evaluate.run(scored(made, "keen"), (), QUICK)["evaluation"]
    rows = [row for row in part(found, "keen", "weave")["pixel_slices"] if row["column"] == "region_size"]
    values = [row["value"] for row in rows]
    n_bins = len(values) // 2
    assert n_bins and all(value.endswith(" px") for value in values[:n_bins])
    for px, um in zip(rows[:n_bins], rows[n_bins:], strict=True):  # octaves, and 4 is a power of 2
        low, high = (float(edge) for edge in px["value"].removesuffix(" px").split("-"))
        assert um["value"] == f"{4 * low:.3g}-{4 * high:.3g} um"
        assert um["figures"] == px["figures"]


def test_pixel_f1_precision_and_recall_are_those_of_the_map_threshold(
    context: Context, evaluation: dict[str, Any]
) -> None:
    found = part(evaluation, "keen", "weave")
    rows = rows_tested(context, "weave", "keen")
    folder = context.paths.detector("keen")
    maps = [read_raw(folder / f"raw/{name}.png") for name in rows["sample_id"]]
    masks = [context.paths.masks / f"{name}.png" for name in rows["sample_id"]]
    truth = [
        read_mask(mask) if mask.exists() else np.zeros(one.shape, bool)
        for mask, one in zip(masks, maps, strict=True)
    ]
    predicted = [one >= found["threshold"]["map_value"] for one in maps]
    assert found["pixel"]["seg_f1"]["value"] == pytest.approx(seg_f1.compute(predicted, truth))
    n_both = sum(int((a & b).sum()) for a, b in zip(predicted, truth, strict=True))
    n_alarms = sum(int(a.sum()) for a in predicted)
    assert found["pixel"]["pixel_precision"]["value"] == pytest.approx(n_both / n_alarms)
    assert evaluation["detectors"][0]["overall"]["pixel"]["seg_f1"]["value"] is not None


def test_slices_by_a_column(tmp_path: Path) -> None:
    made = scored(dataset(tmp_path, ("weave",)), "keen")
    samples = tables.read(made.paths.samples)
    samples["camera"] = ["left" if index % 2 else "right" for index in range(len(samples))]
    samples["lot"] = None
    tables.write(samples, made.paths.samples)
    samples["site"] = "here"
    tables.write(samples, made.paths.samples)
    made = scored(made, "keen")
    with pytest.raises(ValueError, match=r'column "lot" is empty .* with several values here: camera\.$'):
        evaluate.run(made, (), Options(by=("lot",), n_replicates=20))
    with pytest.raises(ValueError, match='Unknown column "cam"'):
        evaluate.run(made, (), Options(by=("cam",), n_replicates=20))
    found = evaluate.run(made, (), Options(by=("site", "camera"), n_replicates=20))["evaluation"]
    whole = part(found, "keen", "weave")
    check_pixel_columns(whole)
    cameras = [row for row in whole["slices"] if row["column"] == "camera"]
    assert [row["value"] for row in cameras] == ["left", "right"]
    assert sum(row["n_anomalous"] for row in cameras) == whole["counts"]["n_anomalous"]


def test_without_masks_images_are_named_and_only_image_figures_told(tmp_path: Path) -> None:
    made = scored(dataset(tmp_path, ("weave",)), "keen")
    for path in made.paths.masks.glob("*.png"):
        path.unlink()
    found = part(evaluate.run(made, (), QUICK)["evaluation"], "keen", "weave")
    assert found["pixel"] == {} and found["regions"] is None
    assert len(found["without_truth"]) == found["truth"]["none"] == found["counts"]["n_anomalous"]
    assert found["image"]["image_auroc"]["value"] is not None
