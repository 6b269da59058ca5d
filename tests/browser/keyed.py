"""Presses the keys of the triage page, and looks at what comes of it."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from curate.images import read_image
from curate.proposal_table import rows_of
from curate.propose import How, propose
from curate.store import dataset, heatmaps, proposals, verdicts
from curate.store.app import serve
from curate.tables import to_rows
from tests.browser.page import Page, opened
from tests.helpers.stored import painted

OPEN = "[data-cy=modal]"
SHOWN = f"(document.querySelector('{OPEN}')?.innerText.match(/(good|stain)-\\d+/) ?? [])[0]"


@contextmanager
def keyed(home: Path, name: str) -> Iterator[Page]:
    """The page on twenty images, eight of them with a stain, a map that shows it and a proposed mask."""
    root = home / "datasets" / name
    samples, predictions = painted(root, 12, 8)
    dataset.save_samples(name, samples, root / "masks")
    heatmaps.save_predictions(name, "padim", predictions, root, 0.5)
    proposals.save_proposals(name, "padim", proposed(root, samples))
    with serve(name) as app, opened(app.url) as page:
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


def opened_image(page: Page) -> str:
    """Name of the open image; the first one is opened where none is."""
    if not page.page.locator(OPEN).count():
        press(page, "o")
    return shown(page)


def walk_to(page: Page, kind: str) -> str:
    """Go on until an image of this kind is open."""
    while not (name := opened_image(page)).startswith(kind):
        press(page, "ArrowRight")
        shown(page, but=name)
    return name


def stored(page: Page, name: str, n_verdicts: int) -> list[dict[str, Any]]:
    """The log of a dataset, once it holds that many verdicts."""
    limit = time.monotonic() + 30
    while len(found := verdicts.read_log(name)) < n_verdicts and time.monotonic() < limit:
        page.page.wait_for_timeout(50)
    assert len(found) == n_verdicts
    return found


def picture(page: Page) -> np.ndarray:
    """(H, W, 3) int of the open image, once it had time to be painted."""
    page.page.wait_for_timeout(1500)
    clip = {"x": 60, "y": 80, "width": 860, "height": 660}
    return np.asarray(Image.open(io.BytesIO(page.page.screenshot(clip=clip))).convert("RGB")).astype(int)


def n_coloured(seen: np.ndarray) -> int:
    """Number of strongly coloured pixels: an anomaly map."""
    return int((np.ptp(seen.astype(int), axis=2) > 75).sum())


def n_white(seen: np.ndarray) -> int:
    """Number of white pixels: a ground-truth mask."""
    return int((seen.min(axis=2) > 215).sum())
