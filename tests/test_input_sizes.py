"""What a detector's input leaves of regions: as resizing the mask, for any geometry, crop and tiling."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from curate.files import write_json
from curate.input_sizes import Inputs, View, of_side, of_state, sizes_at_input
from curate.masks import label_regions
from detectors.geometry import Geometry
from detectors.tiled import spans


def specks(seed: int, image_hw: tuple[int, int] = (96, 131)) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(seed)
    mask = np.zeros(image_hw, dtype=bool)
    for _ in range(25):
        top, left, side = rng.integers(0, image_hw[0]), rng.integers(0, image_hw[1]), rng.integers(1, 9)
        mask[top : top + side, left : left + rng.integers(1, 9)] = True
    return label_regions(mask)


def brute(labels: np.ndarray, geometry: Geometry) -> np.ndarray:
    """torch resizes the labels, they are placed and cropped by hand."""
    box = geometry.box(labels.shape)  # type: ignore[arg-type]
    planes = torch.from_numpy(labels.astype(np.float32))[None, None]
    inner = functional.interpolate(planes, (box.height, box.width), mode="nearest-exact")[0, 0].numpy()
    whole = np.zeros(geometry.image_hw, np.int64)
    whole[box.top : box.top + box.height, box.left : box.left + box.width] = inner
    if geometry.crop_hw:
        top, left = ((a - b) // 2 for a, b in zip(geometry.image_hw, geometry.crop_hw, strict=True))
        whole = whole[top : top + geometry.crop_hw[0], left : left + geometry.crop_hw[1]]
    return whole


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((32, 32)), Geometry((32, 32), aspect="stretch"), Geometry((40, 56)),
        Geometry((64, 48), (40, 30)),
        Geometry((33, 47), (32, 12), "stretch"), Geometry((96, 131)), Geometry((200, 300)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(4))
def test_what_vanishes_is_what_a_resize_of_the_mask_loses(geometry: Geometry, seed: int) -> None:
    labels, n_regions = specks(seed)
    expected = np.bincount(brute(labels, geometry).ravel(), minlength=n_regions + 1)[1:]
    sizes = sizes_at_input(labels, n_regions, Inputs((View(geometry),)))
    assert sizes["nearest_px"] == expected.tolist()
    assert sizes["input_cells"] == [None] * n_regions


def test_area_at_the_input_by_hand() -> None:
    labels = np.zeros((100, 200), np.int32)
    labels[10:14, 20:25] = 1
    keep = sizes_at_input(labels, 1, Inputs((View(Geometry((50, 50)), cell_px=16.0),)))
    assert keep["input_px"] == [20 / 16] and keep["input_cells"] == [20 / 16 / 16]
    stretch = sizes_at_input(labels, 1, Inputs((View(Geometry((50, 50), aspect="stretch")),)))
    assert stretch["input_px"] == [20 / 8]


def test_a_crop_hides_what_lies_at_the_border() -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[0:4, 10:20] = 1
    labels[30:34, 10:20] = 2
    sizes = sizes_at_input(labels, 2, Inputs((View(Geometry((64, 64), (48, 48))),)))
    assert sizes["nearest_px"] == [0, 40] and sizes["input_px"] == [0, 40]


def test_tiles_keep_what_the_whole_image_loses() -> None:
    labels, n_regions = specks(3)
    small, grid = Geometry((32, 40)), (3, 4, 0.25)
    whole = sizes_at_input(labels, n_regions, Inputs((View(small),)))
    tiled = sizes_at_input(labels, n_regions, Inputs((View(small),), grid))
    by_tile = [
        np.bincount(brute(labels[slice(*rows), slice(*columns)], small).ravel(), minlength=n_regions + 1)[1:]
        for rows in spans(96, 3, 0.25) for columns in spans(131, 4, 0.25)
    ]  # fmt: skip
    assert tiled["nearest_px"] == np.max(by_tile, axis=0).tolist()
    assert whole["nearest_px"].count(0) > tiled["nearest_px"].count(0)


def test_of_several_scales_the_largest_counts() -> None:
    labels, n_regions = specks(5)
    views = View(Geometry((32, 40)), 16.0), View(Geometry((64, 80)), 16.0)
    both = sizes_at_input(labels, n_regions, Inputs(views))
    assert both == sizes_at_input(labels, n_regions, Inputs(views[1:]))


def saved(folder: Path, name: str, meta: dict[str, Any], **config: Any) -> Inputs:
    write_json(folder / "config.json", {"detector": name, **config})
    write_json(folder / "meta.json", meta)
    return of_state(folder)


def test_a_saved_detector_tells_its_geometry_and_cells(tmp_path: Path) -> None:
    geometry = {"image_hw": [232, 288], "crop_hw": None, "aspect": "keep"}
    layers = ["blocks.1", "blocks.2", "blocks.4"]
    meta = {"geometry": geometry, "backbone": "efficientnet_lite0", "layers": layers}
    (view,) = saved(tmp_path, "padim", meta).views
    assert view.geometry == Geometry((232, 288)) and view.cell_px == 16
    assert (
        saved(tmp_path, "fcdd", {"geometry": geometry, "facts": {"grid_hw": [29, 36]}}).views[0].cell_px == 64
    )
    assert saved(tmp_path, "other", {"geometry": geometry}).views[0].cell_px is None
    tiled = {"geometry": geometry, "facts": {"grid": [2, 3]}, "inner": [meta]}
    inputs = saved(tmp_path, "tiled:padim", tiled, overlap=0.25)
    assert inputs.grid == (2, 3, 0.25) and len(inputs.pictures((500, 700))) == 6
    assert saved(tmp_path, "multiscale:padim", {**tiled, "inner": [meta, meta]}).grid is None


def test_a_side_alone_tells_a_geometry() -> None:
    assert of_side(256, "keep", [(500, 1250)]).views[0].geometry == Geometry((160, 408))
    assert of_side(256, "stretch", [(500, 1250)]).views[0].geometry == Geometry((256, 256), None, "stretch")
    with pytest.raises(ValueError, match='found 8, "keep"'):
        of_side(8, "keep", [(500, 1250)])
    with pytest.raises(ValueError, match='"squash"'):
        of_side(256, "squash", [(500, 1250)])


@pytest.mark.parametrize("side", [31, 8193, 10**11])
def test_a_side_that_no_detector_has_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="a side from 32 to 8192"):
        of_side(side, "keep", [(48, 64)])
