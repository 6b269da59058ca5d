"""Settings of a wrong kind, as they may be typed, are refused before anything runs."""

import pytest

import detectors


@pytest.mark.parametrize(
    ("name", "option", "value", "expected"),
    [
        ("padim", "image_side", "big", "image_side as int, found 'big'"),
        ("padim", "batch_size", 2.5, "batch_size as int, found 2.5"),
        ("padim", "n_channels", True, "n_channels as int, found True"),
        ("padim", "batch_size", None, "batch_size as int, found None"),
        ("padim", "weights", 3, "weights as str, found 3"),
        ("padim", "time_budget_s", "soon", "time_budget_s as float or None, found 'soon'"),
        ("padim", "image_hw", "ab", "image_hw as (height, width) in pixels, found 'ab'"),
        ("padim", "image_hw", [64, "b"], "image_hw as (height, width) in pixels, found [64, 'b']"),
        ("dfr", "standardize", "no", "standardize as bool, found 'no'"),
        ("dfr", "layers", 3, "A setting has a value of another kind"),
        ("tiled:padim", "tile_side", "x", "tile_side as int, found 'x'"),
        ("tiled:padim", "n_channels", "x", "n_channels as int, found 'x'"),
        ("multiscale:padim", "scales", ["a", "b"], "A setting has a value of another kind"),
    ],
)
def test_a_value_of_another_kind_is_refused(name, option, value, expected):
    with pytest.raises(ValueError) as caught:
        detectors.create(name, **{option: value})
    assert expected in str(caught.value)


def test_whole_numbers_pass_for_decimal_ones_and_none_where_it_is_known():
    config = detectors.create("fcdd", learning_rate=1, time_budget_s=None, image_hw=[64, 48]).config
    assert (config.learning_rate, config.time_budget_s, config.image_hw) == (1, None, (64, 48))
