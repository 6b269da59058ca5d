"""What is exported is read back equal: labels, types, splits, parts, pixels, masks; twice gives the same."""

from pathlib import Path

import numpy as np
import pytest

from curate.exporters.mvtec_ad import write
from curate.ingest import build_table, write_masks
from curate.splits import assign
from curate.tables import to_rows
from tests.helpers.exported import RECIPE, Ingested, ingested, pixels

KEPT = (
    "category label defect_types part_id product lot panel station camera lighting captured_at site "
    "um_per_px licence citation pixel_sha256 width height bit_depth channels"
).split()


def exported(tmp_path: Path) -> tuple[Ingested, Path]:
    toy = ingested(tmp_path)
    toy.change("weave/train/good/000.png", lot=None, product="FPC 12", captured_at="2026-03-01T08:00:00Z")
    toy.change("weave/test/stain/001.png", defect_types=["dent", "stain"])
    boxes = [{"box_xyxy": [3, 5, 20, 9], "defect_type": "spot"}]
    toy.change("weave/test/spot/001.png", gt_mask_path=None, boxes=boxes)
    write(toy.samples, tmp_path / "out", masks=toy.masks, recipe=RECIPE)
    return toy, tmp_path / "out"


def test_an_export_is_read_back_equal(tmp_path: Path) -> None:
    toy, out = exported(tmp_path)
    table, faults = build_table(out, "mvtec_ad")
    assert faults == []
    found = {(row["pixel_sha256"], row["part_id"]): row for row in to_rows(table)}
    assert len(found) == len(toy.samples)
    for row in to_rows(toy.samples):
        again = found[row["pixel_sha256"], row["part_id"]]
        assert {name: again[name] for name in KEPT} == {name: row[name] for name in KEPT}
        assert again["split"] == row["assigned_split"]
        assert again["boxes"] == row["boxes"]


def test_masks_are_read_back_equal(tmp_path: Path) -> None:
    toy, out = exported(tmp_path)
    table, _ = build_table(out, "mvtec_ad")
    assert write_masks(table, tmp_path / "again") == []
    ids = {row["part_id"]: row["sample_id"] for row in to_rows(table)}
    for row in to_rows(toy.samples):
        if row["label"] == "anomalous" and row["boxes"] is None:
            first = pixels(toy.masks / f"{row['sample_id']}.png")
            np.testing.assert_array_equal(pixels(tmp_path / "again" / f"{ids[row['part_id']]}.png"), first)


def test_the_delivered_split_of_an_export_is_kept(tmp_path: Path) -> None:
    _, out = exported(tmp_path)
    table, _ = build_table(out, "mvtec_ad")
    split = table.merge(assign(table, policy="delivered"), on="sample_id")
    assert list(split["assigned_split"]) == list(split["split"])


@pytest.mark.slow
def test_an_export_of_an_export_has_the_same_files(tmp_path: Path) -> None:
    _, out = exported(tmp_path)
    table, _ = build_table(out, "mvtec_ad")
    write_masks(table, tmp_path / "again")
    split = table.merge(assign(table, policy="delivered"), on="sample_id")
    write(split, tmp_path / "twice", masks=tmp_path / "again", recipe=RECIPE)
    names = sorted(path.relative_to(out) for path in out.rglob("*.png"))
    assert names == sorted(p.relative_to(tmp_path / "twice") for p in (tmp_path / "twice").rglob("*.png"))
    for name in names:
        np.testing.assert_array_equal(pixels(tmp_path / "twice" / name), pixels(out / name))
