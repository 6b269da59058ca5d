"""Draws the pictures of the documentation: python docs/pictures.py scenes triage summary evaluate.

All but scenes and check-report show the demo dataset of the workspace: run `make demo SERVE=0` and
`curate propose demo` first.
"""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from PIL import Image

from curate.defects import DEFECTS
from curate.demo_data import DEFECTS_OF
from curate.drawing import Array
from curate.files import write_bytes
from curate.images import encode_png
from curate.registry import lookup
from curate.scenes.scene import render

FOLDER = Path(__file__).resolve().parent / "pictures"
SHOWN = (  # section, defect, seed of the parts shown
    ("acf", "foreign_particle", 5),
    ("coverlay", "scratch", 4),
    ("trace", "mousebite", 3),
    ("sus", "stain", 2),
    ("shield", "scratch", 6),
)
CELL_HW = (136, 170)
GAP_PX = 6
LABEL_PX = 16
PAPER = 255
OUTLINE_RGB = (0, 255, 255)
DATASET = "demo"


def scenes() -> Path:
    """A normal part of each section, and below it an anomalous one with the outline of its mask."""
    columns = []
    for section, defect_name, seed in SHOWN:
        normal = render(section, np.random.default_rng(seed)).image
        rng = np.random.default_rng(seed + 100)
        scene = render(section, rng)
        apply = lookup(DEFECTS, defect_name, "defect").apply
        sizes = DEFECTS_OF[section][defect_name]
        image, gt_mask = apply(scene.image, rng, scene.um_per_px, scene.layers, **sizes)
        columns.append(np.vstack([_cell(f"{section}: normal", normal, None),
                                  _cell(defect_name.replace("_", " "), image, gt_mask)]))  # fmt: skip
    path = FOLDER / "demo-scenes.png"
    write_bytes(path, encode_png(np.hstack(columns), compression=9))
    return path


def _cell(label: str, image: Array, gt_mask: Array | None) -> Array:
    """One labelled picture with a white margin, uint8."""
    height, width = CELL_HW
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if gt_mask is not None:
        mask = cv2.resize(gt_mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA) > 0
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
        outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, outlines, -1, OUTLINE_RGB, 1)
    cell = np.full((height + LABEL_PX + GAP_PX, width + GAP_PX, 3), PAPER, dtype=np.uint8)
    cell[LABEL_PX : LABEL_PX + height, :width] = small
    cv2.putText(cell, label, (1, LABEL_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.40, (40, 40, 40), 1, cv2.LINE_AA)
    return cell


@contextmanager
def _triage_page() -> Iterator[Any]:
    """The triage page on the demo dataset, in a real browser, highest scores first, painted."""
    from curate.store.app import serve
    from curate.store.server import connect
    from curate.workspace import Workspace

    sys.path.insert(0, str(FOLDER.parent.parent))
    from tests.browser.page import opened

    with connect(Workspace.at().home), serve(DATASET, view="highest scores") as app, opened(app.url) as page:
        page.settled()
        yield page


def _kept(screenshot: bytes, name: str) -> Path:
    """Keep a picture of the App in few colours, among which its own small coloured words are not lost."""
    path = FOLDER / name
    shot = Image.open(io.BytesIO(screenshot)).convert("RGB")
    shot.quantize(256, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    return path


def triage() -> Path:
    """The triage page, with its panels."""
    with _triage_page() as page:
        page.page.locator("#curate-threshold canvas").wait_for()
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        return _kept(page.page.screenshot(), "triage.png")


def keys() -> Path:
    """The card of keys."""
    with _triage_page() as page:
        page.page.set_viewport_size({"width": 1280, "height": 800})
        page.page.locator("#curate-triage [data-queue]").first.wait_for()
        page.settled()
        page.page.keyboard.press("?")
        page.page.locator("#curate-help").wait_for()
        return _kept(page.page.screenshot(), "triage-keys.png")


def queues() -> Path:
    """The list of queues on it."""
    with _triage_page() as page:
        page.page.locator("[data-cy=saved-views-selection]").click()
        page.page.get_by_role("option").first.wait_for()
        page.page.wait_for_timeout(500)
        upper = {"x": 0, "y": 0, "width": 1440, "height": 620}
        return _kept(page.page.screenshot(clip=upper), "triage-queues.png")


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
        return _kept(page.page.screenshot(), "threshold-panel.png")


def side_by_side() -> Path:
    """A defect in the panel that compares: its map, and the normal image nearest to it."""
    with _comparing("curate-compare[data-image]", "Side by side", "side-by-side") as page:
        page.locator(".curate-map[data-painted]").wait_for()
        page.locator(".curate-near").first.wait_for()
    return FOLDER / "side-by-side.png"


def density() -> Path:
    """Where the drawn defects of each category lie."""
    from curate.steps.density import run
    from curate.steps.record import Context
    from curate.store.server import connect
    from curate.workspace import Workspace

    workspace, path = Workspace.at(), FOLDER / "density.png"
    with connect(workspace.home):
        run(Context(workspace, workspace.existing(DATASET)), "truth", out=path, overwrite=True)
    return path


@contextmanager
def _comparing(panel: str, tab: str, name: str) -> Iterator[Any]:
    """The first image with the highest score in a tab of its own; its picture when the block ends."""
    from curate.store.app import serve
    from curate.store.server import connect
    from curate.workspace import Workspace

    sys.path.insert(0, str(FOLDER.parent.parent))
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
        shot = Image.open(
            io.BytesIO(page.page.screenshot(clip={"x": 32, "y": 36, "width": 1216, "height": 728}))
        )
    small = shot.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT)
    small.save(FOLDER / f"{name}.png", optimize=True)


def summary() -> Path:
    """What a build draws of the demo dataset."""
    from curate.workspace import Workspace

    drawn = Workspace.at().existing(DATASET).root / "summary.png"
    path = FOLDER / "summary.png"
    Image.open(drawn).convert("RGB").quantize(256).save(path, optimize=True)
    return path


def check_report() -> Path:
    """The report of the checks on drawn images that were damaged in a few ways, in a real browser."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        _report_on_damaged(Path(folder), page)
        shot = _shot(page)
    path = FOLDER / "check-report.png"
    shot.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)
    return path


def evaluate() -> Path:
    """The evaluation of the demo dataset: its top, and the pictures of one category, in a real browser."""
    from curate.evaluation import Options
    from curate.steps import evaluate as step
    from curate.steps import evaluation_outputs
    from curate.steps.record import Context
    from curate.workspace import Workspace

    workspace = Workspace.at()
    context = Context(workspace, workspace.existing(DATASET))
    costs = Options(defect_rate=0.01, cost_miss=100, cost_false_alarm=1, cost_review=0.3)
    result = step.run(context, (), costs)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "evaluation.html"
        evaluation_outputs.write(context, result["evaluation"], result["evaluated_at"], page, None)
        with _browsed(page) as shown:
            begin, end = (_top(shown, name) for name in ("By kind of defect", "From map to image score"))
            first = _top(shown, "Figures")
            path = _clipped(shown, (0, first - 20), "evaluate.png")
            _clipped(shown, (begin - 10, end - 20), "evaluate-detail.png")
    return path


def _top(shown: Any, heading: str) -> float:
    """Where the first heading of a name begins on the page."""
    return float(shown.get_by_role("heading", name=heading, exact=True).first.bounding_box()["y"])


def _clipped(shown: Any, span: tuple[float, float], name: str) -> Path:
    """Keep a horizontal strip of a page as a picture of few colours."""
    clip = {"x": 0, "y": span[0], "width": 1200, "height": span[1] - span[0]}
    shot = Image.open(io.BytesIO(shown.screenshot(full_page=True, clip=clip)))
    path = FOLDER / name
    shot.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)
    return path


def _report_on_damaged(folder: Path, page: Path) -> None:
    """Draw a small dataset, damage it, and write the report of its checks."""
    from curate import gate
    from curate.demo_data import write_demo
    from curate.recipe import Source
    from curate.steps import check, check_outputs, ingest, split
    from curate.steps.record import Context
    from curate.workspace import Workspace

    root = write_demo(folder / "fpc", sections=("acf", "coverlay"), n_train=20, n_good=6, n_per_defect=3)
    _damage(root)
    workspace = Workspace.at(folder / "home")
    context = Context(workspace, workspace.dataset("fpc-line-3"))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    result = check.run(context)
    limits = {"limits": {"errors": 0, "warnings": 20}, "checks": {"specks": {"max_fraction": 0.05}}}
    judged = gate.judge_result(limits, result)
    check_outputs.write(context, {**result, "gate": judged, "fixes": []}, page, None)


def _damage(root: Path) -> None:
    """A copy under two labels, a grey image, and masks that are empty, specked, or of another size."""
    good, defect = sorted((root / "acf/test/good").glob("*.png")), root / "acf/test/foreign_particle"
    (root / "acf/test/good/copy.png").write_bytes(sorted(defect.glob("*.png"))[0].read_bytes())
    Image.open(good[1]).convert("L").save(good[1])
    masks = sorted((root / "acf/ground_truth").rglob("*.png"))
    for path, change in zip(masks[:3], (_emptied, _specked, _cut), strict=True):
        Image.fromarray(change(np.asarray(Image.open(path)).copy())).save(path)


def _emptied(mask: Array) -> Array:
    return np.zeros_like(mask)


def _specked(mask: Array) -> Array:
    mask[30:200:55, 20:22] = 255
    return mask


def _cut(mask: Array) -> Array:
    return mask[:-16]


def _shot(page: Path) -> Image.Image:
    """The top of a page and its first findings."""
    with _browsed(page) as shown:
        shown.get_by_role("button", name="Open all").click()
        content = shown.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": 1200, "height": 2280})
    return Image.open(io.BytesIO(content))


@contextmanager
def _browsed(page: Path) -> Iterator[Any]:
    """A page in a browser window of 1200 px."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(FOLDER.parent.parent))
    from tests.browser.page import ARGUMENTS, BROWSERS

    program = next(found for found in map(shutil.which, BROWSERS) if found)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        shown = browser.new_page(viewport={"width": 1200, "height": 900})
        shown.goto(page.as_uri())
        yield shown
        browser.close()


PICTURES = {
    "scenes": scenes,
    "triage": triage,
    "triage-keys": keys,
    "triage-queues": queues,
    "threshold-panel": threshold_panel,
    "side-by-side": side_by_side,
    "density": density,
    "summary": summary,
    "check-report": check_report,
    "evaluate": evaluate,
}

if __name__ == "__main__":
    names = sys.argv[1:] or list(PICTURES)
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        sys.exit(f"Unknown picture {', '.join(unknown)}. Known: {', '.join(PICTURES)}.")
    for name in names:
        print(PICTURES[name]())
