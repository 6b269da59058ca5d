"""The keys of the triage page in a real browser: what each decides, and how one walks."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from curate import drawn_masks
from curate.store import verdicts
from curate.store.documents import object_id
from curate.store.server import Database
from tests.browser.keyed import OPEN, keyed, press, shown, stored, told
from tests.browser.page import Page
from tests.helpers.stored import sample_id

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "keyed"
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


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    with keyed(workspace_db.home, NAME) as page:
        yield page


def test_in_the_grid_nothing_ticked_is_said_and_ticked_images_are_decided(page: Page) -> None:
    press(page, "n")
    told(page, "Tick images first")
    page.select(0)
    page.select(1)
    press(page, "k")
    told(page, "skipped: 2 images")
    given = stored(page, NAME, 2)
    assert [(row["verdict"], row["shown"]["place"], row["seconds"]) for row in given] == [
        ("skipped", "grid", None)
    ] * 2
    page.wait_for_count("18 samples")
    press(page, "b")
    told(page, "taken back: 2 images")
    taken_back = [(row["verdict"], row["shown"]["place"]) for row in stored(page, NAME, 4)[2:]]
    assert taken_back == [("undone", "grid")] * 2
    page.wait_for_count("20 samples")


def test_each_key_decides_the_open_image_which_moves_on(page: Page) -> None:
    press(page, "o")
    name = shown(page)
    page.save("keys-open.png")
    for n_before, (key, verdict, defect_type) in enumerate(DECISIONS):
        assert name.startswith("stain" if n_before < 4 else "good")
        press(page, key)
        last = stored(page, NAME, 5 + n_before)[-1]
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
    last = stored(page, NAME, N_DECIDED + 1)[-1]
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


def test_a_decision_that_cannot_be_stored_is_said_and_the_image_comes_back(page: Page) -> None:
    name = shown(page)
    page.page.route("**/operators/execute", lambda route: route.abort())
    press(page, "n")
    page.page.locator("#curate-toast[role=alert]").get_by_text("Not stored").wait_for()
    page.save("keys-error.png")
    page.page.unroute("**/operators/execute")
    page.page.wait_for_function("() => window.curateIdle()")
    assert (len(verdicts.read_log(NAME)), shown(page)) == (N_DECIDED + 1, name)


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


def test_the_grid_is_right_when_the_image_is_closed(page: Page) -> None:
    page.page.mouse.click(8, 500)  # beside it
    page.page.locator(OPEN).wait_for(state="detached")
    page.wait_for_count("13 samples")


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
