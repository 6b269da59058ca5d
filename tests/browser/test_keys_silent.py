"""When no key of the triage page may do anything, and the card that lists them, in a real browser."""

from collections.abc import Iterator

import pytest

from curate.store import verdicts
from curate.store.server import Database
from tests.browser.keyed import keyed, opened_image, press, shown
from tests.browser.page import Page

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "keyed_silent"
WRITING = """(tag) => {
  const made = document.body.appendChild(document.createElement(tag));
  if (tag === 'div') made.contentEditable = 'true';
  made.id = 'writing';
  made.style.cssText = 'position:fixed;left:0;top:0;z-index:99999999;width:90px;height:20px';
  made.focus();
}"""


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    with keyed(workspace_db.home, NAME) as page:
        yield page


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


@pytest.mark.parametrize("tag", ["input", "textarea", "select", "div"])
def test_keys_are_dead_while_writing(page: Page, tag: str) -> None:
    name = opened_image(page)
    page.page.evaluate(WRITING, tag)
    for key in ("n", "1", "u", "b", "?"):
        press(page, key)
    page.page.wait_for_timeout(400)
    page.page.evaluate("document.getElementById('writing').remove()")
    assert (verdicts.read_log(NAME), shown(page)) == ([], name)
    assert page.page.locator("#curate-help").count() == 0


def test_keys_are_dead_in_annotate_which_has_keys_of_its_own(page: Page) -> None:
    name = opened_image(page)
    modal = page.page.locator("[data-cy=modal]")
    modal.get_by_text("Annotate", exact=True).click()
    tools = modal.get_by_text("PRIMITIVES")
    tools.wait_for()
    for key in ("y", "b", "n", "1"):
        press(page, key)
        page.page.wait_for_timeout(300)
    modal.get_by_text("Explore", exact=True).click()
    tools.wait_for(state="detached")
    assert (verdicts.read_log(NAME), shown(page)) == ([], name)


def test_keys_are_dead_with_control_and_when_held_down(page: Page) -> None:
    name = opened_image(page)
    for key in ("Control+n", "Alt+n", "Meta+n"):
        press(page, key)
    page.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',{key:'n',repeat:true,bubbles:true}))"
    )
    page.page.wait_for_timeout(600)
    assert (verdicts.read_log(NAME), shown(page)) == ([], name)
