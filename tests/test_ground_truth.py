"""One mask from whatever a source keeps its truth in, up to the export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from curate.export_plan import choose
from curate.formats import FORMATS
from curate.ground_truth import WrongSize, decode_runs, encode_runs, has_mask, read
from curate.images import read_stored
from curate.ingest import build_table, write_masks
from curate.tables import to_rows
from tests.helpers import tables
from tests.helpers.golden import GOLDEN

HW = (48, 64)


def row(**truth: Any) -> dict[str, Any]:
    empty = dict.fromkeys(tables.COLUMNS)
    return {**empty, "height": HW[0], "width": HW[1], **truth}


def saved(path: Path, *areas: tuple[slice, slice], value: int = 255) -> str:
    mask = np.zeros(HW, np.uint8)
    for area in areas:
        mask[area] = value
    Image.fromarray(mask).save(path)
    return str(path)


def square(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    points = [x0, y0, x1, y0, x1, y1, x0, y1]
    return {"kind": "polygon", "points_xy": points, "counts": None, "defect_type": "cut"}


def test_channels_that_overlap_are_united_and_their_values_counted(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / "0.png", np.s_[2:6, 3:9], value=236),
        saved(tmp_path / "1.png", np.s_[4:8, 5:30], value=237),
    ]
    entry = {"defect_type": None, "value": None, "saturation_threshold": None, "relative_saturation": None}
    truth = read(row(mask_channels=[{"path": path, **entry} for path in paths]))
    assert int(truth.mask.sum()) == 4 * 6 + 4 * 25 - 2 * 4
    assert truth.values == {236: 24, 237: 100}


def test_an_outline_fills_the_pixels_whose_centres_it_holds() -> None:
    mask = read(row(shapes=[square(10, 5, 20, 9)])).mask
    assert mask[5:9, 10:20].all() and int(mask.sum()) == 40


def test_an_outline_thinner_than_a_pixel_does_not_vanish() -> None:
    assert read(row(shapes=[square(10.6, 5.6, 10.9, 5.9)])).mask[5, 10]


def test_a_box_counts_beside_outlines_and_only_repeats_beside_a_mask_file(tmp_path: Path) -> None:
    boxes = [{"box_xyxy": [40.0, 30.0, 44.0, 33.0], "defect_type": "dent"}]
    drawn = read(row(shapes=[square(10, 5, 20, 9)], boxes=boxes)).mask
    assert int(drawn.sum()) == 40 + 12
    path = saved(tmp_path / "m.png", np.s_[2:6, 3:9])
    assert int(read(row(gt_mask_path=path, boxes=boxes)).mask.sum()) == 24


def test_a_mask_file_of_another_size_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", np.s_[2:6, 3:9])
    with pytest.raises(WrongSize, match=r"m\.png has 64 x 48 px"):
        read(row(gt_mask_path=path) | {"height": 47})


@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_come_back_as_the_mask_they_were_made_of(mask: np.ndarray) -> None:
    runs = encode_runs(mask)
    assert np.array_equal(decode_runs(runs, mask.shape), mask)
    assert all(run > 0 for run in runs[1:])


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_layout_with_pixel_truth_can_be_exported_with_it(name: str, tmp_path: Path) -> None:
    table, _ = build_table(GOLDEN / name)
    masks = tmp_path / "masks"
    write_masks(table, masks)
    table["assigned_split"] = "test"
    chosen, left_out = choose(table, masks)
    exported = {one.row["sample_id"]: one for one in chosen}
    assert not {one.reason for one in left_out} & {"mask_size", "unreadable_mask"}
    for sample in to_rows(table):
        if sample["label"] == "anomalous" and has_mask(sample) and (truth := read(sample).mask).any():
            mask = exported[sample["sample_id"]].mask
            assert mask is not None and np.array_equal(read_stored(mask) > 0, truth)
