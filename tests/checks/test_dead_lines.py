"""Faults of a sensor stay at one line; structures of the scene do not."""

import numpy as np
import pytest

from curate.checks import dead_lines
from tests.helpers.pictures import Pictures, column_off, drawn, measured


@pytest.fixture
def pictures() -> Pictures:
    pictures = measured(drawn(40))
    pictures.named("camera", ["A", "B"] * 20)
    return pictures


@pytest.mark.parametrize("section", ["acf", "coverlay", "shield", "sus", "trace"])
def test_straight_traces_and_bumps_are_no_dead_lines(section: str) -> None:
    assert dead_lines.run(measured(drawn(24, section)).evidence()) == []


def test_a_faint_column_is_found_because_it_stays_in_place(pictures: Pictures) -> None:
    off = list(range(1, 40, 2))
    pictures.change(off, column_off(40, 6))
    (fault,) = dead_lines.run(pictures.evidence())
    assert {fault.relative_path, *fault.related} <= set(pictures.paths(off))
    assert fault.message.startswith(
        f"Column 40 is off in {1 + len(fault.related)} of 20 pictures of camera B"
    )
    assert 1 + len(fault.related) >= 12
    step = float(fault.message.split("by ")[1].split(" ")[0])
    assert step == pytest.approx(6 / 255, abs=0.006)


def test_a_dead_row_is_found(pictures: Pictures) -> None:
    def dead(image: np.ndarray) -> np.ndarray:
        image = image.copy()
        image[30] = 0
        return image

    pictures.change(range(0, 40, 2), dead)
    (fault,) = dead_lines.run(pictures.evidence())
    assert "Row 30 is off in 20 of 20 pictures of camera A" in fault.message


def test_a_line_that_wanders_is_part_of_the_scene(pictures: Pictures) -> None:
    for row in range(40):
        pictures.change([row], column_off(40 + row % 3, 12))
    assert dead_lines.run(pictures.evidence()) == []


def test_pictures_without_a_camera_count_by_category(pictures: Pictures) -> None:
    pictures.named("camera", [None] * 40)
    pictures.change(range(40), column_off(40, 10))
    (fault,) = dead_lines.run(pictures.evidence())
    assert 'pictures of category "film"' in fault.message


def test_one_picture_with_a_dead_column_is_found_where_that_is_rare(pictures: Pictures) -> None:
    pictures.change([6], column_off(40, -255))
    (fault,) = dead_lines.run(pictures.evidence())
    assert fault.relative_path == "film/006.png"
    assert "column 40 (-0." in fault.message
    pictures.change(range(6, 20), column_off(57, -255))
    pictures.change(range(0, 40, 9), column_off(81, -255))
    pictures.named("camera", [f"C{number}" for number in range(40)])
    assert dead_lines.run(pictures.evidence()) == []  # drawings: such lines are common here


def test_few_pictures_are_not_judged_and_row_order_does_not_matter(pictures: Pictures) -> None:
    pictures.change(range(0, 40, 2), column_off(40, 10))
    found = dead_lines.run(pictures.evidence())
    assert len(found) == 1
    assert dead_lines.run(pictures.evidence(range(39, -1, -1))) == found
    assert dead_lines.run(pictures.evidence(range(6))) == []


def test_copies_of_a_picture_count_once(pictures: Pictures) -> None:
    off = range(0, 12, 2)
    for row in off:
        pictures.pixels[row] = pictures.pixels[0]
    pictures.change(off, column_off(40, 10))
    (fault,) = dead_lines.run(pictures.evidence())
    assert "in 6 of 20 pictures of camera A" in fault.message
    names = pictures.samples["pixel_sha256"].tolist()
    pictures.named("pixel_sha256", [names[0] if row in off else name for row, name in enumerate(names)])
    assert dead_lines.run(pictures.evidence()) == []
