"""What FiftyOne exports as COCO, YOLO and PASCAL VOC is read back: its writers share no code with us."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.formats import recognise
from curate.ground_truth import decode_runs
from curate.store.server import Database
from tests.helpers.golden import read

HW = (48, 64)
BOX = [6, 9, 22, 15]
MASK = np.zeros(HW, bool)
MASK[20:31, 40:58] = True
MASK[24:27, 44:60] = True
OUTLINE = [10.0, 30.0, 30.0, 32.0, 14.0, 44.0]


def shares(points: list[float]) -> list[float]:
    """Pixels x, y, x, y, ... as shares of the image."""
    return [value / HW[1 - k % 2] for k, value in enumerate(points)]


@pytest.fixture(scope="module")
def annotated(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A dataset with a box and a mask in a.png, an outline in b.png, and nothing in c.png."""
    import fiftyone as fo

    folder = tmp_path_factory.mktemp("pictures")
    dataset = fo.Dataset("annotated")
    left, top, right, bottom = BOX
    found = np.argwhere(MASK)
    (y0, x0), (y1, x1) = found.min(axis=0), found.max(axis=0) + 1
    for name in ("a", "b", "c"):
        Image.fromarray(np.full(HW, 90, np.uint8)).save(folder / f"{name}.png")
        sample = fo.Sample(folder / f"{name}.png")
        if name == "a":
            x, y, w, h = *shares([left, top]), *shares([right - left, bottom - top])
            mask_box = [*shares([x0, y0]), *shares([x1 - x0, y1 - y0])]
            sample["boxes"] = fo.Detections(
                detections=[fo.Detection(label="stain", bounding_box=[x, y, w, h])]
            )
            sample["masks"] = fo.Detections(
                detections=[
                    fo.Detection(label="dent", bounding_box=mask_box, mask=MASK[y0:y1, x0:x1], iscrowd=True)
                ]
            )
        if name == "b":
            pairs = list(zip(*[iter(shares(OUTLINE))] * 2, strict=True))
            sample["outlines"] = fo.Polylines(
                polylines=[fo.Polyline(label="scratch", points=[pairs], closed=True, filled=True)]
            )
        dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def exported(dataset: Any, out: Path, kind: str, field: str, **more: object) -> dict[str, dict[str, Any]]:
    """Rows, by the image's name, of what FiftyOne writes of a field."""
    import fiftyone as fo

    dataset.export(
        export_dir=str(out), dataset_type=getattr(fo.types, kind), label_field=field, progress=False, **more
    )
    rows, _ = read(recognise(out)[0], out)
    return {Path(path).name: row for path, row in rows.items()}


@pytest.mark.mongod
@pytest.mark.filterwarnings("ignore")
def test_coco_boxes_masks_and_outlines_come_back(annotated: Any, tmp_path: Path) -> None:
    boxes = exported(annotated, tmp_path / "boxes", "COCODetectionDataset", "boxes")
    assert recognise(tmp_path / "boxes")[0] == "coco"
    assert boxes["a.png"]["boxes"] == [{"box_xyxy": pytest.approx(BOX, abs=1e-6), "defect_type": "stain"}]
    assert [boxes[f"{name}.png"]["label"] for name in "abc"] == ["anomalous", "unknown", "unknown"]

    masks = exported(annotated, tmp_path / "masks", "COCODetectionDataset", "masks")
    (shape,) = masks["a.png"]["shapes"]
    np.testing.assert_array_equal(decode_runs(shape["counts"], HW), MASK)
    assert masks["a.png"]["defect_types"] == ["dent"] and masks["a.png"]["boxes"] is None

    outlines = exported(annotated, tmp_path / "outlines", "COCODetectionDataset", "outlines")
    (shape,) = outlines["b.png"]["shapes"]
    assert shape["points_xy"][:6] == pytest.approx(OUTLINE, abs=1e-6)


@pytest.mark.mongod
@pytest.mark.filterwarnings("ignore")
def test_yolo_boxes_and_outlines_come_back(annotated: Any, tmp_path: Path) -> None:
    boxes = exported(annotated, tmp_path / "boxes", "YOLOv5Dataset", "boxes", split="val")
    assert recognise(tmp_path / "boxes")[0] == "yolo_seg"
    assert boxes["a.png"]["boxes"] == [{"box_xyxy": pytest.approx(BOX, abs=1e-4), "defect_type": "stain"}]
    assert {row["split"] for row in boxes.values()} == {"val"}

    outlines = exported(annotated, tmp_path / "outlines", "YOLOv5Dataset", "outlines", split="train")
    (shape,) = outlines["b.png"]["shapes"]
    assert shape["points_xy"] == pytest.approx(OUTLINE, abs=1e-4)
    assert shape["defect_type"] == "scratch"


@pytest.mark.mongod
@pytest.mark.filterwarnings("ignore")
def test_voc_boxes_come_back(annotated: Any, tmp_path: Path) -> None:
    exported(annotated, tmp_path / "boxes", "VOCDetectionDataset", "boxes")
    assert recognise(tmp_path / "boxes")[0] == "voc"
    rows, _ = read("voc", tmp_path / "boxes", first_pixel=0)  # FiftyOne counts from 0
    assert rows["data/a.png"]["boxes"] == [{"box_xyxy": BOX, "defect_type": "stain"}]
    assert [rows[f"data/{name}.png"]["label"] for name in "abc"] == ["anomalous", "unknown", "unknown"]
