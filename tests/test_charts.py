"""Charts are text that is always the same, stays in its frame, and cannot become part of the page."""

import re
from xml.etree import ElementTree

import pytest

from curate.chart_parts import Frame, ticks
from curate.charts import Dot, Line, Mark, dots, histogram, lines

HOSTILE = '</svg><script>alert(1)</script>"\u202e'
SVG = "{http://www.w3.org/2000/svg}"


def parsed(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def bars(chart: str) -> list[tuple[float, float, float]]:
    """x, width and height of each bar."""
    found = parsed(chart).iter(f"{SVG}rect")
    return [tuple(float(bar.attrib[key]) for key in ("x", "width", "height")) for bar in found]  # type: ignore[misc]


def test_heights_of_a_histogram_are_proportional_to_counts() -> None:
    chart = histogram([0, 1, 2, 3], [4, 2, 0], [0, 0, 5], [Mark(1.5, "here")], "scores")
    found = bars(chart)
    assert len(found) == 3
    assert found[0][2] == pytest.approx(2 * found[1][2])
    assert found[2][2] == pytest.approx(found[0][2])  # each label has its own scale
    assert found[2][0] > found[1][0] > found[0][0]
    assert "normal, 6 images" in chart and "anomalous, 5 images" in chart


def test_a_mark_lies_where_its_value_is() -> None:
    chart = histogram([0, 10], [1], [1], [Mark(2.5, "cut", kind="cut")], "scores")
    svg = parsed(chart)
    left, width = float(svg.attrib["data-left"]), float(svg.attrib["data-width"])
    (group,) = (each for each in svg.iter(f"{SVG}g") if each.attrib.get("data-mark") == "cut")
    path = group.find(f"{SVG}path")
    assert path is not None
    x = float(re.match(r"M([\d.]+)", path.attrib["d"])[1])  # type: ignore[index]
    assert x == pytest.approx(left + width / 4, abs=0.05)


def test_a_band_goes_there_and_back_around_its_line() -> None:
    chart = lines([Line("a", [0, 1], [0.2, 0.6], [0.1, 0.5], [0.3, 0.7])], "t", "x", "y")
    (band,) = parsed(chart).iter(f"{SVG}polygon")
    (line,) = parsed(chart).iter(f"{SVG}polyline")
    corners = [tuple(map(float, pair.split(","))) for pair in band.attrib["points"].split()]
    middle = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len(corners) == 4
    assert corners[0][1] < middle[0][1] < corners[3][1]
    assert corners[0][0] == corners[3][0] == middle[0][0]


def test_dots_tell_their_numbers_and_leave_out_what_is_not_known() -> None:
    chart = dots([Dot("a", 0.5, 0.25, 0.75, "1 of 2"), Dot("b", None)], "t", "share")
    svg = parsed(chart)
    assert len(list(svg.iter(f"{SVG}circle"))) == 1
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert "0.500" in texts and "not known" in texts and "1 of 2" in texts


def test_an_axis_of_dots_begins_below_the_lowest_end_or_at_0() -> None:
    rows = [Dot("a", 0.9, 0.83, 0.97)]
    assert parsed(dots(rows, "t", "x", whole=False)).attrib["data-low"] == "0.8"
    assert parsed(dots(rows, "t", "x")).attrib["data-low"] == "0.0"


def test_values_outside_of_the_range_stay_at_the_edge() -> None:
    frame = Frame((0, 1), (0, 1), 10, 20, 100, 50)
    assert (frame.x(-5), frame.x(7)) == (10, 110)
    assert (frame.y(-5), frame.y(7)) == (70, 20)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (213.2, 548.9), (-3, 4), (1e-6, 3e-6), (0, 123456)])
def test_ticks_are_within_the_range_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * abs(high) <= tick <= high * (1 + 1e-9) for tick in found)


def test_names_are_escaped_and_spelt_out() -> None:
    charts = (
        dots([Dot(HOSTILE, 0.5)], HOSTILE, HOSTILE),
        lines([Line(HOSTILE, [0, 1], [0, 1])], HOSTILE, HOSTILE, HOSTILE),
        histogram([0, 1], [1], [1], [Mark(0.5, HOSTILE, kind=HOSTILE)], HOSTILE),
    )
    for chart in charts:
        assert "<script" not in chart and "\u202e" not in chart
        assert chart.count("<svg") == chart.count("</svg>") == 1
        parsed(chart)


def test_a_chart_has_a_title_and_no_style() -> None:
    chart = dots([Dot("a", 0.5)], "Found by kind", "share")
    title = parsed(chart).find(f"{SVG}title")
    assert title is not None and title.text == "Found by kind"
    assert "style=" not in chart  # a page may forbid styles
    assert chart == dots([Dot("a", 0.5)], "Found by kind", "share")
