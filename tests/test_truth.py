"""The mask in force is the same for every part of the program: a person's where they gave one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import drawn_masks, subset_choice, tables
from curate.checks import specks
from curate.errors import AlreadyExists, CurateError, MissingMask, Unreadable
from curate.images import read_stored
from curate.steps import check, evaluate, export, fix, labels, sizes, subset, threshold
from curate.steps.joined import masks_digest, with_scores, with_split
from curate.steps.pixels import truth_of
from curate.steps.record import Context
from curate.steps.regions import region_table
from curate.steps.threshold_evidence import parts
from curate.threshold_params import Settings
from curate.thumbnails import truth_of as outlined
from curate.verify import verify
from tests.helpers import evaluated
from tests.helpers.drawn import accept, decide, rows_by_path
from tests.helpers.tiny import HEIGHT, WIDTH

HW = HEIGHT, WIDTH


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A dataset with 8 normal and 12 anomalous images for test and calibration, split."""
    return evaluated.dataset(tmp_path, ("weave",), n_train=4, n_good=8, n_per_defect=6)


def paths_of(context: Context, label: str, part: str = "test") -> list[str]:
    table = with_split(context)
    chosen = table[(table["label"] == label) & (table["assigned_split"] == part)]
    return sorted(chosen["relative_path"])


def square(top: int, left: int, side: int = 6) -> np.ndarray:
    mask = np.zeros(HW, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def now(context: Context, path: str) -> dict[str, Any]:
    return {row["relative_path"]: row for row in tables.to_rows(labels.current(context))}[path]


def test_every_reader_takes_the_mask_that_a_person_accepted(context: Context) -> None:
    path = paths_of(context, "anomalous")[0]
    before = truth_of(now(context, path), context.paths.masks)
    drawn = square(3, 5)
    assert before is not None and not np.array_equal(before, drawn)
    accept(context, path, drawn)
    row = now(context, path)
    assert np.array_equal(np.asarray(truth_of(row, context.paths.masks)), drawn)
    assert np.array_equal(np.asarray(outlined(row, context.paths.masks, HW)), drawn)
    regions, truths = region_table(context, [row])
    assert [each["box_xyxy"] for each in tables.to_rows(regions)] == [[5, 3, 11, 9]]
    assert truths["exact"] == 1
    assert (row["mask_quality"], row["boxes"]) == ("exact", None)


def test_a_normal_image_with_a_drawn_mask_is_anomalous_for_every_reader(context: Context) -> None:
    path = paths_of(context, "normal")[0]
    drawn = square(0, WIDTH - 6)
    accept(context, path, drawn, defect_type="dent")
    row = now(context, path)
    assert (row["label"], row["defect_types"]) == ("anomalous", ["dent"])
    assert np.array_equal(np.asarray(truth_of(row, context.paths.masks)), drawn)
    regions, _ = region_table(context, [row])
    assert [(one["defect_type"], one["touches_border"]) for one in tables.to_rows(regions)] == [
        ("dent", True)
    ]


def test_export_writes_the_accepted_mask_with_its_checksum(context: Context) -> None:
    known, new = paths_of(context, "anomalous")[0], paths_of(context, "normal")[0]
    first = export.run(context)
    accept(context, known, square(3, 5))
    accept(context, new, square(20, 30), defect_type="dent")
    result = export.run(context)
    assert (first["n_exported"], result["n_exported"], result["fresh"]) == (24, 24, True)
    out = Path(result["out"])
    manifest = json.loads((out / "manifest.json").read_text())
    by_path = {entry["relative_path"]: entry for entry in manifest["images"]}
    for path, drawn in ((known, square(3, 5)), (new, square(20, 30))):
        entry = by_path[path]
        assert entry["mask_source"] == "person"
        values = read_stored(out / entry["mask_path"])
        assert np.array_equal(values, drawn * np.uint8(255))
        assert entry["mask_path"] in {file["path"] for file in manifest["files"]}
    assert by_path[new]["path"].startswith("weave/test/dent/")
    assert {entry["mask_source"] for entry in manifest["images"]} == {"person", "file", None}
    assert verify(out) == []
    assert "drew or corrected" in (out / "LICENCES.txt").read_text()


def test_evaluation_follows_the_mask_and_comes_back_with_an_undo(context: Context) -> None:
    evaluated.scored(context, "keen")
    path = paths_of(context, "anomalous")[0]
    n_before = len(region_table(context, [now(context, path)])[0])
    first = evaluate.run(context)["evaluation"]
    digests = [masks_digest(context)]
    accept(context, path, square(3, 5) | square(30, 40) | square(30, 5), 1)
    digests.append(masks_digest(context))
    second = evaluate.run(context)["evaluation"]
    decide(context, path, "undone", 2)
    digests.append(masks_digest(context))
    third = evaluate.run(context)["evaluation"]
    pixels, regions = zip(*(figures(each) for each in (first, second, third)), strict=True)
    assert pixels[0] == pixels[2] != pixels[1]
    assert [n - regions[0] for n in regions] == [0, 3 - n_before, 0]
    assert digests[0] == digests[2] != digests[1]


def figures(evaluation: dict[str, Any]) -> tuple[Any, int]:
    """The pixel figures, and the number of regions that they are about."""
    (detector,) = evaluation["detectors"]
    (category,) = detector["categories"].values()
    return category["pixel"], category["regions"]["n"]


def test_thresholds_of_pixels_follow_the_mask(context: Context) -> None:
    evaluated.scored(context, "keen")
    path = paths_of(context, "anomalous", "calibration")[0]
    rows = with_scores(context, "keen")
    before = int(parts(context, rows, "keen", "region").calibration.anomalous.sum())
    accept(context, path, square(3, 5) | square(30, 40))
    rows = with_scores(context, "keen")
    assert int(parts(context, rows, "keen", "region").calibration.anomalous.sum()) == before + 1


def test_sizes_and_subsets_follow_the_mask(context: Context) -> None:
    path = paths_of(context, "anomalous")[0]
    smallest = float(region_table(context, [now(context, path)])[0]["diameter_px"].min())
    limit = subset_choice.Limit("diameter_px", smallest)
    before = subset.run(context, limit, any_region=True)["counts"]["n_regions"]
    accept(context, path, square(3, 5, 2) | square(20, 30, 2))
    with pytest.raises(CurateError, match=r"verdicts, masks changed since it was made"):
        subset.members(context, "small")
    assert subset.run(context, limit, any_region=True)["counts"]["n_regions"] == before + 1
    assert sizes.run(context)["truth"]["exact"] > 0


def test_masks_that_are_gone_or_altered_are_told_all_at_once(context: Context) -> None:
    first, second, third = paths_of(context, "anomalous")[:3]
    names = [accept(context, path, square(3, 5, 4 + n), n) for n, path in enumerate((first, second, third))]
    labels.current(context)
    files = {path.name: path for path in context.paths.drawn_masks.iterdir()}
    gone, altered, _ = (next(file for name, file in files.items() if each in name) for each in names)
    kept = gone.read_bytes(), altered.read_bytes()
    Image.fromarray(square(9, 9) * np.uint8(255)).save(altered)
    with pytest.raises(Unreadable, match=rf"1 of 3 masks.*\n.*{altered.name} \(of {second}\): was altered"):
        labels.current(context)
    gone.unlink()
    with pytest.raises(MissingMask) as told:
        export.run(context)
    assert f"{gone.name} (of {first}): is not there" in str(told.value)
    assert f"{altered.name} (of {second}): was altered" in str(told.value)
    assert "take the verdicts back" in str(told.value)
    altered.write_bytes(kept[1])
    with pytest.raises(MissingMask, match=r"1 of 3 masks"):
        labels.current(context)
    altered.write_bytes(kept[1][:50])
    with pytest.raises(MissingMask, match="is damaged"):
        check.run(context)
    gone.write_bytes(kept[0])
    altered.write_bytes(kept[1])
    assert export.run(context)["n_exported"] == 24


def test_checks_look_at_the_mask_in_force(context: Context, tmp_path: Path) -> None:
    normal, anomalous = paths_of(context, "normal")[0], paths_of(context, "anomalous")[0]
    decide(context, normal, "anomalous", 0)
    drawn = square(3, 5)
    drawn[40, 60] = True
    accept(context, anomalous, drawn, 1)
    found = check.run(context, ["specks", "mask_on_normal", "no_mask"])["findings"]
    assert [(row["check"], row["relative_path"]) for row in found] == [("specks", anomalous)]
    evidence, _ = check.evidence_for(context, ["specks"])
    assert specks.fix(evidence, specks.run(evidence)) == []
    assert fix.mend(context, ["specks"]) == []
    accept(context, anomalous, square(3, 5), 2)
    assert check.run(context, ["specks"])["findings"] == []


def test_a_mask_ends_the_complaint_that_there_is_none(context: Context, tmp_path: Path) -> None:
    path = paths_of(context, "anomalous")[0]
    folder = tmp_path / "source" / "weave" / "ground_truth"
    mask = folder / Path(path).parent.name / f"{Path(path).stem}_mask.png"
    Image.fromarray(np.zeros(HW, dtype=np.uint8)).save(mask)
    from curate.recipe import Source
    from curate.steps import ingest, split

    ingest.run(context, Source(tmp_path / "source", "mvtec_ad"))
    split.run(context)
    assert [row["relative_path"] for row in check.run(context, ["empty_mask"])["findings"]] == [path]
    accept(context, path, square(3, 5))
    assert check.run(context, ["empty_mask"])["findings"] == []


def two_types() -> tuple[np.ndarray, list[dict[str, Any]]]:
    values = np.zeros(HW, dtype=np.uint8)
    values[3:9, 5:11], values[20:24, 40:44] = 2, 1
    return values, [
        {"value": 1, "defect_type": "dent", "area_px": 16},
        {"value": 2, "defect_type": "hole", "area_px": 36},
    ]


def test_a_mask_that_tells_types_apart_gives_each_region_its_type(context: Context) -> None:
    path = paths_of(context, "anomalous")[0]
    values, classes = two_types()
    named = accept(context, path, values, mask_classes=classes)
    row = now(context, path)
    assert row["defect_types"] == ["dent", "hole"]
    found = tables.to_rows(region_table(context, [row])[0])
    assert [(one["defect_type"], one["area_px"]) for one in found] == [("hole", 36), ("dent", 16)]
    assert np.array_equal(drawn_masks.read(context.paths.drawn_masks, row["sample_id"], named), values > 0)
    result = export.run(context)
    entry = next(
        entry
        for entry in json.loads((Path(result["out"]) / "manifest.json").read_text())["images"]
        if entry["relative_path"] == path
    )
    exported = read_stored(Path(result["out"]) / entry["mask_path"])
    assert np.array_equal(exported, (values > 0) * np.uint8(255))
    assert verify(Path(result["out"])) == []


def test_values_and_their_order_tell_masks_apart() -> None:
    values, _ = two_types()
    swapped = np.where(values == 1, 2, np.where(values == 2, 1, 0)).astype(np.uint8)
    assert drawn_masks.digest(values) != drawn_masks.digest(swapped) != drawn_masks.digest(values > 0)
    assert drawn_masks.digest((values > 0) * np.uint8(255)) == drawn_masks.digest(values > 0)


def test_an_image_judged_normal_shows_no_outline(context: Context) -> None:
    path = paths_of(context, "anomalous")[0]
    assert outlined(now(context, path), context.paths.masks, HW) is not None
    decide(context, path, "normal")
    assert outlined(now(context, path), context.paths.masks, HW) is None
    assert rows_by_path(context)[path]["label"] == "anomalous"


def test_a_threshold_chosen_on_other_masks_says_so(context: Context) -> None:
    evaluated.scored(context, "keen")
    pixels = Settings(level="pixel")
    threshold.run(context, "keen", settings=pixels)
    assert not threshold.run(context, "keen", settings=pixels)["fresh"]
    accept(context, paths_of(context, "anomalous", "calibration")[0], square(3, 5))
    with pytest.raises(AlreadyExists, match="the masks changed"):
        threshold.run(context, "keen", settings=pixels)
