"""The keys of the triage page in a real browser: what each does, and when none of them may do anything."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.store import dataset, heatmaps, verdicts
from curate.store.app import serve
from curate.store.server import Database
from tests.browser.page import Page, opened
from tests.helpers.stored import painted, sample_id

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "keyed"
OPEN = "[data-cy=modal]"
SHOWN = f"(document.querySelector('{OPEN}')?.innerText.match(/(good|stain)-\\d+/) ?? [])[0]"
WRITING = """(tag) => {
  const made = document.body.appendChild(document.createElement(tag));
  if (tag === 'div') made.contentEditable = 'true';
  made.id = 'writing';
  made.style.cssText = 'position:fixed;left:0;top:0;z-index:99999999;width:90px;height:20px';
  made.focus();
}"""


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    """The page on twelve images, four of them with a stain and a map that shows it."""
    root: Path = workspace_db.home / "datasets" / NAME
    samples, predictions = painted(root, 8, 4)
    dataset.save_samples(NAME, samples, root / "masks")
    heatmaps.save_predictions(NAME, "padim", predictions, root, 0.5)
    with serve(NAME) as app, opened(app.url) as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.tiles().nth(3).wait_for()
        yield page


def press(page: Page, key: str) -> None:
    page.page.keyboard.press(key)


def told(page: Page, text: str) -> None:
    """Wait for a message; each ends in its own words."""
    page.page.locator("#curate-toast").get_by_text(text).wait_for()


def shown(page: Page, but: str | None = None) -> str:
    """Name of the open image, once one is shown that is not `but`."""
    page.page.wait_for_function(f"but => {SHOWN} && {SHOWN} !== but", arg=but)
    page.page.wait_for_function("() => window.curateIdle()")
    return str(page.page.evaluate(SHOWN))


def stored(page: Page, n_verdicts: int) -> list[dict[str, Any]]:
    """The log, once it holds that many verdicts."""
    limit = time.monotonic() + 30
    while len(found := verdicts.read_log(NAME)) < n_verdicts and time.monotonic() < limit:
        page.page.wait_for_timeout(50)
    assert len(found) == n_verdicts
    return found


def n_pixels(page: Page, kind: str) -> int:
    """Number of strongly coloured, or of white, pixels in the open image."""
    page.page.wait_for_timeout(1500)
    clip = {"x": 60, "y": 80, "width": 860, "height": 660}
    picture = np.asarray(Image.open(io.BytesIO(page.page.screenshot(clip=clip))).convert("RGB")).astype(int)
    return int((np.ptp(picture, axis=2) > 75).sum() if kind == "map" else (picture.min(axis=2) > 215).sum())


def test_the_help_card_lists_the_defect_types_and_escape_closes_it(page: Page) -> None:
    press(page, "?")
    card = page.page.locator("#curate-help")
    card.get_by_text("anomalous, stain").wait_for()
    page.save("keys-help.png")
    press(page, "n")  # nothing happens under the card
    press(page, "Escape")
    card.wait_for(state="detached")
    assert verdicts.read_log(NAME) == []


def test_in_the_grid_nothing_ticked_is_said_and_ticked_images_are_decided(page: Page) -> None:
    press(page, "n")
    told(page, "Tick images first")
    page.select(0)
    page.select(1)
    press(page, "u")
    told(page, "unsure, skipped: 2 images")
    assert [row["verdict"] for row in stored(page, 2)] == ["skipped"] * 2
    page.wait_for_count("10 samples")
    press(page, "b")
    told(page, "taken back: 2 images")
    assert [row["verdict"] for row in stored(page, 4)[2:]] == ["undone"] * 2
    page.wait_for_count("12 samples")


def test_each_key_decides_the_open_image_which_moves_on(page: Page) -> None:
    press(page, "o")
    name = shown(page)
    for n_before, (key, verdict, defect_type) in enumerate(
        [("n", "normal", None), ("a", "anomalous", None), ("1", "anomalous", "stain"), ("u", "skipped", None)]
    ):
        press(page, key)
        last = stored(page, 5 + n_before)[-1]
        assert (last["sample_id"], last["verdict"], last["defect_type"]) == (
            sample_id(name), verdict, defect_type,
        )  # fmt: skip
        name = shown(page, but=name)
    page.save("keys-open.png")
    press(page, "9")
    told(page, "No defect type has the key 9")
    assert len(verdicts.read_log(NAME)) == 8


def test_taking_back_shows_that_image_again(page: Page) -> None:
    after = shown(page)
    press(page, "b")
    last = stored(page, 9)[-1]
    back = shown(page, but=after)
    assert (last["sample_id"], last["verdict"]) == (sample_id(back), "undone")


def test_arrows_walk_through_the_view_as_it_was_opened(page: Page) -> None:
    there = shown(page)
    press(page, "ArrowLeft")
    decided = shown(page, but=there)  # it has left the view, not the walk
    page.page.locator(OPEN).get_by_text("stain", exact=True).first.wait_for()  # the sidebar knows the verdict
    press(page, "ArrowRight")
    assert shown(page, but=decided) == there
    assert len(verdicts.read_log(NAME)) == 9


@pytest.mark.parametrize("tag", ["input", "textarea", "select", "div"])
def test_keys_are_dead_while_writing(page: Page, tag: str) -> None:
    name = shown(page)
    page.page.evaluate(WRITING, tag)
    for key in ("n", "1", "u", "b", "?"):
        press(page, key)
    page.page.wait_for_timeout(400)
    page.page.evaluate("document.getElementById('writing').remove()")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (9, name)
    assert page.page.locator("#curate-help").count() == 0


def test_keys_are_dead_with_control_and_when_held_down(page: Page) -> None:
    name = shown(page)
    for key in ("Control+n", "Alt+n", "Meta+n"):
        press(page, key)
    page.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',{key:'n',repeat:true,bubbles:true}))"
    )
    page.page.wait_for_timeout(600)
    assert (len(verdicts.read_log(NAME)), shown(page)) == (9, name)


def test_a_decision_that_cannot_be_stored_is_said_and_the_image_comes_back(page: Page) -> None:
    name = shown(page)
    page.page.route("**/operators/execute", lambda route: route.abort())
    press(page, "n")
    page.page.locator("#curate-toast[role=alert]").get_by_text("Not stored").wait_for()
    page.save("keys-error.png")
    page.page.unroute("**/operators/execute")
    page.page.wait_for_function("() => window.curateIdle()")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (9, name)


def test_map_and_mask_come_and_go(page: Page) -> None:
    while "stain" not in shown(page):
        now = shown(page)
        press(page, "ArrowRight")
        shown(page, but=now)
    with_map = n_pixels(page, "map")
    press(page, "m")
    told(page, "anomaly map off")
    without = n_pixels(page, "map")
    dark = n_pixels(page, "mask")
    press(page, "g")
    told(page, "ground-truth mask on: gt_mask")
    assert with_map > 4 * without
    page.save("keys-mask.png")
    assert n_pixels(page, "mask") > dark + 2000
    press(page, "g")
    press(page, "m")
    told(page, "anomaly map on: padim_map")


def test_the_grid_is_right_when_the_image_is_closed(page: Page) -> None:
    page.page.mouse.click(8, 500)  # beside it
    page.page.locator(OPEN).wait_for(state="detached")
    page.wait_for_count("9 samples")


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
