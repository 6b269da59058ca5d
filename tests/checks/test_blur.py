"""Sharpness is judged against the category, picture by picture and camera by camera."""

import cv2
import numpy as np
import pytest

from curate.checks import blur
from tests.helpers.golden import codes
from tests.helpers.pictures import Pictures, blurred, drawn, exposed, measured


@pytest.fixture
def pictures() -> Pictures:
    return measured(drawn(40))


@pytest.mark.parametrize("section", ["acf", "coverlay", "shield", "sus", "trace"])
def test_sharp_pictures_of_every_section_are_in_order(section: str) -> None:
    assert blur.run(measured(drawn(24, section)).evidence()) == []


def test_a_product_that_is_smooth_throughout_is_in_order(pictures: Pictures) -> None:
    pictures.change(range(40), blurred(3))
    assert blur.run(pictures.evidence()) == []


def test_a_picture_out_of_focus_is_found_in_spite_of_its_noise(pictures: Pictures) -> None:
    rng = np.random.default_rng(0)

    def unfocused(image: np.ndarray) -> np.ndarray:
        noisy = blurred(1.5)(image) + rng.normal(0, 1.5, image.shape)
        return noisy.round().clip(0, 255).astype(np.uint8)

    pictures.change([5], unfocused)
    (fault,) = blur.run(pictures.evidence())
    assert codes([fault]) == [("blur", "film/005.png")]
    assert "is blurred (sharpness along the rows 1." in fault.message
    assert fault.message.count("for pictures of category") == 2


def test_motion_is_found_along_its_axis(pictures: Pictures) -> None:
    pictures.change([5], lambda image: cv2.blur(image, (7, 1)))
    (fault,) = blur.run(pictures.evidence())
    assert "sharpness along the rows" in fault.message
    assert "along the columns" not in fault.message


def test_an_empty_or_darker_picture_is_not_blurred(pictures: Pictures) -> None:
    noise = np.random.default_rng(0).normal(90, 2, pictures.pixels[0].shape).round().astype(np.uint8)
    pictures.change([5], lambda image: noise)
    pictures.change([6], exposed(0.5))
    assert blur.run(pictures.evidence()) == []


def test_a_camera_out_of_focus_is_one_fault(pictures: Pictures) -> None:
    pictures.named("camera", [f"C{number % 3}" for number in range(40)])
    off = list(range(1, 40, 3))
    pictures.change(off, blurred(0.9))
    (fault,) = blur.run(pictures.evidence())
    assert fault.message.startswith("The 13 pictures of camera C1 are blurred (sharpness along the")
    assert [fault.relative_path, *fault.related] == pictures.paths(off)


def test_few_pictures_are_not_judged_and_row_order_does_not_matter(pictures: Pictures) -> None:
    pictures.change([2, 7], blurred(2))
    found = blur.run(pictures.evidence())
    assert len(found) == 2
    assert blur.run(pictures.evidence(range(39, -1, -1))) == found
    assert blur.run(pictures.evidence(range(9))) == []
