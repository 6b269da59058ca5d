"""The keys of the triage page in a real browser: what each does, and when none of them may do anything."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import drawn_masks
from curate.images import read_image
from curate.proposal_table import rows_of
from curate.propose import How, propose
from curate.store import dataset, heatmaps, proposals, verdicts
from curate.store.app import serve
from curate.store.documents import object_id
from curate.store.server import Database
from curate.tables import to_rows
from tests.browser.page import Page, opened
from tests.helpers.stored import painted, sample_id

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "keyed"
OPEN = "[data-cy=modal]"
SHOWN = f"(document.querySelector('{OPEN}')?.innerText.match(/(good|stain)-\\d+/) ?? [])[0]"
DECISIONS = [
    ("y", "anomalous", None), ("Shift+1", "anomalous", "stain"), ("d", "mask_rejected", None),
    ("1", "anomalous", "stain"), ("n", "normal", None), ("a", "anomalous", None), ("u", "unsure", None),
    ("k", "skipped", None),
]  # fmt: skip
N_DECIDED = 4 + len(DECISIONS)  # with those in the grid
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
WRITING = """(tag) => {
  const made = document.body.appendChild(document.createElement(tag));
  if (tag === 'div') made.contentEditable = 'true';
  made.id = 'writing';
  made.style.cssText = 'position:fixed;left:0;top:0;z-index:99999999;width:90px;height:20px';
  made.focus();
}"""


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    """The page on twenty images, eight of them with a stain, a map that shows it and a proposed mask."""
    root: Path = workspace_db.home / "datasets" / NAME
    samples, predictions = painted(root, 12, 8)
    dataset.save_samples(NAME, samples, root / "masks")
    heatmaps.save_predictions(NAME, "padim", predictions, root, 0.5)
    proposals.save_proposals(NAME, "padim", proposed(root, samples))
    with serve(NAME) as app, opened(app.url) as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.tiles().nth(3).wait_for()
        page.page.wait_for_function("() => window.curateIdle?.()")
        yield page


def proposed(root: Path, samples: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of proposals: what the maps show of the stains."""
    rows = []
    for sample in to_rows(samples):
        heat = np.asarray(Image.open(root / "display" / f"{sample['part_id']}.png"), dtype=np.float32)
        found = propose(read_image(Path(sample["filepath"])), heat, 200.0, How("plain"))
        facts = {"sample_id": sample["sample_id"], "detector": "padim", "threshold": 200.0, "um_per_px": None}
        rows += rows_of(found, facts, [])
    return rows


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


def picture(page: Page) -> np.ndarray:
    """(H, W, 3) int of the open image, once it had time to be painted."""
    page.page.wait_for_timeout(1500)
    clip = {"x": 60, "y": 80, "width": 860, "height": 660}
    return np.asarray(Image.open(io.BytesIO(page.page.screenshot(clip=clip))).convert("RGB")).astype(int)


def n_pixels(page: Page, kind: str) -> int:
    """Number of strongly coloured, or of white, pixels in the open image."""
    seen = picture(page)
    return int((np.ptp(seen, axis=2) > 75).sum() if kind == "map" else (seen.min(axis=2) > 215).sum())


def test_the_help_card_lists_the_defect_types_and_escape_closes_it(page: Page) -> None:
    press(page, "?")
    card = page.page.locator("#curate-help")
    card.get_by_text("anomalous, stain").wait_for()
    box = card.bounding_box()
    assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800 and box["width"] <= 1280
    assert card.evaluate("card => card.scrollHeight <= card.clientHeight")
    widest = card.locator("dt").filter(has_text="Shift 1")
    widest.evaluate("key => (key.textContent = 'Shift 1 … 9')")  # as it is with nine types
    assert widest.evaluate("key => key.scrollWidth <= key.clientWidth")
    press(page, "n")  # nothing happens under the card
    press(page, "Escape")
    card.wait_for(state="detached")
    assert verdicts.read_log(NAME) == []


@pytest.mark.parametrize("place", [(5, 5), (500, 300)])
def test_escape_closes_the_open_image_wherever_the_mouse_is(page: Page, place: tuple[int, int]) -> None:
    press(page, "o")
    modal = page.page.locator("[data-cy=modal]")
    modal.wait_for()
    page.page.mouse.move(*place)
    page.page.wait_for_timeout(300)
    press(page, "Escape")
    modal.wait_for(state="detached", timeout=5000)


def test_in_the_grid_nothing_ticked_is_said_and_ticked_images_are_decided(page: Page) -> None:
    press(page, "n")
    told(page, "Tick images first")
    page.select(0)
    page.select(1)
    press(page, "k")
    told(page, "skipped: 2 images")
    given = stored(page, 2)
    assert [(row["verdict"], row["shown"]["place"], row["seconds"]) for row in given] == [
        ("skipped", "grid", None)
    ] * 2
    page.wait_for_count("18 samples")
    press(page, "b")
    told(page, "taken back: 2 images")
    taken_back = [(row["verdict"], row["shown"]["place"]) for row in stored(page, 4)[2:]]
    assert taken_back == [("undone", "grid")] * 2
    page.wait_for_count("20 samples")


def test_each_key_decides_the_open_image_which_moves_on(page: Page) -> None:
    press(page, "o")
    name = shown(page)
    page.save("keys-open.png")
    for n_before, (key, verdict, defect_type) in enumerate(DECISIONS):
        assert name.startswith("stain" if n_before < 4 else "good")
        press(page, key)
        last = stored(page, 5 + n_before)[-1]
        assert (last["sample_id"], last["verdict"], last["defect_type"]) == (
            sample_id(name), verdict, defect_type,
        )  # fmt: skip
        has_mask = key in ("y", "Shift+1")
        assert (last["mask"] is not None) is has_mask
        assert (last["shown"]["place"], last["shown"]["detector"]) == ("image", "padim")
        assert 0 < last["seconds"] < 60
        name = shown(page, but=name)
    press(page, "9")
    told(page, "No defect type has the key 9")
    assert len(verdicts.read_log(NAME)) == N_DECIDED


def test_the_accepted_mask_is_the_one_that_was_proposed(page: Page, workspace_db: Database) -> None:
    root = workspace_db.home / "datasets" / NAME
    accepted = [row for row in verdicts.read_log(NAME) if row["mask"]]
    for row in accepted:
        mask = drawn_masks.read(root / "drawn_masks", row["sample_id"], row["mask"])
        truth = np.asarray(Image.open(root / "masks" / f"{row['sample_id']}.png")) > 0
        assert np.array_equal(mask, truth)
    assert len(accepted) == 2


@pytest.mark.parametrize("key", ["y", "d", "Shift+1"])
def test_without_a_proposed_mask_nothing_is_decided(page: Page, key: str) -> None:
    name = shown(page)
    assert name.startswith("good")
    press(page, key)
    told(page, "No mask is proposed for this image.")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED, name)


def test_time_in_which_the_tab_was_hidden_does_not_count(page: Page) -> None:
    document = str(object_id(sample_id(shown(page)), "sample"))

    def seconds() -> float:
        asked = "id => import('/plugins/triage/watch.js').then((watch) => watch.seconds(id))"
        return float(page.page.evaluate(asked, document))

    page.page.evaluate(HIDE, True)
    at_first = seconds()
    page.page.wait_for_timeout(1200)
    assert seconds() == at_first > 0
    page.page.evaluate(HIDE, False)
    page.page.wait_for_timeout(500)
    assert at_first + 0.4 < seconds()


def test_taking_back_shows_that_image_again(page: Page) -> None:
    after = shown(page)
    press(page, "b")
    last = stored(page, N_DECIDED + 1)[-1]
    back = shown(page, but=after)
    assert (last["sample_id"], last["verdict"]) == (sample_id(back), "undone")
    assert last["shown"]["place"] == "image"


def test_arrows_walk_through_the_view_as_it_was_opened(page: Page) -> None:
    there = shown(page)
    press(page, "ArrowLeft")
    decided = shown(page, but=there)  # it has left the view, not the walk
    page.page.locator(OPEN).get_by_text(
        "unsure", exact=True
    ).first.wait_for()  # the sidebar knows the verdict
    press(page, "ArrowRight")
    assert shown(page, but=decided) == there
    assert len(verdicts.read_log(NAME)) == N_DECIDED + 1


@pytest.mark.parametrize("tag", ["input", "textarea", "select", "div"])
def test_keys_are_dead_while_writing(page: Page, tag: str) -> None:
    name = shown(page)
    page.page.evaluate(WRITING, tag)
    for key in ("n", "1", "u", "b", "?"):
        press(page, key)
    page.page.wait_for_timeout(400)
    page.page.evaluate("document.getElementById('writing').remove()")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED + 1, name)
    assert page.page.locator("#curate-help").count() == 0


def test_keys_are_dead_in_annotate_which_has_keys_of_its_own(page: Page) -> None:
    name = shown(page)
    modal = page.page.locator("[data-cy=modal]")
    modal.get_by_text("Annotate", exact=True).click()
    tools = modal.get_by_text("PRIMITIVES")
    tools.wait_for()
    for key in ("y", "b", "n", "1"):
        press(page, key)
        page.page.wait_for_timeout(300)
    modal.get_by_text("Explore", exact=True).click()
    tools.wait_for(state="detached")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED + 1, name)


def test_keys_are_dead_with_control_and_when_held_down(page: Page) -> None:
    name = shown(page)
    for key in ("Control+n", "Alt+n", "Meta+n"):
        press(page, key)
    page.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',{key:'n',repeat:true,bubbles:true}))"
    )
    page.page.wait_for_timeout(600)
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED + 1, name)


def test_a_decision_that_cannot_be_stored_is_said_and_the_image_comes_back(page: Page) -> None:
    name = shown(page)
    page.page.route("**/operators/execute", lambda route: route.abort())
    press(page, "n")
    page.page.locator("#curate-toast[role=alert]").get_by_text("Not stored").wait_for()
    page.save("keys-error.png")
    page.page.unroute("**/operators/execute")
    page.page.wait_for_function("() => window.curateIdle()")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED + 1, name)


def walk_to(page: Page, kind: str) -> str:
    """Go on until an image of this kind is open."""
    while not (name := shown(page)).startswith(kind):
        press(page, "ArrowRight")
        shown(page, but=name)
    return name


def test_the_next_image_was_asked_for_before_its_key(page: Page) -> None:
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(f"{request.url} {request.post_data or ''}"))
    name = shown(page)
    page.page.wait_for_timeout(2500)  # as long as somebody looks
    asked.clear()
    press(page, "ArrowRight")
    after = shown(page, but=name)
    document = str(object_id(sample_id(after), "sample"))
    assert [one for one in asked if "setSampleMutation" in one and document in one]  # requests are seen
    assert not [one for one in asked if "mainSampleQuery" in one and document in one]


def test_map_and_masks_come_and_go(page: Page) -> None:
    walk_to(page, "stain")
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
    told(page, "ground-truth mask off")
    plain = picture(page)
    press(page, "v")
    told(page, "proposed mask on: padim_proposals")
    with_mask = picture(page)
    assert (np.abs(with_mask - plain).max(axis=2) > 20).sum() > 2000
    page.save("keys-proposal.png")
    press(page, "v")
    told(page, "proposed mask off")
    assert np.array_equal(picture(page), plain)
    press(page, "m")
    told(page, "anomaly map on: padim_map")


def test_opacity_goes_down_and_up_in_the_steps_that_are_said(page: Page) -> None:
    strong = n_pixels(page, "map")
    for value in ("0.4", "0.3", "0.2", "0.1", "0.0"):
        press(page, "q")
        told(page, f"opacity of maps and masks: {value}")
    press(page, "q")
    told(page, "opacity of maps and masks: 0.0")
    assert n_pixels(page, "map") < strong / 4
    for value in ("0.1", "0.2", "0.3", "0.4", "0.5"):
        press(page, "w")
        told(page, f"opacity of maps and masks: {value}")
    assert n_pixels(page, "map") == pytest.approx(strong, rel=0.05)


def test_the_strongest_region_is_shown_closely_and_then_the_whole_image(page: Page) -> None:
    walk_to(page, "stain")
    press(page, "m")
    told(page, "anomaly map off")
    whole = picture(page)
    press(page, "e")
    told(page, "the strongest region")
    closely = picture(page)
    page.save("keys-zoom.png")
    height, width = closely.shape[:2]
    middle = closely[height // 2 - 40 : height // 2 + 40, width // 2 - 40 : width // 2 + 40]
    assert middle[:, :, 0].min() > 180  # the stain is brighter than all else
    assert (closely[:, :, 0] > 215).sum() > 4 * (whole[:, :, 0] > 215).sum()
    press(page, "e")
    told(page, "the whole image")
    assert np.array_equal(picture(page), whole)
    press(page, "m")
    told(page, "anomaly map on")


def test_the_grid_is_right_when_the_image_is_closed(page: Page) -> None:
    page.page.mouse.click(8, 500)  # beside it
    page.page.locator(OPEN).wait_for(state="detached")
    page.wait_for_count("13 samples")


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
