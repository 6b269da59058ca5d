"""A mask becomes editable regions and a mask again, pixel by pixel, through the database and FiftyOne."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate import drawn_masks
from curate.drawn_types import combined
from curate.images import encode_png
from curate.store import dataset
from curate.store.documents import object_id
from curate.store.proposals import as_stored, is_edited, mask_of_detections, regions_of, save_proposals
from curate.store.server import Database
from curate.store.shown import keep_proposed
from curate.truth_regions import rows_of_truth
from tests.helpers.stored import many, sample_id

pytestmark = pytest.mark.mongod
FIELD = "padim_proposals"
SIZES = st.tuples(st.integers(1, 23), st.integers(1, 37))
MASKS = SIZES.flatmap(lambda hw: arrays(np.bool_, hw))
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain_row(**changed: Any) -> dict[str, Any]:
    """What rows_of_truth wants of a sample."""
    row = {"sample_id": sample_id("00000"), "defect_types": [], "mask_channels": None, "shapes": None}
    return {**row, "mask_classes": None, "mask_kind": "binary", "mask_rule": "> 0", "boxes": None, **changed}


@QUIET
@given(MASKS)
def test_any_mask_comes_back_bit_by_bit(fo: Any, mask: np.ndarray) -> None:
    rows = rows_of_truth(plain_row(defect_types=["dent"]), mask)
    detections = as_stored(FIELD, rows, mask.shape)["detections"]
    assert np.array_equal(mask_of_detections(detections, mask.shape), mask)
    drawn = combined(regions_of(detections, mask.shape), mask.shape)
    assert np.array_equal(drawn.mask, mask)
    assert drawn.defect_type == ("dent" if mask.any() else None)
    if mask.any():
        assert not is_edited(detections, sample_id("00000"), mask.shape)


@QUIET
@given(SIZES.flatmap(lambda hw: arrays(np.uint8, hw, elements=st.sampled_from([0, 1, 4, 255]))))
def test_any_mask_of_types_comes_back_value_by_value(fo: Any, tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "classes.png"
    path.write_bytes(encode_png(values))
    known = {"dent": 1, "hole": 4}
    classes = [{"value": value, "defect_type": name} for name, value in known.items()]
    row = plain_row(
        gt_mask_path=str(path), mask_kind="classes", mask_classes=classes,
        defect_types=["dent", "hole"], height=values.shape[0], width=values.shape[1],
    )  # fmt: skip
    detections = as_stored(FIELD, rows_of_truth(row, values > 0), values.shape)["detections"]
    drawn = combined(regions_of(detections, values.shape), values.shape, lambda: known)
    assert np.array_equal(drawn.mask > 0, values > 0)
    if drawn.classes:
        assert np.array_equal(drawn.mask, values)
    else:
        assert len(np.unique(values[values > 0])) < 2


def awkward(image_hw: tuple[int, int]) -> np.ndarray:
    """Several regions, a hole, an island in it, specks, and regions at every border."""
    mask = np.zeros(image_hw, dtype=bool)
    mask[5:25, 7:40] = True
    mask[9:20, 12:30] = False
    mask[13:15, 20:22] = True
    mask[0, 0] = mask[-1, -1] = mask[-1, 0] = mask[0, -1] = True
    mask[30:, 50:] = True
    mask[28, 10:20:2] = True
    return mask


def test_a_mask_goes_through_the_database_and_fiftyone_unchanged(
    workspace_db: Database, fo: Any, tmp_path: Path
) -> None:
    samples = many(2)
    dataset.save_samples("back", samples)
    image_hw = int(samples["height"][0]), int(samples["width"][0])
    mask = awkward(image_hw)
    rows = rows_of_truth(plain_row(defect_types=["dent"]), mask)
    assert len(rows) > 8
    assert save_proposals("back", "padim", rows) == []
    label = dataset.load("back").match({"sample_id": sample_id("00000")}).first()[FIELD]
    drawn = label.to_segmentation(frame_size=image_hw[::-1], mask_targets={255: "dent"}).mask
    assert np.array_equal(drawn > 0, mask)
    for detection in label.detections:  # as if the App had written every label anew
        detection.mask = detection.mask.astype(np.uint8) * 255
    sample = dataset.load("back").match({"sample_id": sample_id("00000")}).first()
    sample[FIELD] = label
    sample.save()
    kept = keep_proposed("back", [sample_id("00000"), sample_id("00001")], "padim", tmp_path)
    assert list(kept) == [sample_id("00000")]
    named = kept[sample_id("00000")]
    assert (named["drawn_type"], named["drawn_classes"]) == ("dent", None)
    assert named["drawn_mask"] == drawn_masks.digest(mask)
    assert np.array_equal(drawn_masks.read(tmp_path, sample_id("00000"), named["drawn_mask"]), mask)
    assert object_id(sample_id("00000"), "sample") == sample._id
    dataset.load("back").delete()
