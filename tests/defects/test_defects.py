"""What every synthetic defect promises: an exact mask, sizes in micrometres, the layer it was given."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from curate.defects import DEFECTS
from curate.defects.making import LEAST_CHANGE
from curate.drawing import Array
from curate.registry import lookup
from curate.scenes.scene import Scene, render

CLIPPED = ("bubble", "pinhole", "scratch", "stain")  # these end where their layer ends
SIZED = {
    "bubble": "diameter_um",
    "foreign_particle": "crumb_um",
    "open": "gap_um",
    "pinhole": "diameter_um",
    "scratch": "length_um",
    "stain": "diameter_um",
}


def defect(name: str) -> ModuleType:
    module: ModuleType = lookup(DEFECTS, name, "defect")
    return module


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render("coverlay", np.random.default_rng(5), image_hw=(144, 192))


def made(name: str, scene: Scene, seed: int, **options: Any) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    image, mask = defect(name).apply(scene.image, rng, scene.um_per_px, scene.layers, **options)
    return image, mask


@pytest.mark.parametrize("name", DEFECTS)
def test_mask_is_exactly_what_changed(name: str, scene: Scene) -> None:
    before = scene.image.copy()
    for seed in range(6):
        image, gt_mask = made(name, scene, seed)
        assert gt_mask.shape == before.shape[:2] and gt_mask.dtype == np.bool_
        assert image.dtype == np.uint8
        assert np.array_equal((image != before).any(axis=2), gt_mask)
    assert np.array_equal(scene.image, before)  # the image given is left alone


@pytest.mark.parametrize("name", DEFECTS)
def test_change_is_visible_over_the_mask(name: str, scene: Scene) -> None:
    for seed in range(6):
        image, gt_mask = made(name, scene, seed)
        change = np.abs(image.astype(int) - scene.image.astype(int)).max(axis=2)[gt_mask]
        assert np.median(change) >= LEAST_CHANGE
        assert (change >= 2).mean() > 0.85


@pytest.mark.parametrize("name", DEFECTS)
def test_same_seed_gives_same_defect_and_another_seed_another(name: str, scene: Scene) -> None:
    first, again, other = (made(name, scene, seed) for seed in (7, 7, 8))
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("name", CLIPPED)
def test_defect_of_a_layer_stays_inside_it(name: str, scene: Scene) -> None:
    layer = scene.layers["coverlay"]
    for seed in range(6):
        _, gt_mask = made(name, scene, seed, within="coverlay")
        assert not (gt_mask & ~layer).any()


def test_middle_of_a_foreign_particle_lies_in_its_layer(scene: Scene) -> None:
    reach_um = (60.0, 60.0)
    near_pads = ndimage.binary_dilation(scene.layers["pad"], iterations=8)
    for seed in range(6):
        _, gt_mask = made("foreign_particle", scene, seed, within="pad", kind="crumb", crumb_um=reach_um)
        assert not (gt_mask & ~near_pads).any()


@pytest.mark.parametrize("name", SIZED)
def test_size_follows_micrometres_and_scale(name: str, scene: Scene) -> None:
    kind = {"kind": "crumb"} if name == "foreign_particle" else {}
    small_um, large_um = {"open": (40, 120), "pinhole": (60, 180)}.get(name, (150, 450))

    def mean_area(um: float, um_per_px: float) -> float:
        options: dict[str, Any] = {SIZED[name]: (um, um), **kind}
        if name == "open":
            options |= {"max_width_um": 15 * um_per_px}
        if name == "scratch":
            options |= {"width_um": (3 * um_per_px, 3 * um_per_px)}
        apply, areas = defect(name).apply, []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            areas.append(apply(scene.image, rng, um_per_px, scene.layers, **options)[1].sum())
        return float(np.mean(areas))

    assert mean_area(large_um, 10.0) > 1.4 * mean_area(small_um, 10.0)
    # half the size at half the micrometres per pixel: the same pixels
    same = mean_area(large_um, 10.0)
    assert mean_area(large_um / 2, 5.0) == pytest.approx(
        same, rel=0.35 if name == "foreign_particle" else 1e-6
    )


def test_open_cuts_a_trace_in_two() -> None:
    layer = np.zeros((48, 64), dtype=bool)
    layer[18:25, :] = True
    picture = np.where(layer, 60, 160).astype(np.uint8)[..., None].repeat(3, axis=2)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        image, gt_mask = defect("open").apply(picture, rng, 10.0, {"trace": layer}, gap_um=(60, 60))
        left = image.mean(axis=2) < 110
        _, n_pieces = ndimage.label(left)
        assert n_pieces == 2
        gap = np.flatnonzero(~left[18:25].any(axis=0))
        assert 3 <= len(gap) <= 8
        assert gt_mask[18:25, gap].all()


def test_mousebite_leaves_the_trace_connected_and_its_neighbour_whole() -> None:
    layer = np.zeros((48, 64), dtype=bool)
    layer[12:22, :] = layer[26:36, :] = True
    picture = np.where(layer, 60, 160).astype(np.uint8)[..., None].repeat(3, axis=2)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image, gt_mask = defect("mousebite").apply(picture, rng, 10.0, {"trace": layer})
        dark = image.mean(axis=2) < 110
        _, n_pieces = ndimage.label(dark)
        assert n_pieces == 2
        touched = [gt_mask[12:22].any(), gt_mask[26:36].any()]
        assert sum(touched) == 1
        bitten = gt_mask[12:22] if touched[0] else gt_mask[26:36]
        assert 2 <= bitten.sum(axis=0).max() <= 9


def test_gap_shows_what_lies_beside_the_trace() -> None:
    layer = np.zeros((48, 64), dtype=bool)
    layer[18:25, :] = True
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    picture[...] = (190, 120, 40)
    picture[layer] = (90, 50, 20)
    image, gt_mask = defect("open").apply(picture, np.random.default_rng(0), 10.0, {"trace": layer})
    middle = image[gt_mask & layer][:, 0].max()
    assert 180 <= middle <= 200


def test_sixteen_bit_images_get_the_same_defect_as_eight_bit_ones(scene: Scene) -> None:
    deep = scene.image.astype(np.uint16) * 257
    for name in DEFECTS:
        image, gt_mask = made(name, scene, 2)
        apply = defect(name).apply
        image_16, gt_mask_16 = apply(deep, np.random.default_rng(2), scene.um_per_px, scene.layers)
        assert image_16.dtype == np.uint16
        assert np.mean(gt_mask_16 ^ gt_mask) < 0.02
        both = gt_mask & gt_mask_16
        assert np.abs(image_16[both] / 257 - image[both]).max() < 1.1


@pytest.mark.parametrize("name", SIZED)
def test_a_size_out_of_range_is_named(name: str, scene: Scene) -> None:
    with pytest.raises(ValueError, match=rf"{SIZED[name]} must be \(low, high\)"):
        made(name, scene, 0, **{SIZED[name]: (50.0, 10.0)})


@pytest.mark.parametrize("name", DEFECTS)
def test_scale_image_and_layer_are_checked(name: str, scene: Scene) -> None:
    apply, rng = defect(name).apply, np.random.default_rng(0)
    with pytest.raises(ValueError, match="um_per_px must be positive, not 0"):
        apply(scene.image, rng, 0.0, scene.layers)
    with pytest.raises(ValueError, match=r"image must be \(H, W, 3\) uint8 or uint16, not \(144, 192\)"):
        apply(scene.image[..., 0], rng, 10.0, scene.layers)
    with pytest.raises(ValueError, match=r'layers must hold "steel".* Given: adhesive, coverlay'):
        apply(scene.image, rng, 10.0, scene.layers, within="steel")
    with pytest.raises(ValueError, match="is empty on this image"):
        apply(scene.image, rng, 10.0, {"trace": np.zeros((144, 192), dtype=bool)}, within="trace")


@pytest.mark.parametrize("name", ["mousebite", "open"])
def test_defects_of_traces_need_a_layer(name: str, scene: Scene) -> None:
    with pytest.raises(ValueError, match='within must name a layer such as "trace"'):
        made(name, scene, 0, within=None)


def test_an_invisible_defect_is_refused_not_returned(scene: Scene) -> None:
    with pytest.raises(ValueError, match="scratch: no visible defect in 25 tries"):
        made("scratch", scene, 0, width_um=(0.05, 0.05))


def test_particle_kind_is_checked(scene: Scene) -> None:
    with pytest.raises(ValueError, match='kind must be one of fibre, crumb, or None; not "hair"'):
        made("foreign_particle", scene, 0, kind="hair")
