"""The step that proposes: which images, which threshold, resuming, refusing, and the file for other tools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import curate.steps.propose as step
from curate import tables
from curate.anomaly_maps import read_raw
from curate.errors import AlreadyExists, CurateError, Missing
from curate.files import read_json
from curate.ground_truth import draw
from curate.masks import label_regions
from curate.proposal_table import crop_of, mask_of
from curate.schema import check_table
from curate.steps import labels, propose_polygons
from curate.steps.joined import with_scores
from curate.steps.pixels import truth_of
from curate.steps.propose import Asked
from curate.steps.propose_threshold import of_normals
from curate.steps.record import Context
from curate.threshold_params import Settings
from tests.helpers.drawn import accept, decide, rows_by_path
from tests.helpers.evaluated import dataset, scored


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return scored(dataset(tmp_path_factory.mktemp("propose")), "keen")


@pytest.fixture
def context(made: Context) -> Context:
    for path in made.paths.detector("keen").glob("proposals.*"):
        path.unlink()
    for path in (made.paths.steps / "propose-keen.json", made.paths.verdicts):
        path.unlink(missing_ok=True)
    return made


def rows_of(context: Context) -> list[dict[str, Any]]:
    table = step.read(context, "keen")
    check_table(table, "proposal")
    return tables.to_rows(table)


def test_suspicious_images_get_proposals_of_plain_regions(context: Context) -> None:
    result = step.run(context, "keen", Asked("plain"))
    images = tables.to_rows(with_scores(context, "keen"))
    tops = {
        name: max(
            row["anomaly_score"]
            for row in images
            if (row["category"], row["assigned_split"], row["label"]) == (name, "calibration", "normal")
        )
        for name in ("mesh", "weave")
    }
    wanted = {
        row["sample_id"]: row
        for row in images
        if row["label"] == "anomalous" or row["anomaly_score"] > tops[row["category"]]
    }
    rows = rows_of(context)
    assert result["n_images"] == len(wanted)
    assert {row["sample_id"] for row in rows} <= set(wanted)
    assert result["n_proposals"] == len(rows) == result["n_plain"] > 20
    for name, image in wanted.items():
        values = read_raw(context.paths.detector("keen") / image["raw_map"])
        labels, _ = label_regions(values >= result["thresholds"][image["category"]]["threshold"])
        large = np.isin(labels, np.flatnonzero(np.bincount(labels.ravel())[1:] >= 5) + 1)
        assert np.array_equal(mask_of([r for r in rows if r["sample_id"] == name], values.shape), large)


def test_without_a_decision_the_quantile_of_normal_calibration_pixels_counts(context: Context) -> None:
    result = step.run(context, "keen")
    images = with_scores(context, "keen")
    chosen = images[(images["assigned_split"] == "calibration") & (images["label"] == "normal")]
    for name, own in chosen.groupby("category"):
        folder = context.paths.detector("keen")
        values = np.concatenate([read_raw(folder / path).ravel() for path in own["raw_map"]])
        expected = np.quantile(values.astype(np.float64), 0.999)
        assert result["thresholds"][name]["threshold"] == pytest.approx(expected, rel=1e-12)
        assert f"{len(own)} normal calibration" in result["thresholds"][name]["said"]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.999, 0.99999])
def test_the_quantile_of_many_maps_is_that_of_all_their_pixels(q: float) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (20, 31), (1, 1), (48, 64))]
    everything = np.concatenate([each.ravel() for each in maps]).astype(np.float64)
    value, peaks = of_normals(iter(maps), everything.size, q)
    assert value == pytest.approx(np.quantile(everything, q), rel=1e-12)
    assert peaks == [float(each.max()) for each in maps]
    assert of_normals([], 0, q) == (None, [])


def test_a_decision_about_pixels_counts_before_the_quantile(tmp_path: Path) -> None:
    from curate.steps import threshold

    context = scored(dataset(tmp_path, ("weave",)), "keen")
    decision = threshold.run(context, "keen", "quantile", Settings({"q": 0.9}, "pixel"))
    result = step.run(context, "keen")
    cut = decision["by_category"]["weave"]["threshold"]
    assert result["thresholds"] == {"weave": {"threshold": cut, "said": "decided about pixels by quantile"}}
    assert step.run(context, "keen", Asked(threshold=cut + 1), overwrite=True)["thresholds"] == {
        "weave": {"threshold": cut + 1, "said": "stated"}
    }


def test_all_or_stated_images_are_proposed_for(context: Context) -> None:
    every = step.run(context, "keen", Asked(every=True))
    assert every["n_images"] == len(with_scores(context, "keen"))
    name = rows_of(context)[0]["sample_id"]
    one = step.run(context, "keen", Asked(only=(name,)), overwrite=True)
    assert one["n_images"] == 1
    assert {row["sample_id"] for row in rows_of(context)} == {name}
    none = step.run(context, "keen", Asked(only=()), overwrite=True)
    assert (none["n_images"], none["n_proposals"], rows_of(context)) == (0, 0, [])


def test_done_once_it_is_not_done_again_and_bytes_are_the_same(context: Context) -> None:
    first = step.run(context, "keen")
    path = step.table_of(context.paths, "keen")
    content = path.read_bytes()
    assert first["fresh"]
    assert step.run(context, "keen") == {**first, "fresh": False}
    path.unlink()
    assert step.run(context, "keen")["fresh"]
    assert path.read_bytes() == content


def test_a_killed_run_goes_on_where_it_stopped(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = step.run(context, "keen")
    expected = step.table_of(context.paths, "keen").read_bytes()
    for path in context.paths.detector("keen").glob("proposals.*"):
        path.unlink()
    propose, done = step.propose, []

    def counting(*args: Any, **options: Any) -> Any:
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(1)
        return propose(*args, **options)

    monkeypatch.setattr(step, "propose", counting)
    with pytest.raises(KeyboardInterrupt):
        step.run(context, "keen")
    journal = context.paths.detector("keen") / "proposals.jsonl"
    with journal.open("a") as file:
        file.write('{"cut sho')
    done.clear()
    monkeypatch.setattr(step, "propose", lambda *a, **k: done.append(1) or propose(*a, **k))
    assert step.run(context, "keen") == whole
    assert len(done) == whole["n_images"] - 7
    assert step.table_of(context.paths, "keen").read_bytes() == expected
    assert not journal.exists()


def test_a_journal_of_other_settings_is_not_believed(context: Context) -> None:
    step.run(context, "keen")
    expected = rows_of(context)
    for path in context.paths.detector("keen").glob("proposals.*"):
        path.unlink()
    journal = context.paths.detector("keen") / "proposals.jsonl"
    journal.write_text(f"other\n{json.dumps({expected[0]['sample_id']: []})}\n")
    step.run(context, "keen")
    assert rows_of(context) == expected


def test_other_settings_need_overwrite(context: Context) -> None:
    step.run(context, "keen")
    with pytest.raises(AlreadyExists, match=r"method watershed.*--overwrite"):
        step.run(context, "keen", Asked("plain"))
    assert step.run(context, "keen", Asked("plain"), overwrite=True)["method"] == "plain"


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (Asked("watersched"), ValueError, 'Did you mean "watershed"'),
        (Asked(threshold=float("nan")), ValueError, "finite threshold"),
        (Asked(min_area_um2=0.0), ValueError, "above 0 um2"),
        (Asked(min_area_um2=10.0), CurateError, "do not state their um_per_px"),
    ],
)
def test_what_makes_no_sense_is_refused(
    context: Context, asked: Asked, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        step.run(context, "keen", asked)


def test_a_detector_without_scores_is_told(context: Context) -> None:
    with pytest.raises(Missing, match="no scores of npad"):
        step.run(context, "npad")


def test_outlines_in_a_coco_file_fill_to_the_masks(context: Context, tmp_path: Path) -> None:
    step.run(context, "keen")
    path = tmp_path / "proposals.json"
    assert propose_polygons.run(context, "keen", path) == {"polygons": str(path)}
    content, rows = read_json(path), rows_of(context)
    images = {row["id"]: row for row in content["images"]}
    assert len(content["annotations"]) == len(rows) > 20
    for row, found in zip(rows, content["annotations"], strict=True):
        assert images[found["image_id"]]["sample_id"] == row["sample_id"]
        assert found["bbox"] == [*row["box_xyxy"][:2], crop_of(row).shape[1], crop_of(row).shape[0]]
        mask = np.zeros((48, 64), dtype=bool)
        for points in found["segmentation"]:
            draw({"kind": "polygon", "points_xy": points}, mask)
        assert mask.sum() == row["area_px"]
        assert np.array_equal(mask, mask_of([row], (48, 64)))
    with pytest.raises(AlreadyExists, match=r"proposals\.json is there"):
        propose_polygons.run(context, "keen", path)


def test_outlines_of_ground_truth_follow_the_masks_that_people_accepted(
    context: Context, tmp_path: Path
) -> None:
    rows = {path: row for path, row in rows_by_path(context).items() if row["label"] == "anomalous"}
    first = sorted(rows)[0]
    drawn = np.zeros((48, 64), dtype=bool)
    drawn[4:9, 3:12] = drawn[30:, 60:] = True
    accept(context, first, drawn, defect_type="burr")
    path = tmp_path / "truth.json"
    assert propose_polygons.of_truth(context, path)["n_images"] == len(rows)
    content = read_json(path)
    types = {one["id"]: one["name"] for one in content["categories"]}
    images = {one["id"]: one["sample_id"] for one in content["images"]}
    masks: dict[str, np.ndarray] = {}
    for found in content["annotations"]:
        mask = masks.setdefault(images[found["image_id"]], np.zeros((48, 64), dtype=bool))
        for points in found["segmentation"]:
            draw({"kind": "polygon", "points_xy": points}, mask)
    assert np.array_equal(masks[rows[first]["sample_id"]], drawn)
    for now in tables.to_rows(labels.current(context)):
        if now["label"] == "anomalous":
            assert np.array_equal(masks[now["sample_id"]], truth_of(now, context.paths.masks))
    assert "burr" in types.values()
    only = rows[first]["sample_id"]
    assert propose_polygons.of_truth(context, tmp_path / "one.json", [only])["n_images"] == 1


def test_what_somebody_rejected_or_accepted_is_not_sent_to_other_tools(
    context: Context, tmp_path: Path
) -> None:
    step.run(context, "keen")
    made = rows_of(context)
    rejected, accepted = sorted({row["sample_id"] for row in made})[:2]
    paths = {row["sample_id"]: path for path, row in rows_by_path(context).items()}
    digests = [row["digest"] for row in made if row["sample_id"] == rejected]
    shown = {"place": "image", "detector": "keen", "threshold": None, "proposals": digests}
    decide(context, paths[rejected], "mask_rejected", 0, shown=shown)
    accept(context, paths[accepted], np.eye(48, 64, dtype=bool), 1)
    left = [row for row in made if row["sample_id"] not in (rejected, accepted)]
    assert step.still_offered(context, "keen") == left
    propose_polygons.run(context, "keen", tmp_path / "left.json")
    assert len(read_json(tmp_path / "left.json")["annotations"]) == len(left)
    decide(context, paths[rejected], "undone", 2)
    assert len(step.still_offered(context, "keen")) == len(left) + len(digests)
