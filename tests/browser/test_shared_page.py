"""The shared page in a real browser, over TLS: a person logs in, decides with a key, and logs out."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.page import opened
from tests.helpers.sharing import SharedPage, shared_page

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
LIMIT_S = 30.0


def refusals(shared: SharedPage) -> list[dict[str, Any]]:
    """What the page asked for and did not get, as the log tells it."""
    rows = map(json.loads, (shared.root / "access.log").read_text().splitlines())
    return [row for row in rows if row["status"] in (400, 403, 404, 405, 413, 415, 421, 431, 500, 502)]


def test_a_person_logs_in_decides_under_their_own_name_and_logs_out(tmp_path: Path) -> None:
    with (
        shared_page(tmp_path) as shared,
        opened(f"{shared.origin}/", token=shared.token("Ann Müller")) as page,
    ):
        assert page.page.url.startswith(shared.origin + shared.page)
        page.settled()
        page.page.keyboard.press("o")
        page.page.locator("[data-cy=modal]").wait_for()
        page.page.wait_for_function("() => window.curateIdle?.()")
        page.page.wait_for_timeout(1500)
        page.page.keyboard.press("n")
        limit = time.monotonic() + LIMIT_S
        while not shared.verdicts() and time.monotonic() < limit:
            page.page.wait_for_timeout(100)
        told = [(row["by"], row["verdict"]) for row in shared.verdicts()]
        assert told == [("Ann Müller", "normal")]
        page.page.wait_for_timeout(2000)
        page.save("sharing-open.png")
        assert page.elsewhere == []
        assert refusals(shared) == []
        page.page.goto(f'data:text/html,<a href="{shared.origin}/">the page</a>')  # a link in somebody's mail
        page.page.get_by_text("the page").click()
        page.tiles().first.wait_for()
        page.page.goto(f"{shared.origin}/login")
        page.page.get_by_text("You are logged in as Ann Müller").wait_for()
        page.save("sharing-who.png")
        page.page.get_by_role("button", name="Log out").click()
        page.page.get_by_label("Access token").wait_for()
        page.page.goto(shared.origin + shared.page)
        page.page.get_by_label("Access token").wait_for()
