"""Regions as rows: sizes by hand, defect types that the source tells, and what counts as found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.masks import label_regions
from curate.region_table import diameter, found, regions_of
from curate.schema import check_rows, load
from tests.helpers.stored import row
from tests.helpers.tiny import HEIGHT, WIDTH

TRUTH = dict.fromkeys(
    ("mask_channels", "shapes", "mask_kind", "mask_classes", "mask_rule", "boxes", "um_per_px")
)


def sample(**changed: Any) -> dict[str, Any]:
    return row("one", "anomalous", **{**TRUTH, **changed})


def blank() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), dtype=bool)


def two() -> np.ndarray:
    mask = blank()
    mask[5:9, 30:45] = True
    mask[20:22, 0:3] = True
    return mask


def test_sizes_by_hand() -> None:
    large, small = regions_of(sample(um_per_px=2.5), two())
    check_rows([large, small], "region")
    assert set(large) == set(load("region")["required"])
    assert (large["region"], large["area_px"], large["box_xyxy"]) == (1, 60, [30, 5, 45, 9])
    assert large["diameter_px"] == pytest.approx(2 * (60 / np.pi) ** 0.5)
    assert large["area_fraction"] == 60 / (48 * 64)
    assert large["area_um2"] == 60 * 6.25
    assert large["diameter_um"] == pytest.approx(2.5 * large["diameter_px"])
    assert (small["area_px"], small["box_xyxy"]) == (6, [0, 20, 3, 22])
    assert [one["touches_border"] for one in (large, small)] == [False, True]


@pytest.mark.parametrize("radius", [3, 8, 20])
def test_equivalent_diameter_of_a_disc_is_its_own(radius: int) -> None:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = (rows - 23) ** 2 + (columns - 30) ** 2 <= radius**2
    (region,) = regions_of(sample(), disc)
    assert region["diameter_px"] == pytest.approx(2 * radius, abs=0.9)


def test_diagonal_contact_is_one_region() -> None:
    mask = blank()
    mask[4, 6] = mask[5, 7] = mask[6, 6] = True
    mask[6, 9] = True
    assert [one["area_px"] for one in regions_of(sample(), mask)] == [3, 1]


def test_without_a_scale_there_are_no_micrometres() -> None:
    (first, _) = regions_of(sample(), two())
    assert first["area_um2"] is None and first["diameter_um"] is None
    check_rows([first], "region")


def test_a_mask_without_defect_has_no_region() -> None:
    assert regions_of(sample(), blank()) == []


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(48, 64\) for one.png; found \(64, 48\)"):
        regions_of(sample(), blank().T)
    with pytest.raises(ValueError, match="uint8"):
        regions_of(sample(), blank().astype(np.uint8))


def kinds(mask: np.ndarray, **changed: Any) -> list[str | None]:
    return [one["defect_type"] for one in regions_of(sample(**changed), mask)]


def test_the_only_type_of_an_image_is_that_of_its_regions() -> None:
    assert kinds(two(), defect_types=["stain"]) == ["stain", "stain"]


def test_several_types_that_nothing_tells_apart_stay_open() -> None:
    assert kinds(two(), defect_types=["spur", "stain"]) == [None, None]
    assert kinds(two(), defect_types=[]) == [None, None]


def test_boxes_tell_the_type_of_what_lies_in_them() -> None:
    boxes = [
        {"box_xyxy": [29.2, 4, 46, 10], "defect_type": "spur"},
        {"box_xyxy": [0, 19, 2, 24], "defect_type": "stain"},  # the region sticks out of it
    ]
    assert kinds(two(), defect_types=["spur", "stain"], boxes=boxes) == ["spur", None]
    boxes[1]["box_xyxy"] = [0, 19, 3, 24]
    assert kinds(two(), defect_types=["spur", "stain"], boxes=boxes) == ["spur", "stain"]
    boxes.append({"box_xyxy": [0, 0, 64, 48], "defect_type": "stain"})
    assert kinds(two(), defect_types=["spur", "stain"], boxes=boxes) == [None, "stain"]


def test_outlines_tell_the_type_and_a_region_of_two_types_has_none() -> None:
    shapes = [
        {"kind": "polygon", "points_xy": [30, 5, 45, 5, 45, 9, 30, 9], "counts": None, "defect_type": "spur"},
        {
            "kind": "polygon",
            "points_xy": [0, 20, 3, 20, 3, 22, 0, 22],
            "counts": None,
            "defect_type": "stain",
        },
    ]
    assert kinds(two(), defect_types=["spur", "stain"], shapes=shapes) == ["spur", "stain"]
    shapes.append({**shapes[1], "points_xy": [44, 8, 45, 8, 45, 9, 44, 9]})
    assert kinds(two(), defect_types=["spur", "stain"], shapes=shapes) == [None, "stain"]


def test_mask_channels_and_class_values_tell_the_type(tmp_path: Path) -> None:
    values = two().astype(np.uint8)
    values[20:22, 0:3] = 2
    channels = []
    for value, name in ((1, "spur"), (2, "stain")):
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.where(values == value, 255, 0).astype(np.uint8)).save(path)
        channels.append({"path": str(path), "defect_type": name})
    types = ["spur", "stain"]
    assert kinds(two(), defect_types=types, mask_channels=channels) == ["spur", "stain"]
    Image.fromarray(values).save(tmp_path / "classes.png")
    classes = [{"value": 1, "defect_type": "spur"}, {"value": 2, "defect_type": "stain"}]
    told = {"gt_mask_path": str(tmp_path / "classes.png"), "mask_kind": "classes", "mask_classes": classes}
    assert kinds(two(), defect_types=types, **told) == ["spur", "stain"]
    assert kinds(two(), defect_types=types, **{**told, "mask_kind": "binary"}) == [None, None]


def test_found_by_hand() -> None:
    labels, n_regions = label_regions(two())
    anomaly_map = np.zeros((HEIGHT, WIDTH), np.float32)
    anomaly_map[5:9, 30:33] = 2.0  # 12 of 60 pixels
    anomaly_map[40, 40] = 9.0  # background
    any_pixel, overlap = found(anomaly_map, labels, n_regions, 2.0)
    assert any_pixel.tolist() == [True, False]
    assert overlap.tolist() == [0.2, 0.0]


def test_found_without_regions_is_empty() -> None:
    any_pixel, overlap = found(np.ones((3, 4)), np.zeros((3, 4), np.int32), 0, 0.5)
    assert any_pixel.shape == overlap.shape == (0,)


def test_found_refuses_what_does_not_fit() -> None:
    labels, n_regions = label_regions(two())
    with pytest.raises(ValueError, match="shape"):
        found(np.zeros((3, 4)), labels, n_regions, 1.0)
    with pytest.raises(ValueError, match="labels 1 to 3"):
        found(np.zeros(labels.shape), labels, 3, 1.0)
    with pytest.raises(ValueError, match="labels 1 to 1"):
        found(np.zeros(labels.shape), labels, 1, 1.0)
    with pytest.raises(ValueError, match="NaN"):
        found(np.full(labels.shape, np.nan), labels, n_regions, 1.0)


def test_diameter_and_area_belong_together() -> None:
    assert diameter(np.pi * 4) == pytest.approx(4.0)
    assert diameter(np.array([np.pi, 0.0])) == pytest.approx([2.0, 0.0])
