"""Other programs read what we export: anomalib's MVTecAD data set and FiftyOne's own importers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.exporters.mvtec_ad import write
from curate.store.server import Database
from tests.helpers.exported import RECIPE, ingested, pixels

STEMS = {"000": "s1", "001": "s10", "002": "s100"}  # each is the beginning of the next


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An export whose stems begin one another: readers that pair by position would mix up the masks."""
    toy = ingested(tmp_path, n_train=4, n_good=3, n_per_defect=3)
    paths = [Path(name) for name in toy.samples["relative_path"]]
    toy.samples["relative_path"] = [f"{p.parent}/{STEMS.get(p.stem, p.stem)}.png" for p in paths]
    toy.samples["assigned_split"] = toy.samples["split"]
    toy.change("weave/test/good/s1.png", assigned_split="calibration")
    write(toy.samples, tmp_path / "out", masks=toy.masks, recipe=RECIPE)
    return tmp_path / "out"


def images(out: Path, split: str) -> dict[str, dict[str, Any]]:
    """Entries of the manifest by absolute path."""
    content = json.loads((out / "manifest.json").read_text())
    return {str(out / e["path"]): e for e in content["images"] if e["split"] == split}


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("split", ["train", "test"])
def test_anomalib_reads_the_same_images_labels_and_masks(out: Path, split: str) -> None:
    from anomalib.data.datasets.image.mvtecad import MVTecADDataset

    dataset = MVTecADDataset(root=out, category="weave", split=split)
    expected = images(out, split)
    assert set(dataset.samples["image_path"]) == set(expected)
    assert len(dataset) == len(expected) > 0
    for index in range(len(dataset)):
        item = dataset[index]
        entry = expected[item.image_path]
        assert bool(item.gt_label) == (entry["label"] == "anomalous")
        stored = pixels(out / entry["path"])
        found = np.round(item.image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        np.testing.assert_array_equal(found, stored)
        if entry["mask_path"]:
            assert item.mask_path == str(out / entry["mask_path"])
            np.testing.assert_array_equal(item.gt_mask.numpy() > 0, pixels(out / entry["mask_path"]) == 255)
        elif split == "test":
            assert not item.gt_mask.numpy().any()


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_anomalib_never_sees_the_calibration_part(out: Path) -> None:
    from anomalib.data.datasets.image.mvtecad import MVTecADDataset

    calibration = images(out, "calibration")
    seen = set(MVTecADDataset(root=out, category="weave").samples["image_path"])
    assert calibration
    assert not seen & set(calibration)
    apart = MVTecADDataset(root=out / "calibration", category="weave", split="test")
    assert set(apart.samples["image_path"]) == set(calibration)


@pytest.mark.mongod
@pytest.mark.filterwarnings("ignore")
def test_fiftyone_imports_the_folders_as_classes(out: Path, workspace_db: Database) -> None:
    import fiftyone as fo

    for split in ("train", "test"):
        dataset = fo.Dataset.from_dir(
            dataset_dir=str(out / "weave" / split),
            dataset_type=fo.types.ImageClassificationDirectoryTree,
        )
        expected = {path: (e["defect_types"] or ["good"])[0] for path, e in images(out, split).items()}
        labels = dataset.values("ground_truth.label")
        assert dict(zip(dataset.values("filepath"), labels, strict=True)) == expected


@pytest.mark.mongod
@pytest.mark.filterwarnings("ignore")
def test_fiftyone_imports_the_masks_as_segmentations(out: Path, workspace_db: Database) -> None:
    truth = {path: e for path, e in images(out, "test").items() if e["mask_path"]}
    folder = out / "weave" / "ground_truth"
    # FiftyOne pairs by the masks' names
    data = {str((out / e["mask_path"]).relative_to(folder)): path for path, e in truth.items()}
    import fiftyone as fo

    dataset = fo.Dataset.from_dir(
        dataset_type=fo.types.ImageSegmentationDirectory, data_path=data, labels_path=str(folder)
    )
    found = dict(zip(dataset.values("filepath"), dataset.values("ground_truth.mask_path"), strict=True))
    assert found == {path: str(out / e["mask_path"]) for path, e in truth.items()}
    for sample in dataset:
        mask = sample["ground_truth"].get_mask()
        np.testing.assert_array_equal(mask, pixels(Path(sample["ground_truth"].mask_path)))
