"""Nothing is lost when the tab, the browser, the App's server or the database is killed at any moment.

A decision counts as confirmed once the page has said so. After each kill every confirmed decision must be in
the log, once, in the order in which it was given; beyond those at most the decision that was on its way.
"""

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from curate.store import dataset, verdicts
from curate.store.app import App, serve
from curate.store.server import connect
from curate.verdicts import fields, labelled, read_mirror, standing
from curate.workspace import Workspace
from tests.browser.page import opened
from tests.helpers.stored import painted, sample_id
from tests.store.test_server import mongod_of

pytestmark = [pytest.mark.mongod, pytest.mark.browser, pytest.mark.slow]
NAME = "killed"
LIMIT_S = 60.0
OPEN = "[data-cy=modal]"
SHOWN = f"(document.querySelector('{OPEN}')?.innerText.match(/(good|stain)-\\d+/) ?? [])[0]"
VERDICTS = {"n": "normal", "a": "anomalous", "u": "unsure", "k": "skipped"}
SAID = re.compile(r"(normal|anomalous|unsure|skipped)[^:]*: \S*?((?:good|stain)-\d+)")
TELL = """new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const node of addedNodes) if (node.id === "curate-toast") console.log("TOLD " + node.textContent);
}).observe(document, { childList: true, subtree: true })"""
Decision = tuple[str, str]  # image, verdict


class Bench:
    """A workspace of its own, its page, and what was pressed and confirmed on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.before: list[Decision] = []  # in the log, as it was found after the last kill
        self.confirmed: list[Decision] = []
        self.sent: Decision | None = None  # the last key, whether or not it was answered
        self.said: list[str] = []
        self.serving, self.browsing = contextlib.ExitStack(), contextlib.ExitStack()
        self.app: App
        self.page: Any

    def close(self) -> None:
        with contextlib.suppress(Exception):  # closing what was killed fails
            self.browsing.close()
        self.serving.close()

    def serve(self) -> None:
        """Serve the page; of a server that died, in its place."""
        self.serving.close()
        self.app = self.serving.enter_context(serve(NAME, panels=False))

    def open(self) -> None:
        """Open the page in a new browser, and on it the first image that nobody has looked at."""
        with contextlib.suppress(Exception):
            self.browsing.close()
        opened_page = self.browsing.enter_context(opened(self.app.url))
        self.page = opened_page.page
        opened_page.tiles().first.wait_for()
        self.page.wait_for_function("() => window.curateIdle?.()")
        self.page.on("console", self.heard)
        self.page.evaluate(TELL)
        limit = time.monotonic() + LIMIT_S
        while not self.page.evaluate(SHOWN):  # keys pressed before the page listens are not taken
            assert time.monotonic() < limit, self.said
            self.page.keyboard.press("o")
            with contextlib.suppress(Exception):
                self.page.wait_for_function(f"() => {SHOWN}", timeout=3000)
        self.page.wait_for_function("() => window.curateIdle()")

    def heard(self, message: Any) -> None:
        """Note what the page tells the person."""
        if message.text.startswith("TOLD "):
            self.said.append(message.text)
            if (found := SAID.search(message.text)) and "Not stored" not in message.text:
                self.confirmed.append((found[2], found[1]))

    def press(self, key: str) -> None:
        """Decide the open image, and wait for the page's word."""
        n_said = len(self.said)
        self.press_and_die(key, 0.0, lambda: None)
        self.wait(lambda: len(self.said) > n_said)
        self.page.wait_for_function("() => window.curateIdle()")

    def press_and_die(self, key: str, after_s: float, die: Callable[[], None]) -> None:
        """Decide the open image, and let something die before the page can say what became of it."""
        self.sent = (str(self.page.evaluate(SHOWN)), VERDICTS[key])
        self.page.keyboard.press(key)
        if after_s:
            self.page.wait_for_timeout(1000 * after_s)
        die()

    def wait(self, happened: Callable[[], Any]) -> None:
        limit = time.monotonic() + LIMIT_S
        while not happened():
            assert time.monotonic() < limit, self.said
            self.page.wait_for_timeout(20)

    def nothing_is_lost(self) -> None:
        """The log holds what was confirmed, and at most the decision on its way; all else follows it."""
        log = verdicts.read_log(NAME)
        names = {sample_id(name): name for name in NAMES}
        found = [(names[row["sample_id"]], row["verdict"]) for row in log]
        due = [*self.before, *self.confirmed]
        assert found in (due, [*due, self.sent]), (self.before, self.confirmed, self.sent, self.said)
        mirror = Workspace.at().dataset(NAME).verdicts
        assert sorted(read_mirror(mirror), key=lambda row: row["at"]) == log
        assert len(mirror.read_text().splitlines()) == len(log)
        self.fields_follow(log)
        self.before, self.confirmed, self.sent = found, [], None

    def fields_follow(self, log: list[dict[str, Any]]) -> None:
        shown = dataset.load(NAME).match({})
        wanted = ("sample_id", "sha256", "label", "verdict", "second_opinion", "ground_truth.label")
        rows = list(zip(*(shown.values(name) for name in wanted), strict=True))
        assert len(rows) == dataset.count(NAME) == len(NAMES)
        held = standing(log, {row[0]: row[1] for row in rows})
        for name, _, label, verdict, opinion, source in rows:
            assert label == labelled(source, [], held.get(name))[0]
            told = fields(held[name]) if name in held else {"verdict": None, "second_opinion": None}
            assert (verdict, opinion) == (told["verdict"], told["second_opinion"])


NAMES = [f"{'good' if index < 30 else 'stain'}-{index:02d}" for index in range(40)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home: Path = tmp_path_factory.mktemp("workspace")
    with connect(home):
        root = home / "datasets" / NAME
        samples, _ = painted(root, 30, 10)
        dataset.save_samples(NAME, samples, root / "masks")
        made = Bench(home)
        try:
            made.serve()
            made.open()
            yield made
        finally:
            made.close()


def kill_tab(bench: Bench) -> None:
    for process in browsers():
        if "--type=renderer" in process.cmdline():
            process.kill()


def kill_browser(bench: Bench) -> None:
    for process in browsers():
        process.kill()


def close_tab(bench: Bench) -> None:
    bench.page.close()


def browsers() -> list[psutil.Process]:
    """Processes of the browser that this test started, its tabs included."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "chrom" in process.name()]


@pytest.mark.parametrize("die", [kill_tab, close_tab, kill_browser])
def test_a_tab_or_browser_that_dies_takes_no_confirmed_decision_with_it(
    bench: Bench, die: Callable[[Bench], None]
) -> None:
    moment = random.Random(die.__name__)
    bench.press("n")
    bench.press_and_die(moment.choice("nau"), moment.uniform(0, 0.15), lambda: die(bench))
    time.sleep(1.0)  # the server may be at work on the last one
    assert len(bench.confirmed) >= 1, bench.said
    bench.nothing_is_lost()
    bench.open()
    bench.press("k")
    bench.nothing_is_lost()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_that_dies_takes_no_confirmed_decision_with_it(bench: Bench, seed: int) -> None:
    moment = random.Random(seed)
    bench.press("n")
    n_said = len(bench.said)
    bench.press_and_die(moment.choice("nau"), moment.uniform(0, 0.15), bench.app.process.kill)
    bench.wait(lambda: len(bench.said) > n_said)
    bench.serve()
    bench.nothing_is_lost()
    bench.open()
    bench.press("k")
    bench.nothing_is_lost()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_database_that_dies_takes_no_confirmed_decision_with_it(bench: Bench, seed: int) -> None:
    moment = random.Random(seed)
    bench.press("n")
    n_said = len(bench.said)
    bench.press_and_die(moment.choice("nau"), moment.uniform(0, 0.15), mongod_of(bench.home).kill)
    bench.wait(lambda: len(bench.said) > n_said)
    connect(bench.home).close()  # as any other command of curate would start it again
    verdicts.reconcile(NAME, Workspace.at().dataset(NAME).verdicts)
    bench.nothing_is_lost()
    bench.page.wait_for_function("() => window.curateIdle()")
    bench.press("k")
    bench.nothing_is_lost()
