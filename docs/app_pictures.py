"""Pictures of the triage page on the demo dataset, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picture_files import DATASET, FOLDER, kept
from PIL import Image

SMALL_WORDS = Image.Quantize.FASTOCTREE  # in colours of their own, which other methods lose


@contextmanager
def _triage_page() -> Iterator[Any]:
    """The triage page on the demo dataset, in a real browser, highest scores first, painted."""
    from curate.store.app import serve
    from curate.store.server import connect
    from curate.workspace import Workspace
    from tests.browser.page import opened

    with connect(Workspace.at().home), serve(DATASET, view="highest scores") as app, opened(app.url) as page:
        page.settled()
        yield page


def triage() -> Path:
    """The triage page, with its panels."""
    with _triage_page() as page:
        page.page.locator("#curate-threshold canvas").wait_for()
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        return kept(page.page.screenshot(), "triage.png", SMALL_WORDS)


def keys() -> Path:
    """The card of keys."""
    with _triage_page() as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        page.page.keyboard.press("?")
        page.page.locator("#curate-help").wait_for()
        return kept(page.page.screenshot(), "triage-keys.png", SMALL_WORDS)


def queues() -> Path:
    """The list of queues on it."""
    with _triage_page() as page:
        page.page.locator("[data-cy=saved-views-selection]").click()
        page.page.get_by_role("option").first.wait_for()
        page.page.wait_for_timeout(500)
        upper = {"x": 0, "y": 0, "width": 1440, "height": 620}
        return kept(page.page.screenshot(clip=upper), "triage-queues.png", SMALL_WORDS)


def threshold_panel() -> Path:
    """The same page with a line being moved: counts of it, and the images in the grid that would change."""
    with _triage_page() as page:
        canvas = page.page.locator("#curate-threshold canvas")
        canvas.wait_for()
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        box = canvas.bounding_box() or {}
        page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.page.mouse.down()
        page.page.mouse.move(box["x"] + box["width"] * 0.09, box["y"] + box["height"] / 2, steps=5)
        page.page.mouse.up()
        page.page.get_by_label("Reason").fill("the customer wants no larger stain")
        page.page.get_by_text("The grid shows").wait_for()
        page.page.wait_for_function("() => document.querySelectorAll('[data-cy=looker]').length < 7")
        page.settled()
        return kept(page.page.screenshot(), "threshold-panel.png", SMALL_WORDS)


def side_by_side() -> Path:
    """A defect in the panel that compares: its map, and the normal image nearest to it."""
    with _comparing("curate-compare[data-image]", "Side by side", "side-by-side") as page:
        page.locator(".curate-map[data-painted]").wait_for()
        page.locator(".curate-near").first.wait_for()
    return FOLDER / "side-by-side.png"


@contextmanager
def _comparing(panel: str, tab: str, name: str) -> Iterator[Any]:
    """The first image with the highest score in a tab of its own; its picture when the block ends."""
    from curate.store.app import serve
    from curate.store.server import connect
    from curate.workspace import Workspace
    from tests.browser.page import opened

    with connect(Workspace.at().home), serve(DATASET, view="highest scores") as app, opened(app.url) as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.settled()
        page.page.keyboard.press("o")
        page.page.locator("[data-cy=modal]").get_by_text(tab).first.click()
        page.page.locator(f"#{panel}").wait_for()
        yield page.page
        page.page.mouse.move(640, 785)
        page.page.wait_for_timeout(3000)
        clip = {"x": 32, "y": 36, "width": 1216, "height": 728}
        kept(page.page.screenshot(clip=clip), f"{name}.png")
