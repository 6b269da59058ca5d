"""Real images: split, exported, verified."""

from pathlib import Path

import pandas as pd
import pytest

from curate.exporters.mvtec_ad import write
from curate.ingest import build_table, write_masks
from curate.manifest import read
from curate.splits import assign, shortages
from curate.verify import verify
from tests.helpers.places import DEEP_PCB, MAGNETIC_TILE


def exported(table: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Export to folder/out, verify it; reason by relative path of what was left out."""
    split = assign(table)
    assert shortages(table, split) == []
    samples = table.merge(split, on="sample_id")
    assert samples.groupby("part_id")["assigned_split"].nunique().max() == 1
    write_masks(table, folder / "masks")
    write(samples, folder / "out", masks=folder / "masks", recipe={"name": "real"})
    assert verify(folder / "out") == []
    return {one["relative_path"]: one["reason"] for one in read(folder / "out")["left_out"]}


@pytest.mark.real_images
def test_magnetic_tiles_lose_only_the_three_with_empty_masks(tmp_path: Path) -> None:
    table, _ = build_table(MAGNETIC_TILE, "magnetic_tile")
    reasons = exported(table, tmp_path)
    assert (
        sorted(reason for reason in reasons.values() if reason != "anomalous_in_train") == ["empty_mask"] * 3
    )


@pytest.mark.real_images
def test_deep_pcb_boards_keep_pairs_together_and_get_masks_from_boxes(tmp_path: Path) -> None:
    table, _ = build_table(DEEP_PCB, "deep_pcb")
    first = sorted(set(table["part_id"]))[:60]
    reasons = exported(table[table["part_id"].isin(first)], tmp_path)
    assert set(reasons.values()) == {"anomalous_in_train"}
    images = read(tmp_path / "out")["images"]
    assert {image["mask_source"] for image in images} == {"boxes", None}
