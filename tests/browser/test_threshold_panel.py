"""The page that `curate triage` opens, in a real browser: grid, triage panel, and a line that is moved."""

import io
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import tables
from curate.files import read_json
from curate.recipe import Source
from curate.steps import ingest, split, sync, threshold
from curate.steps.record import Context, digest, finish
from curate.store import dataset, verdicts, workspaces
from curate.store.app import serve
from curate.store.queues import listed
from curate.store.server import Database
from curate.workspace import Workspace
from tests.browser.page import Page, opened
from tests.helpers.scored import score_with_maps
from tests.helpers.stored import many
from tests.helpers.tiny import write_mvtec

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME, UNSCORED = "lined", "unscored"
BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)
CANVAS = "#curate-threshold canvas"


@pytest.fixture(scope="module")
def context(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A dataset with scores and a decided threshold, and one without scores."""
    root = write_mvtec(tmp_path_factory.mktemp("images"), n_train=4, n_good=24, n_per_defect=10)
    workspace = Workspace.at(workspace_db.home)
    made = Context(workspace, workspace.dataset(NAME))
    ingest.run(made, Source(root, "mvtec_ad"))
    split.run(made)
    score_with_maps(made)
    spread(made)
    threshold.run(made, "padim", "max_normal", why="nothing is known yet")
    sync.everything(made)
    dataset.save_samples(UNSCORED, many(3))
    workspaces.arrange(dataset.load(UNSCORED))
    return made


def spread(context: Context) -> None:
    """Scores that overlap: a bell for each label."""
    target = context.paths.detector("padim") / "predictions.parquet"
    scores, rng = tables.read(target), np.random.default_rng(5)
    labels = tables.read(context.paths.samples).set_index("sample_id")["label"].loc[scores["sample_id"]]
    scores["anomaly_score"] = rng.normal(np.where(labels == "anomalous", 1.5, 1.0), 0.25)
    tables.write(scores, target)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, context.paths.score_step("padim"), inputs, [target], {})


@pytest.fixture(scope="module")
def page(context: Context) -> Iterator[Page]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serve(NAME, port) as app, opened(app.url) as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.page.reload()  # the App lays the grid out anew only then
        page.page.locator(CANVAS).wait_for()
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        yield page


def calibration(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the calibration part, and which are anomalous."""
    scores = tables.read(context.paths.detector("padim") / "predictions.parquet")
    samples = tables.read(context.paths.samples).merge(tables.read(context.paths.split), on="sample_id")
    found = samples[samples["assigned_split"] == "calibration"].merge(scores, on="sample_id")
    return found["anomaly_score"].to_numpy(), (found["label"] == "anomalous").to_numpy()


def counted(page: Page, row: str) -> list[str]:
    """Cells of one line of the counts: of how many, in force, new."""
    return list(page.page.locator(f"#curate-threshold tr[data-count={row}] td").all_inner_texts())


def line(page: Page) -> float:
    """Where the new line is, as the picture is read aloud."""
    told = str(page.page.locator(CANVAS).get_attribute("aria-label"))
    return float(told.rsplit("new ", 1)[1])


def n_pixels(page: Page, colour: tuple[int, int, int]) -> int:
    shot = page.page.locator(CANVAS).screenshot()
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    return int((np.abs(picture - np.array(colour)).sum(axis=2) < 12).sum())


def drag(page: Page, start: float, end: float) -> None:
    """Press on the histogram and move, both as shares of its width; the button stays down."""
    box: Any = page.page.locator(CANVAS).bounding_box()
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + start * box["width"], y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + end * box["width"], y, steps=4)


def test_the_page_opens_with_the_histogram_and_the_grid_keeps_most_of_the_room(page: Page) -> None:
    assert "workspace=triage" in page.page.url
    page.save("threshold-opened.png")
    assert n_pixels(page, BLUE) > 100
    assert n_pixels(page, ORANGE) > 100
    panel: Any = page.page.locator("#curate-threshold").bounding_box()
    first: Any = page.page.locator("#curate-triage").bounding_box()
    assert panel["x"] > 960
    assert first["x"] == panel["x"]
    assert first["y"] + first["height"] <= panel["y"]
    assert panel["y"] + panel["height"] <= 810  # the App lets panels end a little below the window
    inside = "(box) => box.scrollWidth <= box.clientWidth"
    assert page.page.locator("#curate-threshold").evaluate(inside)
    assert page.page.locator("#curate-triage").evaluate(inside)
    page.page.get_by_text("In force: max_normal").wait_for()
    page.page.get_by_text("nothing is known yet").wait_for()
    assert page.elsewhere == []


def test_counts_follow_the_line_and_the_grid_its_release(page: Page, context: Context) -> None:
    scores, anomalous = calibration(context)
    held = read_json(context.paths.threshold)["by_category"]["weave"]["threshold"]
    assert counted(page, "missed") == [str(anomalous.sum()), str((scores[anomalous] < held).sum())]
    before = page.counted()
    drag(page, 0.9, 0.35)
    new = line(page)
    alarms = (scores[~anomalous] >= new).sum()
    of, _, now = counted(page, "alarms")
    assert (of, now.split(" ")[0]) == (str((~anomalous).sum()), str(alarms))
    assert page.counted() == before  # not before the release
    page.page.mouse.up()
    n_changed = ((scores >= new) != (scores >= held)).sum()
    assert 0 < n_changed < len(scores)
    page.wait_for_count(f"{n_changed} samples")
    page.page.get_by_text(f"The grid shows the {n_changed} that would change.").wait_for()
    page.save("threshold-moved.png")
    page.page.get_by_role("button", name="Put back").click()
    page.wait_for_count(before)
    assert len(counted(page, "alarms")) == 2


def test_the_slider_is_moved_by_keys_which_decide_nothing(page: Page) -> None:
    page.page.get_by_label("Threshold", exact=True).focus()
    page.page.keyboard.press("n")
    for _ in range(3):
        page.page.keyboard.press("ArrowLeft")
    page.page.locator(f"{CANVAS}[aria-label*=new]").wait_for()
    page.page.get_by_role("button", name="Put back").click()
    assert verdicts.read_log(NAME) == []


def test_the_test_part_is_shown_on_request_and_no_line_moves_there(page: Page) -> None:
    page.page.get_by_role("button", name="Look at test").click()
    page.page.get_by_text("No line moves here").wait_for()
    assert page.page.get_by_label("Threshold", exact=True).count() == 0
    drag(page, 0.9, 0.4)
    page.page.mouse.up()
    assert "new" not in str(page.page.locator(CANVAS).get_attribute("aria-label"))
    page.page.get_by_role("button", name="Back to calibration").click()
    page.page.get_by_label("Threshold", exact=True).wait_for()


def test_decisions_show_by_themselves_and_are_taken_back_in_the_panel(page: Page) -> None:
    panel = page.page.locator("#curate-triage")
    page.select(0)
    page.page.keyboard.press("n")
    panel.get_by_text("1 of 48 images looked at").wait_for()
    panel.get_by_text("✓ normal").wait_for()
    panel.locator("[data-queue=decided] b").get_by_text("1").wait_for()
    panel.get_by_role("button", name="Undo:").click()
    panel.get_by_text("0 of 48 images looked at").wait_for()
    assert [row["verdict"] for row in verdicts.read_log(NAME)] == ["normal", "undone"]
    panel.get_by_text("None yet.").wait_for()


def test_a_queue_opens_as_the_view(page: Page) -> None:
    (missed,) = [queue for queue in listed(NAME) if queue.name == "missed defects"]
    page.page.locator(f"#curate-triage [data-queue={missed.slug}]").click()
    page.wait_for_count(f"{missed.n_images} sample")
    assert f"view={missed.slug}" in page.page.url
    page.page.locator("#curate-threshold").wait_for()
    page.page.locator("#curate-triage [data-queue=not-looked-at-yet]").click()
    page.wait_for_count("48 samples")


def test_a_stored_line_is_a_decision_and_the_open_page_follows(page: Page, context: Context) -> None:
    drag(page, 0.9, 0.5)
    page.page.mouse.up()
    store = page.page.get_by_role("button", name="Store as decision")
    assert store.is_disabled()
    page.page.get_by_label("Reason").fill("scratches of this depth are allowed")
    page.save("threshold-reason.png")
    store.click()
    page.page.get_by_text("Stored as decision").wait_for()
    made = read_json(context.paths.threshold)
    assert (made["rule"], made["why"]) == ("manual", "scratches of this depth are allowed")
    assert len(list(context.paths.decisions.glob("*.json"))) == 2
    value = made["by_category"]["weave"]["threshold"]
    page.page.locator(f"{CANVAS}[aria-label*='in force {value:.4g}']").wait_for()
    page.page.get_by_text("In force: manual").wait_for()
    page.wait_for_count("48 samples")
    collection = dataset.load(NAME)._sample_collection
    wrong = {"padim_score": {"$gte": value}, "predicted.label": "normal"}
    assert collection.count_documents(wrong) == 0
    (missed,) = [queue for queue in listed(NAME) if queue.name == "missed defects"]
    chip = page.page.locator(f"#curate-triage [data-queue={missed.slug}] b")
    chip.get_by_text(str(missed.n_images), exact=True).wait_for()
    page.settled()
    page.save("threshold-panel.png")
    assert int(counted(page, "alarms")[1]) == made["by_category"]["weave"]["calibration"]["n_false_alarms"]


def test_without_scores_the_panel_says_what_to_run(page: Page) -> None:
    origin = page.page.url.split("/datasets")[0]
    page.page.goto(f"{origin}/datasets/{UNSCORED}?workspace=triage")
    page.page.get_by_text(f"Run: curate score {UNSCORED}").wait_for()
    page.page.get_by_text("0 of 3 images looked at").wait_for()
    page.page.get_by_text("There are no saved views yet.").wait_for()
    page.save("threshold-empty.png")
    assert page.elsewhere == []
