"""The MVTec AD writer: layout, pixels, names, manifest, and what it leaves out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.errors import CurateError, DataFault, MissingMask
from curate.exporters.mvtec_ad import write
from curate.schema import check_rows
from curate.tables import from_rows, to_rows
from curate.verify import verify
from tests.helpers.exported import RECIPE, Ingested, ingested, pixels, sample


def export(toy: Ingested, out: Path, **options: Any) -> dict[str, Any]:
    """Write, and give the manifest."""
    write(toy.samples, out, masks=toy.masks, recipe=RECIPE, **options)
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    check_rows([manifest], "manifest")
    return manifest


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def added(toy: Ingested, relative: str, image: np.ndarray, **save: Any) -> None:
    """Add a normal image in any format to the samples."""
    path = toy.root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **save)
    rows = [*to_rows(toy.samples), sample(toy.root, path, toy.masks)]
    toy.samples = from_rows(rows, list(toy.samples.columns))


def test_layout_is_that_of_mvtec_ad_with_calibration_apart(tmp_path: Path) -> None:
    export(ingested(tmp_path, n_train=2, n_good=2, n_per_defect=2), tmp_path / "out")
    assert sorted(tree(tmp_path / "out")) == [
        "LICENCES.txt",
        "calibration/weave/ground_truth/spot/000_mask.png",
        "calibration/weave/ground_truth/stain/000_mask.png",
        "calibration/weave/test/good/000.png",
        "calibration/weave/test/spot/000.png",
        "calibration/weave/test/stain/000.png",
        "manifest.json",
        "weave/ground_truth/spot/001_mask.png",
        "weave/ground_truth/stain/001_mask.png",
        "weave/test/good/001.png",
        "weave/test/spot/001.png",
        "weave/test/stain/001.png",
        "weave/train/good/000.png",
        "weave/train/good/001.png",
    ]


def test_png_files_are_copied_byte_for_byte_and_masks_stay_equal(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    for entry in export(toy, tmp_path / "out")["images"]:
        assert (tmp_path / "out" / entry["path"]).read_bytes() == (
            toy.root / entry["relative_path"]
        ).read_bytes()
        if entry["mask_path"]:
            source = toy.root / entry["relative_path"].replace("/test/", "/ground_truth/")
            expected = pixels(source.with_name(f"{source.stem}_mask.png"))
            np.testing.assert_array_equal(pixels(tmp_path / "out" / entry["mask_path"]), expected)


def test_other_formats_become_png_with_equal_pixels_and_channels(tmp_path: Path) -> None:
    toy = ingested(tmp_path, n_train=1)
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (48, 64), np.uint8), rng.integers(0, 256, (48, 64, 3), np.uint8)
    deep = rng.integers(0, 65536, (48, 64), np.uint16)
    added(toy, "weave/train/good/grey.jpg", grey, quality=80)
    added(toy, "weave/train/good/colour.bmp", colour)
    added(toy, "weave/train/good/deep.tif", deep)
    added(toy, "weave/train/good/disguised.png", grey, format="JPEG")
    export(toy, tmp_path / "out")
    for name in ("grey.jpg", "colour.bmp", "deep.tif", "disguised.png"):
        source = toy.root / "weave/train/good" / name
        written = tmp_path / "out/weave/train/good" / f"{Path(name).stem}.png"
        assert written.read_bytes().startswith(b"\x89PNG")
        found = pixels(written)
        np.testing.assert_array_equal(found, pixels(source))
        assert found.shape == pixels(source).shape
        assert found.dtype.itemsize == pixels(source).dtype.itemsize


def test_same_input_gives_the_same_bytes_whatever_the_order_and_the_place(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    export(toy, tmp_path / "one")
    toy.samples = toy.samples.sample(frac=1, random_state=1)
    export(toy, tmp_path / "deeper" / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "deeper" / "two")


def test_manifest_traces_every_image_and_names_no_place_on_this_machine(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    manifest = export(toy, tmp_path / "out")
    by_id = {row["sample_id"]: row for row in to_rows(toy.samples)}
    assert len(manifest["images"]) == len(by_id)
    for entry in manifest["images"]:
        row = by_id[entry["sample_id"]]
        copied = set(entry) & set(row) - {"split"}
        assert {k: entry[k] for k in copied} == {k: row[k] for k in copied}
        assert entry["split"] == row["assigned_split"]
        assert entry["mask_source"] == ("file" if row["label"] == "anomalous" else None)
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert "/home/eva" not in text
    assert manifest["recipe"]["sources"] == [{"path": "toy", "format": "mvtec_ad"}]
    assert manifest["licences"] == [
        {
            "source": "toy",
            "licence": "CC BY 4.0",
            "citation": "Toy et al., 2026",
            "n_images": len(manifest["images"]),
        }
    ]


def test_licences_are_there_for_people_to_read(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/train/good/000.png", source="own line", licence=None, citation=None)
    export(toy, tmp_path / "out")
    text = (tmp_path / "out" / "LICENCES.txt").read_text()
    assert "toy: 17 images\n  Licence: CC BY 4.0\n  Cite: Toy et al., 2026" in text
    assert "own line: 1 images\n  Licence: not stated; ask the owner" in text


def test_what_cannot_be_exported_is_left_out_with_the_reason(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/train/good/000.png", label="unknown")
    toy.change("weave/train/good/001.png", label="anomalous", defect_types=["dust"])
    toy.change("weave/test/good/001.png", label="anomalous", defect_types=["dust"])
    toy.change("weave/test/stain/001.png", height=50)
    toy.change("weave/test/spot/001.png", boxes=None)
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(
        toy.masks / f"{_id(toy, 'weave/test/spot/001.png')}.png"
    )
    (toy.masks / f"{_id(toy, 'weave/test/spot/002.png')}.png").unlink()
    (toy.root / "weave/ground_truth/spot/002_mask.png").write_bytes(b"broken")
    found = export(toy, tmp_path / "out")
    assert {row["relative_path"]: row["reason"] for row in found["left_out"]} == {
        "weave/train/good/000.png": "label_unknown",
        "weave/train/good/001.png": "anomalous_in_train",
        "weave/test/good/001.png": "no_mask",
        "weave/test/stain/001.png": "mask_size",
        "weave/test/spot/001.png": "empty_mask",
        "weave/test/spot/002.png": "unreadable_mask",
    }
    assert len(found["images"]) == len(toy.samples) - 6
    assert verify(tmp_path / "out") == []


def _id(toy: Ingested, relative_path: str) -> str:
    return str(toy.samples.set_index("relative_path").at[relative_path, "sample_id"])


def test_boxes_become_the_mask_where_there_is_no_mask_file(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    boxes = [
        {"box_xyxy": [3, 5, 20, 9], "defect_type": "stain"},
        {"box_xyxy": [30, 40, 31, 44], "defect_type": "stain"},
    ]
    toy.change("weave/test/stain/001.png", gt_mask_path=None, boxes=boxes)
    (toy.masks / f"{_id(toy, 'weave/test/stain/001.png')}.png").unlink()
    entry = next(
        e for e in export(toy, tmp_path / "out")["images"] if e["path"] == "weave/test/stain/001.png"
    )
    assert (entry["mask_source"], entry["boxes"]) == ("boxes", boxes)
    expected = np.zeros((48, 64), np.uint8)
    expected[5:9, 3:20] = 255
    expected[40:44, 30] = 255
    np.testing.assert_array_equal(pixels(tmp_path / "out" / entry["mask_path"]), expected)


def test_an_image_judged_normal_goes_to_good_without_a_mask(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/test/stain/001.png", label="normal", defect_types=[], assigned_split="test")
    entries = {e["relative_path"]: e for e in export(toy, tmp_path / "out")["images"]}
    entry = entries["weave/test/stain/001.png"]
    assert entry["path"].startswith("weave/test/good/001_")
    assert entry["mask_path"] is None
    other = entries["weave/test/good/001.png"]
    assert other["path"] == f"weave/test/good/001_{other['sample_id'][:8]}.png"


def test_several_defect_types_are_combined_and_none_is_defective(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/test/stain/001.png", defect_types=["stain", "dent"])
    toy.change("weave/test/stain/002.png", defect_types=[])
    paths = {e["relative_path"]: e["path"] for e in export(toy, tmp_path / "out")["images"]}
    assert paths["weave/test/stain/001.png"] == "weave/test/combined/001.png"
    assert paths["weave/test/stain/002.png"] == "weave/test/defective/002.png"


def test_missing_canonical_masks_are_all_named(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    for path in toy.masks.iterdir():
        path.unlink()
    with pytest.raises(
        MissingMask, match=r"6 anomalous samples .*\n  weave/test/spot/000.png\n[\s\S]*Ingest"
    ):
        export(toy, tmp_path / "out")


def test_a_source_that_changed_is_refused_by_name_and_all_are_listed(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    changed = toy.root / "weave/train/good/002.png"
    changed.write_bytes((toy.root / "weave/train/good/003.png").read_bytes())
    (toy.root / "weave/train/good/004.png").unlink()
    with pytest.raises(DataFault, match=r"2 files[\s\S]*002\.png changed since[\s\S]*004\.png can no longer"):
        export(toy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "calibration"}, 'category "calibration" is a name of its own'),
        ({"category": "a/b"}, "category \"a/b\" has the character '/'"),
        ({"category": ".."}, r'category "\.\." begins or ends|category "\.\."'),
        ({"category": "Weave"}, 'category "Weave" and "weave" differ only'),
        ({"defect_types": ["good"]}, 'defect type "good" is the folder of normal images'),
        ({"defect_types": ["Stain"]}, 'defect type "Stain" and "stain" differ only'),
        ({"defect_types": ["con"]}, "device name"),
        ({"defect_types": ["x" * 201]}, "longer than 200 bytes"),
        ({"defect_types": [" "]}, "blank"),
    ],
)
def test_names_that_cannot_be_folders_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/test/stain/001.png", **changes)
    with pytest.raises(DataFault, match=message):
        export(toy, tmp_path / "out")


def test_all_bad_names_are_listed_at_once(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/test/stain/001.png", defect_types=["good"], category="train")
    with pytest.raises(DataFault, match=r"2 names[\s\S]*category \"train\"[\s\S]*defect type \"good\""):
        export(toy, tmp_path / "out")


def test_a_folder_that_holds_the_sources_is_never_replaced(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    with pytest.raises(DataFault, match="holds 18 of the images"):
        export(toy, toy.root, overwrite=True)


def test_nothing_to_export_says_why(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.samples["label"] = "unknown"
    with pytest.raises(DataFault, match=r"none of 18 .*\n  weave/test/good/000.png: label_unknown"):
        export(toy, tmp_path / "out")


def test_a_table_without_a_split_is_refused(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    with pytest.raises(ValueError, match="assigned_split"):
        write(toy.samples.drop(columns="assigned_split"), tmp_path / "o", masks=toy.masks, recipe={})
    toy.change("weave/train/good/000.png", assigned_split="val")
    with pytest.raises(DataFault, match="'val'"):
        export(toy, tmp_path / "out")
    toy.samples = pd.concat([toy.samples, toy.samples.iloc[1:2]])
    toy.samples["assigned_split"] = "test"
    with pytest.raises(DataFault, match="occur twice"):
        export(toy, tmp_path / "out")


def test_a_canonical_mask_of_other_values_is_refused(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    mask = toy.masks / f"{_id(toy, 'weave/test/spot/001.png')}.png"
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(mask)
    with pytest.raises(CurateError, match=r"spot/001\.png, is not 8-bit grey with the values 0 and 255"):
        export(toy, tmp_path / "out")


def test_progress_counts_every_sample_once(tmp_path: Path) -> None:
    toy = ingested(tmp_path)
    toy.change("weave/train/good/000.png", label="unknown")
    done: list[int] = []
    export(toy, tmp_path / "out", progress=done.append)
    assert sum(done) == len(toy.samples)
