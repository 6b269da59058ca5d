"""Drives the triage page in a real browser: opens it, waits until it is painted, takes pictures."""

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LIMIT_MS = 60_000


class Page:
    """One open page, and the requests it made to other places."""

    def __init__(self, page: Any, elsewhere: list[str]) -> None:
        self.page, self.elsewhere = page, elsewhere

    def tiles(self) -> Any:
        """The thumbnails in the grid."""
        return self.page.locator("[data-cy=looker]")

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 of the grid."""
        box = {"x": 310, "y": 150, "width": 1100, "height": 700}
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=box)))
        return np.asarray(shot.convert("RGB"))

    def settled(self, n_colours: int = 1000) -> np.ndarray:
        """Wait until the grid is painted and stays as it is; returns the picture."""
        limit = time.monotonic() + LIMIT_MS / 1000
        before = self.picture()
        while time.monotonic() < limit:
            self.page.wait_for_timeout(700)  # sleeping would hold up the page's requests
            now = self.picture()
            colours = len(np.unique(now.reshape(-1, 3), axis=0))
            if colours >= n_colours and np.array_equal(before, now):
                return now
            before = now
        raise AssertionError(f"The grid was not painted in {LIMIT_MS / 1000:.0f} s ({colours} colours).")

    def select(self, index: int) -> None:
        """Tick a thumbnail."""
        tile = self.tiles().nth(index)
        tile.hover()
        tile.click(position={"x": 14, "y": 14})

    def counted(self) -> str:
        """The number of samples, as shown over the grid."""
        return str(self.page.locator("[data-cy=entry-counts]").inner_text())

    def wait_for_count(self, text: str) -> None:
        """Wait until the shown number of samples is this."""
        self.page.locator("[data-cy=entry-counts]").get_by_text(text).wait_for()

    def toggle(self, field: str) -> None:
        """Tick or untick a field in the sidebar."""
        self.page.locator(f"[data-cy=checkbox-{field}]").click()
        self.page.mouse.move(5, 5)

    def tag(self, index: int) -> str:
        """What a thumbnail says in its tags."""
        return str(self.tiles().nth(index).inner_text())

    def views(self) -> list[str]:
        """Names in the list of saved views."""
        chooser = self.page.locator("[data-cy=saved-views-selection]")
        chooser.click()
        self.page.wait_for_timeout(1000)
        names = self.page.get_by_role("option").all_inner_texts()
        self.save("triage-views.png")
        self.page.mouse.click(900, 700)  # beside the list, which closes it
        self.page.get_by_role("option").first.wait_for(state="detached")
        return [line for text in names for line in text.splitlines()]

    def run(self, operator: str) -> None:
        """Choose an operator in the operator browser, which the backtick opens."""
        self.page.keyboard.press("`")
        search = self.page.get_by_placeholder("Search operations by name...")
        search.fill(operator)
        self.page.get_by_text(operator, exact=True).last.wait_for()
        search.press("Enter")
        search.wait_for(state="detached")

    def save(self, name: str) -> None:
        """Keep a picture of the whole page in the folder $CURATE_SCREENSHOTS, if it is set."""
        if folder := os.environ.get("CURATE_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder) / name))


@contextmanager
def opened(url: str, cache: bool = False, token: str | None = None) -> Iterator[Page]:
    """The page at `url` in a fresh browser that reaches nothing but that server.

    Args:
        cache: whether the browser keeps files, as a person's does; watching requests otherwise forbids it.
        token: to log in with first; None = the page asks for none.
    """
    from playwright.sync_api import sync_playwright

    program = next(found for found in map(shutil.which, BROWSERS) if found)
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    # an advertisement that covers the page in a fresh profile
    seen = {"origin": origin, "localStorage": [{"name": "fiftyone-enterprise-tooltip-seen", "value": "true"}]}
    elsewhere: list[str] = []

    def noted(asked: str) -> bool:
        """Whether an address is of another place; noted if it is."""
        strange = not asked.startswith((origin, "data:", "blob:"))
        elsewhere.extend([asked] * strange)
        return strange

    def answered(response: Any) -> None:
        noted(response.url)  # what the page's policy forbids is asked for, but never answered

    def watch(route: Any) -> None:
        if noted(route.request.url):
            route.abort()
        else:
            route.continue_()

    with sync_playwright() as playwright:
        alone = [f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {parts.hostname}"]
        browser = playwright.chromium.launch(
            executable_path=program, headless=True, args=ARGUMENTS + alone * cache
        )
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, storage_state={"cookies": [], "origins": [seen]},
            ignore_https_errors=True,  # a certificate that a test made
        )  # fmt: skip
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        if cache:
            page.on("response", answered)
        else:
            page.route("**/*", watch)
        page.goto(url)
        if token is not None:
            Page(page, elsewhere).save("sharing-login.png")
            page.get_by_label("Access token").fill(token)
            page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("[data-cy=looker]")
        yield Page(page, elsewhere)
        browser.close()
