"""The report of the checks in a real browser: pictures, filter, keyboard, no request."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.check_report import Report, render
from curate.gate import Limit
from curate.tables import to_rows
from tests.browser.page import ARGUMENTS, BROWSERS
from tests.helpers.tables import row, table
from tests.helpers.tiny import anomalous_image

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=document.title='taken'>.png"


def finding(path: str, check: str, severity: str, *related: str) -> dict[str, Any]:
    return {
        "check": check, "code": check, "severity": severity, "relative_path": path,
        "message": f"{path} is odd.", "remedy": "Look at it.", "related": list(related),
    }  # fmt: skip


def written(folder: Path) -> Path:
    """A report on ten images, thirty findings, one of them with a hostile name."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(10):
        image, mask = anomalous_image(rng)
        path = folder / f"{number}.png"
        Image.fromarray(image).save(path)
        rows.append(row(f"line/{number}.png", "anomalous", filepath=str(path)))
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{rows[-1]['sample_id']}.png")
    found = [finding(f"line/{number}.png", "specks", "warning") for number in range(10)]
    found += [finding(f"gone/{number}.png", "border_regions", "note") for number in range(18)]
    found += [
        finding("line/1.png", "exact_duplicates", "error", "line/2.png"),
        finding(HOSTILE, "layout", "error"),
    ]
    report = Report(
        dataset="toy",
        date="2031-05-01 08:00 UTC",
        version="1.2",
        n_images=10,
        findings=found,
        ran=("specks", "border_regions", "exact_duplicates", "layout"),
        not_run={"split_duplicates": "there is no split yet"},
        gate=[Limit("errors", 0, False, 2)],
    )
    target = folder / "report.html"
    target.write_text(render(report, to_rows(table(rows)), folder), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The open report; `page.heard` lists requests elsewhere and everything that the console said."""
    from playwright.sync_api import sync_playwright

    program = next(found for found in map(shutil.which, BROWSERS) if found)
    target = written(tmp_path_factory.mktemp("report"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        heard: list[str] = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.append(asked.url) if not _own(asked.url, target) else None)
        page.goto(target.as_uri())
        page.heard = heard
        yield page
        browser.close()


def _own(url: str, target: Path) -> bool:
    return url == target.as_uri() or url.startswith("data:image/jpeg")


def visible(page: Any) -> int:
    return int(page.locator("[data-finding]:visible").count())


def test_pictures_are_painted_and_errors_lie_open(page: Any) -> None:
    assert page.title() == "toy: checks"
    sizes = page.evaluate("Array.from(document.images, i => [i.complete, i.naturalWidth, i.naturalHeight])")
    assert sizes == [[True, 192, 144]] * 12
    opened = page.evaluate("Array.from(document.querySelectorAll('details[open]'), d => d.id)")
    assert opened == ["check-layout", "check-exact_duplicates"]


def test_the_filter_shows_what_holds_all_words_and_escape_ends_it(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("line/1 odd")
    assert visible(page) == 2
    assert page.locator("#shown").inner_text() == "2 of 30 shown"
    page.keyboard.press("Escape")
    assert page.locator("#shown").inner_text() == "30 listed"
    page.fill("#filter", "border_regions 17")
    assert visible(page) == 1
    page.fill("#filter", "")


def test_sections_open_and_close_by_keyboard_and_all_at_once(page: Any) -> None:
    page.get_by_role("button", name="Close all").click()
    assert visible(page) == 0
    page.locator("#check-specks summary").focus()
    page.keyboard.press("Enter")
    assert visible(page) == 10
    page.get_by_role("button", name="Open all").click()
    assert visible(page) == 30


def test_a_link_in_the_summary_opens_its_section(page: Any) -> None:
    page.get_by_role("button", name="Close all").click()
    page.get_by_role("link", name="border_regions").click()
    assert visible(page) == 18


def test_the_page_is_readable_in_the_dark_and_on_paper(page: Any) -> None:
    def brightness() -> tuple[float, float]:
        colours = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
        return tuple(sum(map(int, colour[4:-1].split(","))) / 3 for colour in colours)  # type: ignore[return-value]

    page.emulate_media(color_scheme="dark")
    paper, ink = brightness()
    assert paper < 60 and ink > 200
    page.emulate_media(media="print", color_scheme="dark")
    paper, ink = brightness()
    assert paper == 255 and ink == 0
    assert not page.locator(".tools").is_visible()
    page.emulate_media(media="screen", color_scheme="light")


def test_nothing_on_a_narrow_screen_is_wider_than_it(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.get_by_role("button", name="Open all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})


def test_printing_opens_every_section(page: Any) -> None:
    page.get_by_role("button", name="Close all").click()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert visible(page) == 30
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert visible(page) == 0


def test_no_request_was_made_and_no_name_was_run(page: Any) -> None:
    assert page.heard == []
    assert page.title() == "toy: checks"
    assert HOSTILE in page.locator("#check-layout").text_content()
