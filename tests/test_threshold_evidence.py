"""Evidence of thresholds from maps, masks and scores of a workspace, beside slow and obvious counts."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import tables
from curate.anomaly_maps import read_raw
from curate.errors import CurateError, DataFault, Unreadable
from curate.recipe import Source
from curate.steps import ingest, split
from curate.steps.joined import with_scores
from curate.steps.record import Context
from curate.steps.threshold_choice import choose, map_statistic, warnings_of
from curate.steps.threshold_evidence import parts, snapped
from curate.tables import to_rows
from curate.threshold_params import Settings, choice
from curate.workspace import Workspace
from tests.helpers.scored import score_with_maps
from tests.helpers.tiny import write_mvtec


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Scored images, one of them with two regions and one without a mask."""
    folder: Path = tmp_path_factory.mktemp("evidence")
    root = write_mvtec(folder / "images", n_train=4, n_good=12, n_per_defect=6)
    two = np.zeros((48, 64), np.uint8)
    two[5:9, 4:9] = two[20:24, 30:50] = 255
    Image.fromarray(two).save(root / "weave/ground_truth/stain/000_mask.png")
    (root / "weave/ground_truth/spot/001_mask.png").unlink()
    workspace = Workspace.at(folder / "home")
    made = Context(workspace, workspace.dataset("toy"))
    ingest.run(made, Source(root, "mvtec_ad"))
    split.run(made)
    score_with_maps(made, seed=5)
    return made


@pytest.fixture
def own(context: Context, tmp_path: Path) -> Context:
    """A copy that a test may damage."""
    shutil.copytree(context.workspace.home, tmp_path / "home")
    workspace = Workspace.at(tmp_path / "home")
    return Context(workspace, workspace.dataset("toy"))


def pixels(context: Context, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Every map value of a part, and whether it is on a defect, one by one."""
    values, truth = [], []
    rows = with_scores(context, "padim")
    for row in to_rows(rows[rows["assigned_split"] == part]):
        path = context.paths.masks / f"{row['sample_id']}.png"
        if row["label"] == "anomalous" and not path.exists():
            continue
        mask = np.asarray(Image.open(path)) > 0 if path.exists() else np.zeros((48, 64), bool)
        values.append(read_raw(context.paths.detector("padim") / row["raw_map"]).astype(float).ravel())
        truth.append(mask.ravel())
    return np.concatenate(values), np.concatenate(truth)


def test_images_are_their_scores_and_training_stays_out(context: Context) -> None:
    rows = with_scores(context, "padim")
    given = parts(context, rows, "padim")
    for evidence, part in ((given.calibration, "calibration"), (given.test, "test")):
        wanted = rows[rows["assigned_split"] == part]
        assert sorted(evidence.scores) == sorted(wanted["anomaly_score"])
        assert evidence.anomalous.sum() == (wanted["label"] == "anomalous").sum()
        assert set(evidence.groups) == set(wanted["part_id"])


def test_a_region_stands_for_its_highest_value_and_a_normal_image_for_its_own(context: Context) -> None:
    rows = with_scores(context, "padim")
    given = parts(context, rows, "padim", "region")
    both = np.concatenate([given.calibration.scores[given.calibration.anomalous],
                           given.test.scores[given.test.anomalous]])  # fmt: skip
    assert len(both) == 12 - 1 + 1  # one image has no mask, one has two regions
    assert given.left_out == 1
    two = next(row for row in to_rows(rows) if row["relative_path"] == "weave/test/stain/000.png")
    anomaly_map = read_raw(context.paths.detector("padim") / two["raw_map"])
    for region in (anomaly_map[5:9, 4:9], anomaly_map[20:24, 30:50]):
        assert np.isclose(both, region.max()).any()
    normal = rows[(rows["label"] == "normal") & (rows["assigned_split"] == "test")]
    peaks = [read_raw(context.paths.detector("padim") / raw).max() for raw in normal["raw_map"]]
    assert sorted(given.test.scores[~given.test.anomalous]) == pytest.approx(sorted(peaks))


def test_counted_pixels_are_cut_as_single_ones(context: Context) -> None:
    given = parts(context, with_scores(context, "padim"), "padim", "pixel")
    assert given.edges is not None
    assert snapped(given.edges[7], given.edges) == given.edges[7]
    for evidence, part in ((given.calibration, "calibration"), (given.test, "test")):
        values, truth = pixels(context, part)
        assert evidence.weights.sum() == len(values)
        for wanted in (0.3, 0.9, 0.99, 1.4, values.max()):
            cut = snapped(wanted, given.edges)
            assert cut >= wanted
            for label in (False, True):
                counted = evidence.weights[(evidence.scores >= cut) & (evidence.anomalous == label)].sum()
                assert counted == ((values >= cut) & (truth == label)).sum()


def test_specks_are_overlooked_by_the_statistic_of_max_area(context: Context) -> None:
    rows = with_scores(context, "padim")
    plain = parts(context, rows, "padim", "region").calibration.normals
    statistic = map_statistic({"max_area_px": 5})
    tolerant = parts(context, rows, "padim", "region", statistic=statistic).calibration.normals
    assert map_statistic({"alpha": 0.1}) is None
    assert (tolerant.scores < plain.scores).all()


def test_a_detector_without_maps_is_for_images_only(context: Context) -> None:
    rows = with_scores(context, "padim").assign(raw_map=None)
    with pytest.raises(CurateError, match=r"level pixel needs anomaly maps .* --level image"):
        parts(context, rows, "padim", "pixel")


def test_verdicts_beside_unlabelled_images_are_told(context: Context) -> None:
    rows = with_scores(context, "padim").reset_index(drop=True)
    inside = rows.index[rows["assigned_split"] == "calibration"]
    rows.loc[inside[:3], "verdict"] = "normal", "anomalous", "skipped"
    assert warnings_of(parts(context, rows, "padim"), "part_id") == []  # all of the part is labelled
    rows.loc[inside[3], "label"] = "unknown"
    given = parts(context, rows, "padim")
    assert given.judged == {"calibration": 2}
    (told,) = warnings_of(given, "part_id")
    assert "2 of the calibration part; other images there have no label yet" in told


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda table: table.drop(columns=["raw_map"]), "no column raw_map"),
        (lambda table: pd.concat([table, table.iloc[:2]]), "2 images have several scores"),
        (lambda table: table.iloc[3:], "3 images have no score"),
    ],
)
def test_each_image_has_exactly_one_score(own: Context, damage: Any, told: str) -> None:
    path = own.paths.detector("padim") / "predictions.parquet"
    tables.write(damage(tables.read(path)), path)
    with pytest.raises(Unreadable, match=rf"{told}[\s\S]*curate score toy --detector padim"):
        with_scores(own, "padim")


def test_a_score_that_is_no_number_is_a_fault_of_the_data(context: Context) -> None:
    rows = with_scores(context, "padim")
    evaluated = rows["assigned_split"].isin(["calibration", "test"]) & (rows["label"] != "unknown")
    first = rows.index[evaluated][0]
    rows.loc[first, "anomaly_score"] = np.nan
    with pytest.raises(DataFault, match=rf"1 of \d+ images [\s\S]*{rows.loc[first, 'relative_path']}"):
        parts(context, rows, "padim", "image")
    parts(context, rows, "padim", "region")


def test_regions_without_masks_are_told_where_none_is_left(own: Context) -> None:
    for path in own.paths.masks.glob("*.png"):
        path.unlink()
    with pytest.raises(CurateError, match=r"found none among \d+\. .*\d+ images without a map, or without"):
        choose(own, with_scores(own, "padim"), choice("padim", "f1_max", Settings(level="region")))


@pytest.mark.parametrize("level", ["image", "region", "pixel"])
def test_an_empty_calibration_part_is_no_evidence_at_any_level(context: Context, level: str) -> None:
    rows = with_scores(context, "padim")
    given = parts(context, rows[rows["assigned_split"] != "calibration"], "padim", level)
    assert len(given.calibration.scores) == 0
    with pytest.raises(CurateError, match="no labelled image is in the calibration part"):
        choose(
            context,
            rows[rows["assigned_split"] != "calibration"],
            choice("padim", "max_normal", Settings(level=level)),
        )
