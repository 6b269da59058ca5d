"""Exposure is judged against the category, picture by picture and lot by lot."""

import numpy as np
import pytest

from curate.checks import exposure
from tests.helpers.golden import codes
from tests.helpers.pictures import Pictures, drawn, exposed, measured


@pytest.fixture
def pictures() -> Pictures:
    return measured(drawn(40))


def test_even_pictures_are_in_order_whatever_their_level(pictures: Pictures) -> None:
    assert exposure.run(pictures.evidence()) == []
    for gain in (0.1, 0.3):
        pictures.change(range(40), exposed(gain))
        assert exposure.run(pictures.evidence()) == []


@pytest.mark.parametrize(("gain", "verdict"), [(0.6, "darker than usual"), (1.4, "brighter than usual")])
def test_a_picture_of_another_exposure_is_named_with_what_is_usual(
    pictures: Pictures, gain: float, verdict: str
) -> None:
    before = pictures.table["brightness_p50"].median()
    pictures.change([7], exposed(gain))
    (fault,) = exposure.run(pictures.evidence())
    assert codes([fault]) == [("exposure", "film/007.png")]
    value = pictures.table["brightness_p50"][7]
    assert f"is {verdict} (median brightness {value:.2f}, for pictures of category" in fault.message
    low, high = (float(word) for word in fault.message.split("usually ")[1].split(")")[0].split(" to "))
    assert low < before < high


def test_clipped_pictures_are_over_and_underexposed(pictures: Pictures) -> None:
    pictures.change([3], lambda image: np.where(image > 150, 255, image).astype(np.uint8))
    pictures.change([4], lambda image: np.where(image < 100, 0, image).astype(np.uint8))
    over, under = exposure.run(pictures.evidence())
    assert "film/003.png is overexposed (share of pixels at the upper end" in over.message
    assert "film/004.png is underexposed (share of pixels at the lower end" in under.message


def test_a_lot_that_is_off_is_one_fault_with_its_pictures(pictures: Pictures) -> None:
    pictures.named("lot", [f"L{number % 4}" for number in range(40)])
    off = list(range(2, 40, 4))
    pictures.change(off, exposed(0.75))
    (fault,) = exposure.run(pictures.evidence())
    assert [fault.relative_path, *fault.related] == pictures.paths(off)
    assert fault.message.startswith("The 10 pictures of lot L2 are darker than usual (median brightness")
    assert "for other lots of category" in fault.message
    assert fault.message.endswith("the first is film/002.png.")


def test_of_two_cameras_the_one_with_fewer_pictures_is_named(pictures: Pictures) -> None:
    cameras = ["right" if number < 12 else "left" for number in range(40)]
    pictures.named("camera", cameras)
    pictures.change(range(12), exposed(1.2))
    (fault,) = exposure.run(pictures.evidence())
    assert "The 12 pictures of camera right are brighter than usual" in fault.message


def test_a_camera_with_many_pictures_is_its_own_measure(pictures: Pictures) -> None:
    pictures.named("camera", ["left", "right"] * 20)
    pictures.change(range(1, 40, 2), exposed(0.5))
    pictures.change([1], exposed(0.5))
    faults = exposure.run(pictures.evidence())
    assert [fault.relative_path for fault in faults] == ["film/000.png", "film/001.png"]
    lot, single = faults
    assert lot.message.startswith("The 20 pictures of camera left are brighter")
    assert "from camera right usually" in single.message


def test_few_pictures_are_not_judged_and_row_order_does_not_matter(pictures: Pictures) -> None:
    pictures.named("lot", ["L1", "L2"] * 20)
    pictures.change([2, 9], exposed(0.4))
    found = exposure.run(pictures.evidence())
    assert len(found) == 2
    assert exposure.run(pictures.evidence(np.random.default_rng(0).permutation(40))) == found
    assert exposure.run(pictures.evidence(range(9))) == []
