"""The triage page in a real browser: thumbnails, heat maps, an operator, and the verdict in the database."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curate.store import dataset, heatmaps, verdicts
from curate.store.app import serve
from curate.store.server import Database
from tests.browser.page import Page, opened
from tests.helpers.stored import painted

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "triaged"


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    """The page on eight images, four of them with a stain and a map that shows it."""
    root: Path = workspace_db.home / "datasets" / NAME
    samples, predictions = painted(root)
    dataset.save_samples(NAME, samples, root / "masks")
    heatmaps.save_predictions(NAME, "padim", predictions, root, 0.5)
    with serve(NAME) as app, opened(app.url) as page:
        yield page


def stored(page: Page, n_verdicts: int) -> list[dict[str, object]]:
    """The verdicts in the database, once there are that many."""
    limit = time.monotonic() + 30
    while len(found := verdicts.read_log(NAME)) < n_verdicts and time.monotonic() < limit:
        page.page.wait_for_timeout(200)
    return found


def test_eight_thumbnails_are_painted_worst_first_and_views_are_offered(page: Page) -> None:
    page.settled()
    page.save("triage-grid.png")
    assert page.tiles().count() == 8
    assert page.counted() == "8 samples"
    assert "0.9" in page.tag(0)
    offered = page.views()
    assert {"missed defects", "false alarms", "highest scores", "category: weave"} <= set(offered)


def test_the_heat_map_changes_the_pixels_of_the_thumbnails(page: Page) -> None:
    with_map = page.settled()
    page.toggle("padim_map")
    without = page.settled()
    page.toggle("padim_map")
    again = page.settled()
    changed = np.abs(with_map.astype(int) - without).max(axis=2) > 30
    assert changed.mean() > 0.02
    # the images are brown, the tags small: only a map is as colourful as this
    assert colourful(with_map) > 4 * colourful(without)
    assert np.abs(again.astype(int) - with_map).mean() < 1


def colourful(picture: np.ndarray) -> int:
    """Number of strongly coloured pixels."""
    return int((np.ptp(picture.astype(int), axis=2) > 75).sum())


def test_an_operator_with_nothing_chosen_says_so_and_stores_nothing(page: Page) -> None:
    page.run("Skip")
    page.page.get_by_text("Choose one or more images first.").first.wait_for()
    assert verdicts.read_log(NAME) == []


def test_a_verdict_given_on_the_page_is_in_the_database_and_can_be_undone(page: Page) -> None:
    page.settled()
    page.select(0)
    page.run("Mark as anomalous…")
    page.page.get_by_placeholder("Type or select a value").fill("dent")
    page.page.keyboard.press("Tab")
    page.page.get_by_role("button", name="Mark", exact=True).click()
    (given,) = stored(page, 1)
    assert (given["verdict"], given["defect_type"]) == ("anomalous", "dent")
    page.wait_for_count("7 samples")
    page.settled()
    page.save("triage-after.png")
    page.run("Undo last verdict")
    assert [row["verdict"] for row in stored(page, 2)] == ["anomalous", "undone"]
    page.wait_for_count("8 samples")
    assert set(dataset.read_samples(NAME)["verdict"]) == {None}


def test_the_open_image_can_be_judged_with_its_button(page: Page) -> None:
    page.settled()
    page.tiles().nth(0).click()
    page.page.get_by_text("Annotate").wait_for()
    page.run("Accept as normal")
    assert stored(page, 3)[-1]["verdict"] == "normal"
    page.page.wait_for_timeout(3000)
    page.save("triage-open.png")


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
