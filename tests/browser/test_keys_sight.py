"""The keys of the triage page that change what is seen, in the grid and in an open image."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from curate.store.server import Database
from tests.browser.keyed import keyed, n_coloured, n_white, picture, press, told, walk_to
from tests.browser.page import Page

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "keyed_sight"


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    with keyed(workspace_db.home, NAME) as page:
        yield page


def grid(page: Page, wanted: Callable[[np.ndarray], Any]) -> None:
    """Wait until what the grid shows, (H, W, 3) int above the messages, is as wanted."""
    limit = time.monotonic() + 20
    while not wanted(page.picture()[:580].astype(int)):
        assert time.monotonic() < limit
        page.page.wait_for_timeout(300)


def test_in_the_grid_masks_and_map_come_and_go_before_any_image_is_opened(page: Page) -> None:
    mapped = page.settled()[:580].astype(int)
    press(page, "m")
    told(page, "anomaly map off")
    grid(page, lambda seen: n_coloured(seen) < n_coloured(mapped) / 4)
    plain = page.settled()[:580].astype(int)
    for _ in range(3):  # again and again, for the App hands masks over to be drawn
        press(page, "g")
        told(page, "ground-truth mask on: gt_mask")
        grid(page, lambda seen: n_white(seen) > n_white(plain) + 2000)
        page.save("keys-grid-mask.png")
        press(page, "g")
        told(page, "ground-truth mask off")
        grid(page, lambda seen: np.array_equal(seen, plain))
    press(page, "v")
    told(page, "proposed mask on: padim_proposals")
    grid(page, lambda seen: (np.abs(seen - plain).max(axis=2) > 20).sum() > 2000)
    page.save("keys-grid-proposals.png")
    press(page, "v")
    told(page, "proposed mask off")
    grid(page, lambda seen: np.array_equal(seen, plain))
    press(page, "m")
    told(page, "anomaly map on: padim_map")
    grid(page, lambda seen: n_coloured(seen) == pytest.approx(n_coloured(mapped), rel=0.05))
    page.save("keys-grid-map.png")


def test_map_and_masks_of_an_open_image_come_and_go(page: Page) -> None:
    walk_to(page, "stain")
    with_map = n_coloured(picture(page))
    press(page, "m")
    told(page, "anomaly map off")
    without = n_coloured(picture(page))
    dark = n_white(picture(page))
    press(page, "g")
    told(page, "ground-truth mask on: gt_mask")
    assert with_map > 4 * without
    page.save("keys-mask.png")
    assert n_white(picture(page)) > dark + 2000
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
    strong = n_coloured(picture(page))
    for value in ("0.4", "0.3", "0.2", "0.1", "0.0"):
        press(page, "q")
        told(page, f"opacity of maps and masks: {value}")
    press(page, "q")
    told(page, "opacity of maps and masks: 0.0")
    assert n_coloured(picture(page)) < strong / 4
    for value in ("0.1", "0.2", "0.3", "0.4", "0.5"):
        press(page, "w")
        told(page, f"opacity of maps and masks: {value}")
    assert n_coloured(picture(page)) == pytest.approx(strong, rel=0.05)


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
