"""The panels "Side by side" and "Where defects lie" in a real browser."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.store.app import serve
from curate.store.server import Database
from tests.browser.page import Page, opened
from tests.helpers import paired

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "side_by_side"  # the App calls it side-by-side elsewhere
OPEN = "[data-cy=modal]"
PANEL = f"{OPEN} #curate-compare[data-image]"
BOXES = """() => [...document.querySelectorAll('#curate-compare .curate-tile, #curate-compare section')]
  .map((each) => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"""
LAYERS = """() => [...document.querySelectorAll('.curate-content')]
  .map((each) => each.style.width + each.style.left)"""
WATCHERS = """async () => {
  const Plain = window.ResizeObserver;
  let made = 0;
  window.ResizeObserver = class extends Plain { constructor(told) { super(told); made += 1; } };
  await new Promise((done) => setTimeout(done, 1000));
  window.ResizeObserver = Plain;
  return made;
}"""


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    """The page on eight images with two detectors' maps, and a template with its tested image."""
    root: Path = workspace_db.home / "datasets" / NAME
    paired.saved(NAME, root)
    with serve(NAME, view=None) as app, opened(app.url) as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.tiles().nth(3).wait_for()
        yield page


def open_image(page: Page, name: str) -> None:
    """Open an image whose tile or thumbnail is there, and wait until the panel shows it."""
    if not page.page.locator(OPEN).count():
        page.page.keyboard.press("o")
        page.page.locator(OPEN).get_by_text("Side by side").click()
    title = page.page.locator(f"{PANEL} .curate-tile").first
    for _ in range(12):
        title.wait_for()
        page.page.wait_for_function("() => window.curateIdle()")
        if title.get_by_text(name).count():
            return
        page.page.keyboard.press("ArrowRight")
        page.page.wait_for_timeout(400)
    raise AssertionError(f"{name} was not found.")


def painted(page: Page, selector: str) -> np.ndarray:
    """(H, W, 3) int of what an element shows."""
    shot = page.page.locator(selector).screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def tile(page: Page, index: int) -> Any:
    return page.page.locator(f"{PANEL} .curate-tile").nth(index)


def test_maps_of_both_detectors_stand_beside_the_image_with_their_scores(page: Page) -> None:
    open_image(page, "stain-04.png")
    page.page.wait_for_function("() => document.querySelectorAll('.curate-map[data-painted]').length === 2")
    assert tile(page, 1).inner_text().startswith("padim: 0.9")
    assert "at or above the threshold 0.5: anomalous" in tile(page, 1).inner_text()
    assert "higher than all 2 normal calibration images" in tile(page, 1).inner_text()
    assert "other: 9" in tile(page, 2).inner_text()
    assert "no threshold is in force" in tile(page, 2).inner_text()
    page.save("compare-maps.png")
    ramp = painted(page, f"{PANEL} .curate-tile:nth-child(3) .curate-content")
    quarter = ramp.shape[1] // 4
    left, right = ramp[:, :quarter].mean(axis=(0, 1)), ramp[:, -quarter:].mean(axis=(0, 1))
    assert left[0] > left[2] + 60  # red where the map is high, blue where it is low
    assert right[2] > right[0] + 10


def test_nothing_overlaps_and_all_is_inside_of_the_panel(page: Page) -> None:
    boxes = page.page.evaluate(BOXES)
    assert len(boxes) == 5  # the image, two detectors, a normal image, the strip
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= 1280 and 0 <= top < bottom <= 800
        for other_left, other_top, other_right, other_bottom in boxes[index + 1 :]:
            apart = right <= other_left + 1 or other_right <= left + 1
            assert apart or bottom <= other_top + 1 or other_bottom <= top + 1


def test_a_panel_at_rest_is_not_drawn_again_and_again(page: Page) -> None:
    assert page.page.evaluate(WATCHERS) == 0  # drawing it anew made one each time


def test_the_wheel_zooms_all_tiles_to_the_same_place(page: Page) -> None:
    before = page.page.evaluate(LAYERS)
    window = tile(page, 0).locator(".curate-window")
    window.hover(position={"x": 20, "y": 20})
    page.page.mouse.wheel(0, -400)
    page.page.get_by_text("zoom 2.7").wait_for()
    after = page.page.evaluate(LAYERS)
    assert len(set(before)) == len(set(after)) == 1
    assert before[0] != after[0]
    window.dblclick()
    page.page.get_by_text("zoom 1.0").wait_for()
    assert page.page.evaluate(LAYERS) == before


def test_the_ground_truth_is_drawn_and_can_be_taken_away(page: Page) -> None:
    assert page.page.locator(f"{PANEL} .curate-truth path").count() == 3 * 2
    page.page.get_by_label("ground truth").uncheck()
    assert page.page.locator(f"{PANEL} .curate-truth").count() == 0
    page.page.get_by_label("ground truth").check()


def test_the_nearest_normal_images_can_be_put_beside_and_opened(page: Page) -> None:
    near = page.page.locator(f"{PANEL} .curate-near")
    assert [line.split("\n")[0] for line in near.all_inner_texts()] == [
        "distance 1.00", "distance 2.00", "distance 3.00", "distance 4.00",
    ]  # fmt: skip
    assert "good-03.png" in tile(page, 3).inner_text()
    near.nth(1).get_by_text("put beside").click()
    tile(page, 3).get_by_text("good-02.png").wait_for()
    near.nth(2).locator("img").click()
    tile(page, 0).get_by_text("good-01.png").wait_for()


def test_the_template_is_wiped_over_and_subtracted(page: Page) -> None:
    open_image(page, "00_test.png")
    assert "template" in tile(page, 1).inner_text()
    assert page.page.locator(f"{PANEL} .curate-truth rect").count() == 2
    window = f"{PANEL} .curate-tile:nth-child(2) .curate-window"
    page.page.get_by_label("How to compare").select_option("difference")
    page.page.wait_for_timeout(500)
    page.save("compare-difference.png")
    seen = painted(page, window).max(axis=2)
    bright = np.argwhere(seen > 60)
    rows, columns = seen.shape
    centre = bright.mean(axis=0) / (rows, columns)
    fit = min(rows / 48, columns / 64)
    margin = (1 - 48 * fit / rows) / 2
    assert 0.001 < len(bright) / seen.size < 0.05
    assert centre == pytest.approx([margin + (33 / 48) * (1 - 2 * margin), 46 / 64], abs=0.02)
    page.page.get_by_label("How to compare").select_option("wipe")
    page.page.get_by_label("Wipe").fill("100")  # all of the tested image
    page.page.wait_for_timeout(300)
    tested = painted(page, window)
    page.page.get_by_label("Wipe").fill("0")
    page.page.wait_for_timeout(300)
    template = painted(page, window)
    assert np.abs(tested - template).max(axis=2).mean() > 0.3
    page.save("compare-wipe.png")
    page.page.get_by_label("How to compare").select_option("beside")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda route: route.abort(), "✗ the server does not answer"),
        (lambda route: route.fulfill(status=401, body="Log in first."), "✗ you are not logged in any more"),
        (lambda route: route.fulfill(status=403, body="No."), "✗ your token only lets you look"),
    ],
)
def test_a_request_that_fails_is_told_and_the_next_answer_is_shown(
    page: Page, answer: Callable[[Any], None], said: str
) -> None:
    page.page.route("**/operators/execute", answer)
    page.page.get_by_role("button", name="refresh").click()
    page.page.locator(f"{OPEN} #curate-compare").get_by_text(said).wait_for()
    page.page.unroute("**/operators/execute")
    page.page.keyboard.press("ArrowLeft")
    page.page.locator(PANEL).wait_for()
    open_image(page, "00_test.png")


def test_the_density_shows_counts_and_a_cell_brings_its_images_to_the_grid(page: Page) -> None:
    page.page.locator(OPEN).get_by_text("Where defects lie").click()
    panel = page.page.locator(f"{OPEN} #curate-density")
    panel.get_by_text("board: 1 of 1 anomalous images").wait_for()
    panel.get_by_label("Category").select_option("weave")
    panel.get_by_text("weave: 4 of 4 anomalous images").wait_for()
    page.page.wait_for_function(
        "() => document.querySelector('#curate-density-cells')?.dataset.painted === 'truth 4'"
    )
    page.save("density.png")
    picture = page.page.locator("#curate-density-picture")
    box = picture.bounding_box()
    picture.hover(position={"x": 1, "y": 1})
    panel.get_by_text("0 images of 4 in this cell").wait_for()
    page.page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    page.page.mouse.up()
    page.wait_for_count("4 samples")


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
