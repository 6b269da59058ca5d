"""The evaluation in a real browser: the threshold moves with its counts, and nothing overlaps."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.evaluation import Options
from curate.files import write_text
from curate.steps import evaluate, evaluation_outputs, threshold
from curate.threshold_params import Settings
from tests.browser.page import ARGUMENTS, BROWSERS
from tests.helpers.evaluated import dataset, scored

pytestmark = pytest.mark.browser
SHOWN = ("false", "missed", "review", "at", "from")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    context = scored(dataset(folder))
    threshold.run(context, "keen", "f1_max", Settings())
    costs = Options(n_replicates=20, cost_miss=9, cost_false_alarm=1, defect_rate=0.1)
    found = evaluate.run(context, (), costs)["evaluation"]
    path = folder / "evaluation.html"
    write_text(path, evaluation_outputs.page(context, found, "2031-05-01 08:00 UTC"))
    return path


@pytest.fixture
def page(target: Path) -> Iterator[Any]:
    """The open page; `page.heard` lists requests elsewhere and everything that the console said."""
    yield from opened(target, True)


@pytest.fixture
def still(target: Path) -> Iterator[Any]:
    """The same without scripts."""
    yield from opened(target, False)


def opened(target: Path, scripts: bool) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(found for found in map(shutil.which, BROWSERS) if found)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, java_script_enabled=scripts)
        heard: list[str] = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.append(asked.url) if not own(asked.url, target) else None)
        page.goto(target.as_uri())
        page.heard = heard
        yield page
        assert heard == []
        browser.close()


def own(url: str, target: Path) -> bool:
    return url == target.as_uri() or url.startswith("data:image/jpeg")


def shown(mover: Any) -> dict[str, str]:
    return {name: mover.locator(f"[data-n={name}]").inner_text() for name in SHOWN}


def expected(data: dict[str, Any], cut: int, review: int) -> dict[str, str]:
    """What the counts must be, again from the steps."""
    caught = [data["normal"][at] + data["anomalous"][at] for at in (review, cut)]
    return {
        "false": str(data["normal"][cut]),
        "missed": str(data["n_anomalous"] - data["anomalous"][review]),
        "review": str(caught[0] - caught[1]),
        "at": data["label"][cut],
        "from": data["label"][review] if review < cut else "none",
    }


def slide(mover: Any, kind: str, value: int) -> None:
    mover.locator(f"input.{kind}").evaluate(
        "(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value
    )


def test_counts_follow_the_sliders_and_come_back(page: Any) -> None:
    mover = page.locator(".mover").first
    data = json.loads(mover.get_attribute("data-steps"))
    start, last = data["in_force"], len(data["threshold"]) - 1
    assert shown(mover) == expected(data, start, start)
    for cut in (0, last, last // 2, last // 3):
        slide(mover, "cut", cut)
        assert shown(mover) == expected(data, cut, cut)  # without a band, one moves the other
    slide(mover, "cut", last - 2)
    slide(mover, "review", 3)
    assert shown(mover) == expected(data, last - 2, 3)
    slide(mover, "review", last)
    assert shown(mover) == expected(data, last - 2, last - 2)  # a band never begins above its end
    mover.get_by_role("button").click()
    assert shown(mover) == expected(data, start, start)


def test_the_line_lies_at_the_threshold(page: Any) -> None:
    mover = page.locator(".mover").first
    data = json.loads(mover.get_attribute("data-steps"))
    for cut in (2, len(data["threshold"]) // 2):
        slide(mover, "cut", cut)
        left, width, low, high = mover.locator("svg").evaluate(
            "s => [s.dataset.left, s.dataset.width, s.dataset.low, s.dataset.high].map(Number)"
        )
        path = mover.locator("[data-mark=cut] path").get_attribute("d")
        share = (data["threshold"][cut] - low) / (high - low)
        assert float(path[1:].split()[0]) == pytest.approx(left + width * share, abs=0.06)
    assert mover.locator("[data-mark=review]").get_attribute("visibility") == "hidden"
    slide(mover, "review", 0)
    assert mover.locator("[data-mark=review]").get_attribute("visibility") == "visible"


def test_sliders_move_by_keyboard(page: Any) -> None:
    mover = page.locator(".mover").first
    data = json.loads(mover.get_attribute("data-steps"))
    mover.locator("input.cut").focus()
    page.keyboard.press("ArrowLeft")
    assert shown(mover) == expected(data, data["in_force"] - 1, data["in_force"] - 1)


def test_without_a_script_the_numbers_are_there(still: Any) -> None:
    mover = still.locator(".mover").first
    data = json.loads(mover.get_attribute("data-steps"))
    assert shown(mover) == expected(data, data["in_force"], data["in_force"])
    assert not mover.locator(".sliders").is_visible()
    mover.locator("summary").click()
    assert mover.get_by_role("rowheader", name="in force").is_visible()


def test_pictures_are_painted(page: Any) -> None:
    sizes = page.evaluate("Array.from(document.images, i => [i.complete, i.naturalWidth > 0])")
    assert len(sizes) > 3 and all(size == [True, True] for size in sizes)


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_is_wider_than_the_screen_and_no_text_overlaps(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    overlaps = page.evaluate(
        """Array.from(document.querySelectorAll('svg')).flatMap(svg => {
          const texts = Array.from(svg.querySelectorAll('text'))
            .filter(t => t.closest('[visibility=hidden]') === null)
            .map(t => [t.textContent, t.getBoundingClientRect()]).filter(pair => pair[1].width > 0);
          return texts.flatMap(([a, p], i) => texts.slice(i + 1).filter(([b, q]) =>
            p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3)
            .map(([b, q]) => a + ' | ' + b));
        })"""
    )
    assert overlaps == []


def test_on_paper_the_sliders_go_and_all_is_open(page: Any) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".sliders").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not(.small):not([open])").count() == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not(.small):not([open])").count() > 0
