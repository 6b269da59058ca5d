"""Normal scenes: same seed, same bytes; layers that fit; parts that differ little."""

import numpy as np
import pytest

from curate.registry import lookup
from curate.scenes import SCENES
from curate.scenes.scene import Scene, render

HW = (96, 128)


def part(section: str, seed: int = 0, **options: object) -> Scene:
    return render(section, np.random.default_rng(seed), image_hw=HW, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("section", SCENES)
def test_same_seed_gives_same_bytes_and_another_seed_another_image(section: str) -> None:
    first, again, other = part(section, 3), part(section, 3), part(section, 4)
    assert first.image.tobytes() == again.image.tobytes()
    assert all(np.array_equal(first.layers[name], again.layers[name]) for name in first.layers)
    assert first.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("section", SCENES)
def test_scene_states_its_scale_and_gives_bool_layers_of_the_image_size(section: str) -> None:
    scene = render(section, np.random.default_rng(0), image_hw=(48, 64))
    assert scene.image.shape == (48, 64, 3) and scene.image.dtype == np.uint8
    assert scene.section == section
    assert scene.um_per_px == lookup(SCENES, section, "scene").UM_PER_PX
    assert all(layer.shape == (48, 64) and layer.dtype == np.bool_ for layer in scene.layers.values())


@pytest.mark.parametrize("section", SCENES)
def test_every_layer_is_somewhere_and_none_is_everywhere(section: str) -> None:
    scene = render(section, np.random.default_rng(0))
    for name, layer in scene.layers.items():
        assert 0 < layer.mean() < 1, name


@pytest.mark.parametrize("section", SCENES)
def test_parts_of_a_product_lie_within_a_few_pixels_of_each_other(section: str) -> None:
    largest = {"acf": "bump", "coverlay": "pad", "shield": "shield", "sus": "sus", "trace": "pad"}[section]
    layers = [render(section, np.random.default_rng(seed)).layers[largest] for seed in range(4)]
    for layer in layers[1:]:
        moved = np.count_nonzero(layer ^ layers[0]) / np.count_nonzero(layers[0])
        assert 0 < moved < 0.25


def test_parts_are_shifted_by_up_to_a_few_pixels() -> None:
    pads = [
        render("coverlay", np.random.default_rng(seed)).layers["pad"][40:80, 60:250] for seed in range(12)
    ]
    rows = [float(np.nonzero(pad)[0].mean()) for pad in pads]
    assert 0.4 < np.std(rows) < 2
    assert np.ptp(rows) < 5


@pytest.mark.parametrize("section", SCENES)
def test_brightness_drifts_little_from_part_to_part(section: str) -> None:
    means = [render(section, np.random.default_rng(seed)).image.mean() for seed in range(6)]
    assert 0 < np.std(means) / np.mean(means) < 0.05


@pytest.mark.parametrize("section", SCENES)
def test_another_design_moves_what_parts_of_one_product_keep(section: str) -> None:
    def mean_of(design_seed: int) -> np.ndarray:
        seeds = range(3)
        return np.mean([part(section, seed, design_seed=design_seed).image for seed in seeds], axis=0)

    assert np.abs(mean_of(1) - mean_of(2)).mean() > 2


def test_gold_pads_show_only_through_openings_of_the_coverlay() -> None:
    layers = render("coverlay", np.random.default_rng(1)).layers
    assert layers["pad"].any()
    assert not (layers["pad"] & ~layers["opening"]).any()
    assert not (layers["opening"] & layers["coverlay"]).any()
    assert (layers["opening"] | layers["coverlay"]).mean() > 0.999


def test_gold_is_brighter_than_film_and_copper_under_coverlay_darker() -> None:
    scene = render("coverlay", np.random.default_rng(1))
    grey, layers = scene.image.mean(axis=2), scene.layers
    film = layers["coverlay"] & ~layers["trace"]
    assert grey[layers["pad"]].mean() > grey[film].mean() + 40
    assert grey[layers["trace"] & layers["coverlay"]].mean() < grey[film].mean() - 15


def test_shield_film_is_near_black_and_steel_is_grey() -> None:
    shield = render("shield", np.random.default_rng(1))
    assert shield.image[shield.layers["shield"]].mean() < 50
    steel = render("sus", np.random.default_rng(1))
    red, _, blue = steel.image[steel.layers["sus"]].mean(axis=0)
    assert abs(red - blue) < 15 and 100 < red < 200


def test_brushed_steel_is_smoother_along_the_rows_than_across() -> None:
    scene = render("sus", np.random.default_rng(2))
    plate = scene.image[60:180, 80:200].astype(float).mean(axis=2)
    assert np.abs(np.diff(plate, axis=0)).mean() > 1.5 * np.abs(np.diff(plate, axis=1)).mean()


def test_traces_keep_their_width_in_micrometres_at_any_scale() -> None:
    from curate.scenes.shield import TRACE_WIDTH_UM

    for um_per_px in (5.0, 10.0, 20.0):
        scene = render("shield", np.random.default_rng(0), (128, 320), um_per_px=um_per_px)
        row = scene.layers["trace"][-4]  # below the film: plain vertical traces
        starts = np.flatnonzero(np.diff(row.astype(int)) == 1)
        ends = np.flatnonzero(np.diff(row.astype(int)) == -1)
        widths = [end - start for start in starts for end in ends[ends > start][:1]]
        assert abs(np.mean(widths) * um_per_px - TRACE_WIDTH_UM) < 0.6 * um_per_px


def test_a_finer_scale_shows_a_smaller_field() -> None:
    fine = render("acf", np.random.default_rng(0), um_per_px=0.5).layers["bump"]
    coarse = render("acf", np.random.default_rng(0), um_per_px=2.0).layers["bump"]
    edges = [np.count_nonzero(np.diff(layer[200].astype(int))) for layer in (fine, coarse)]
    assert edges[1] > 2.5 * edges[0]


def test_captured_particles_have_a_bright_and_a_dark_half() -> None:
    scene = render("acf", np.random.default_rng(0))
    grey, bump = scene.image.mean(axis=2), scene.layers["bump"]
    particles = scene.layers["particle"] & bump
    plain = bump & ~scene.layers["particle"]
    assert particles.any()
    assert np.percentile(grey[particles], 90) > np.percentile(grey[plain], 90) + 8
    assert np.percentile(grey[particles], 10) < np.percentile(grey[plain], 10) - 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_hw": (20, 64)}, "image_hw must be two sides of 32 to 4096 px"),
        ({"um_per_px": 500.0}, 'um_per_px must be 3.0 to 25.0 for the section "coverlay", not 500'),
        ({"design_seed": -1}, "design_seed must not be negative, not -1"),
    ],
)
def test_an_argument_out_of_range_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render("coverlay", np.random.default_rng(0), **options)  # type: ignore[arg-type]


def test_an_unknown_section_lists_the_near_names() -> None:
    with pytest.raises(ValueError, match=r'Unknown scene "coverly"\. Did you mean "coverlay"'):
        render("coverly", np.random.default_rng(0))
