"""Pixel truth of different quality, channels that saturate, and maps that are not numbers."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.anomaly_maps import KEYWORD, encode_raw
from curate.evaluation import Options
from curate.steps.evaluation_pixels import channels, evaluate, kind_of_truth
from curate.tables import to_rows
from tests.helpers.tables import row, table

SHAPE = (48, 64)
DEFECT = (slice(10, 20), slice(30, 50))
QUICK = Options(n_replicates=20)


def write_mask(path: Path, place: tuple[slice, slice] | None = DEFECT, value: int = 255) -> Path:
    mask = np.zeros(SHAPE, np.uint8)
    if place is not None:
        mask[place] = value
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def sample(folder: Path, name: str, label: str, value: float = 0.0, **known: Any) -> dict[str, Any]:
    """A row with a map of noise that a defect lifts by a value."""
    values = np.random.default_rng(len(name)).normal(0, 1, SHAPE).astype(np.float32)
    values[DEFECT] += value
    (folder / f"{name}.map").write_bytes(encode_raw(values))
    return {**row(f"{name}.png", label, **known), "raw_map": f"{name}.map"}


def framed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    found = table(rows)
    found["raw_map"] = [each["raw_map"] for each in rows]
    return found


def test_truth_is_told_apart_by_its_quality(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    rows = [
        sample(tmp_path, "good", "normal"),
        sample(tmp_path, "exact", "anomalous", 9, mask_quality="exact"),
        sample(tmp_path, "weak", "anomalous", 9, mask_quality="weak"),
        sample(
            tmp_path, "boxed", "anomalous", 9, boxes=[{"box_xyxy": [30, 10, 50, 20], "defect_type": "stain"}]
        ),
        sample(tmp_path, "empty", "anomalous", 9),
        sample(tmp_path, "nothing", "anomalous", 9),
    ]
    for index, place in ((1, DEFECT), (2, DEFECT), (4, None)):
        write_mask(masks / f"{rows[index]['sample_id']}.png", place)
    found = [kind_of_truth(each, masks) for each in to_rows(framed(rows))]
    assert found == ["normal", "exact", "weak", "boxes", "none", "none"]
    told = evaluate(framed(rows), tmp_path, masks, 5.0, QUICK)
    assert told["truth"] == {"normal": 1, "exact": 1, "weak": 1, "boxes": 1, "none": 2}
    assert sorted(told["without_truth"]) == ["empty.png", "nothing.png"]
    assert told["regions"]["n"] == 3 and told["regions"]["found_overlap"]["value"] == 1
    assert told["pixel"]["pixel_auroc"]["value"] > 0.99


def test_images_without_a_map_are_named(tmp_path: Path) -> None:
    rows = [sample(tmp_path, "good", "normal"), sample(tmp_path, "bad", "anomalous", 9)]
    write_mask(tmp_path / "masks" / f"{rows[1]['sample_id']}.png")
    rows[1]["raw_map"] = None
    told = evaluate(framed(rows), tmp_path, tmp_path / "masks", 5.0, QUICK)
    assert told["without_map"] == ["bad.png"] and told["pixel"] == {} and told["regions"] is None


def test_a_map_that_is_not_finite_is_named_and_left_out(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    rows = [sample(tmp_path, name, "normal") for name in ("a", "bb")]
    rows += [sample(tmp_path, name, "anomalous", 9) for name in ("ccc", "dddd", "eeeee")]
    for each in rows[2:]:
        write_mask(masks / f"{each['sample_id']}.png")
    broken = tmp_path / "dddd.map"
    broken.write_bytes(with_range(broken.read_bytes(), b"0.0 inf"))
    with np.errstate(invalid="ignore"):
        told = evaluate(framed(rows), tmp_path, masks, 5.0, QUICK)
    assert told["not_finite"] == ["dddd.png"]
    assert told["regions"]["n"] == 2 and told["pixel"]["pixel_auroc"]["value"] > 0.99


def with_range(content: bytes, text: bytes) -> bytes:
    """A raw map whose text chunk tells another range."""
    at = content.find(b"tEXt" + KEYWORD)
    (length,) = struct.unpack(">I", content[at - 4 : at])
    body = b"tEXt" + KEYWORD + b"\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return content[: at - 4] + chunk + content[at + 4 + length + 4 :]


@pytest.mark.parametrize(
    ("threshold", "relative", "expected"),
    [(50.0, False, 50), (1000.0, False, 200), (0.25, True, 50), (0.001, True, 1)],
)
def test_saturation_becomes_pixels_of_the_defect(
    tmp_path: Path, threshold: float, relative: bool, expected: int
) -> None:
    file = write_mask(tmp_path / "000.png", value=7)  # 200 px
    channel = {
        "path": str(file), "defect_type": "gap", "value": 7,
        "saturation_threshold": threshold, "relative_saturation": relative,
    }  # fmt: skip
    (found,) = channels({"mask_channels": [channel], "mask_rule": None})
    assert found.saturation_px == expected and found.mask.sum() == 200
    assert channels({"mask_channels": [{**channel, "saturation_threshold": None}], "mask_rule": None}) == ()
    assert channels({"mask_channels": [{**channel, "value": 8}], "mask_rule": None}) == ()
    assert channels({"mask_channels": None, "mask_rule": None}) == ()
