"""Queues in a real browser, on 2,000 images: each opens, counts right and begins with the right image."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from curate.store import dataset, heatmaps, queue_fields, queues
from curate.store.acting import act
from curate.store.app import serve
from curate.store.documents import object_id
from curate.store.server import Database
from curate.tables import to_rows
from tests.browser.page import Page, opened
from tests.helpers.stored import row, sample_id, table
from tests.helpers.tiny import HEIGHT, WIDTH

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME, N = "queues-page", 2000
EARLY, LATE = datetime(2026, 10, 1, 8), datetime(2026, 11, 2, 8)


def fill(root: Path) -> None:
    """Image i has score i; its other numbers put images in orders that are easy to tell."""
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(N):
        path = root / f"{i % 20}.png"
        if not path.exists():
            grey = Image.linear_gradient("L").resize((WIDTH, HEIGHT)).rotate(i * 18)
            Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey)).save(path)
        label = "anomalous" if i % 100 == 0 else "normal"
        rows.append(row(f"{i:04d}", label, filepath=str(path), category="odd" if i % 2 else "even"))
    samples = table(*rows)
    dataset.save_samples(NAME, samples)
    ids = [one["sample_id"] for one in to_rows(samples)]
    scores = {"sample_id": ids, "anomaly_score": [float(i) for i in range(N)], "display_map": None}
    heatmaps.save_predictions(NAME, "padim", pd.DataFrame(scores), root, 1500.2)
    values: dict[str, dict[str, Any]] = {
        "disagreement": {one: abs(i - 700) / 100 for i, one in enumerate(ids) if i < 1000},
        "coverage_gap": {ids[i]: rank for rank, i in enumerate((42, 41, 43), 1)},
        "severity": {ids[i]: 3 if i == 17 else 2 for i in range(10, 20)},
        "arrived_at": {one: LATE if i >= 1990 else EARLY for i, one in enumerate(ids)},
    }
    for field, by_id in values.items():
        queue_fields.save(NAME, field, by_id)
    queues.save_since(NAME, "2026-11-01")
    act(NAME, "accept_normal", [str(object_id(sample_id(f"{i:04d}"), "sample")) for i in (1999, 42)])


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Page]:
    fill(workspace_db.home / "datasets" / NAME)
    with serve(NAME, view="highest scores") as app, opened(app.url) as page:
        yield page


def shown(page: Page, count: str, score: str) -> None:
    """Wait until the page shows this number of images, and first the one with this score."""
    page.wait_for_count(count)
    page.page.wait_for_function(
        """score => {
          const boxes = [...document.querySelectorAll('[data-cy=looker]')]
            .map(tile => [tile, tile.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && box.bottom > 0)
            .sort((a, b) => (a[1].top - b[1].top) || (a[1].left - b[1].left));
          return boxes.length > 0 && new RegExp('^' + score + '\\\\D').test(boxes[0][0].innerText);
        }""",
        arg=re.escape(score),
    )


def choose(page: Page, name: str) -> None:
    """Choose a queue from the list of views."""
    slug = next(one.slug for one in queues.listed(NAME, counted=False) if one.name == name)
    page.page.locator("[data-cy=saved-views-selection]").click()
    page.page.locator(f"[data-cy=saved-views-{slug}-selection-option]").click()


def test_the_page_opens_with_the_highest_undecided_score_and_lists_the_queues(page: Page) -> None:
    shown(page, "1,998 samples", "1,998")
    offered = page.views()
    wanted = [
        "not looked at yet", "highest scores", "nearest to the threshold", "disagreement of detectors",
        "gaps of coverage", "flagged by the quality gate", "second opinion wanted", "disputed", "decided",
        "new in the last ingest", "new since 2026-11-01", "missed defects", "false alarms",
        "category: even", "category: odd",
    ]  # fmt: skip
    assert [name for name in offered if name in wanted] == wanted
    page.save("triage-queues.png")


@pytest.mark.parametrize(
    ("queue", "count", "score"),
    [
        ("nearest to the threshold", "1,998 samples", "1,500"),
        ("disagreement of detectors", "999 samples", "0"),
        ("gaps of coverage", "2 samples", "41"),
        ("flagged by the quality gate", "10 samples", "17"),
        ("new in the last ingest", "9 samples", "1,998"),
        ("new since 2026-11-01", "9 samples", "1,998"),
        ("missed defects", "16 samples", "0"),
        ("false alarms", "495 samples", "1,999"),
        ("category: even", "1,000 samples", "1,998"),
        ("decided", "2 samples", ""),
    ],
)
def test_a_queue_chosen_from_the_list_shows_its_images_in_order(
    page: Page, queue: str, count: str, score: str
) -> None:
    choose(page, queue)
    if score:
        shown(page, count, score)
    else:
        page.wait_for_count(count)


def test_an_empty_queue_says_so(page: Page) -> None:
    choose(page, "disputed")
    page.wait_for_count("0 samples")


def test_another_field_to_sort_by_puts_another_image_first(page: Page) -> None:
    choose(page, "not looked at yet")
    shown(page, "1,998 samples", "1,998")
    page.page.locator('[data-cy="selector-Sort by"]').click()
    page.page.locator("[data-cy=selector-result-padim_score]").click()
    shown(page, "1,998 samples", "0")
    assert page.elsewhere == []
