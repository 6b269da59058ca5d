"""What masks of 200 anomalous images cost a person: with proposals, and drawn by hand.

    python benchmarks/triage_session.py --tiles PATH/magnetic_tile [--n-images 200] [--n-drawn 20]

PaDiM is fitted on normal magnetic tiles, and masks are proposed from its maps as `curate propose` does it.
Then the page is opened in a real browser, and a script does what an annotator would do who knows the true
masks:

with proposals: y where the proposed mask of the image has an IoU of --accepted (0.5) or more with the true
    one, else d (the proposal is wrong, and is taken away), or k where there is none. Those that are not
    accepted are then drawn in the queue "masks to draw": the first --n-drawn really, and their mean stands
    for all of them.
without: every image is drawn in Annotate mode: a click to enter it; for each true region (the largest, at
    most --most-regions) a click to choose masks, p for the pen, one stroke along the outline, a right click
    that closes it and a click out of its form; a click back, and y. This is done for the first --n-drawn
    images, too. Whether the stored mask has the wanted IoU is reported, too.

Actions are keys, clicks and strokes. Seconds are told twice. scripted_s is what the script took: the page's
share, without a person. person_s is a person alone by the keystroke-level model (Card, Moran and Newell 1980,
doi:10.1145/358886.358895): K 0.28 s a key, P + B 1.3 s a click, M 1.35 s for looking at an image; a stroke
takes P + B and its length at DRAWN_PX_PER_S pixels of the screen in a second. That speed is assumed, not
measured.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from methods import image_of, pair  # noqa: E402

import detectors  # noqa: E402
from curate import drawn_masks  # noqa: E402
from curate.images import encode_png  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.masks import label_regions  # noqa: E402
from curate.proposal_table import rows_of  # noqa: E402
from curate.proposals import AUTO  # noqa: E402
from curate.propose import How, drawn, propose  # noqa: E402
from curate.splits import assign  # noqa: E402
from curate.steps.propose_threshold import QUANTILE, of_normals  # noqa: E402
from curate.store import dataset, heatmaps, verdicts  # noqa: E402
from curate.store.app import serve  # noqa: E402
from curate.store.proposals import save_proposals  # noqa: E402
from curate.store.server import connect  # noqa: E402
from curate.tables import from_rows  # noqa: E402
from tests.browser.page import Page, opened  # noqa: E402
from tests.helpers.stored import PREDICTION_COLUMNS, SAMPLE_COLUMNS  # noqa: E402

KEY_S, CLICK_S, LOOK_S = 0.28, 1.3, 1.35
DRAWN_PX_PER_S = 150.0
N_NORMAL = 60
STEP_PX = 3.0  # of the screen, between two points of an outline
SHOWN = "() => new URL(location.href).searchParams.get('id')"


@dataclass
class Case:
    """An anomalous image: its row, true mask, anomaly map, and what is proposed."""

    row: dict[str, Any]
    gt_mask: np.ndarray
    anomaly_map: np.ndarray
    found: list[Any] = field(default_factory=list)

    def iou(self, mask: np.ndarray) -> float:
        return float((mask & self.gt_mask).sum() / max(1, (mask | self.gt_mask).sum()))


@dataclass
class Spent:
    """What was done for some images."""

    n_images: int = 0
    keys: int = 0
    clicks: int = 0
    strokes: int = 0
    stroke_px: float = 0.0
    scripted_s: float = 0.0

    def person_s(self) -> float:
        by_hand = self.keys * KEY_S + (self.clicks + self.strokes) * CLICK_S
        return self.n_images * LOOK_S + by_hand + self.stroke_px / DRAWN_PX_PER_S

    def each(self) -> dict[str, float]:
        """Means per image."""
        n = max(1, self.n_images)
        told = {name: value / n for name, value in asdict(self).items() if name != "n_images"}
        told |= {"actions": (self.keys + self.clicks + self.strokes) / n, "person_s": self.person_s() / n}
        return {name: round(value, 3) for name, value in told.items()}


def cases(root: Path, n_images: int, n_train: int, cache: Path) -> tuple[list[Case], float]:
    """Anomalous images with their maps, and the threshold of the maps."""
    samples, _ = build_table(root, "magnetic_tile")
    table = samples.merge(assign(samples, 0, policy="random"), on="sample_id").sample(frac=1, random_state=0)
    split, normal = table["assigned_split"], table["label"] == "normal"
    train = table[normal & (split == "train")].to_dict("records")[:n_train]
    held = table[normal & (split == "calibration")].to_dict("records")[:N_NORMAL]
    detector = detectors.create("padim", seed=0, n_threads=1, cache_folder=cache)
    detector.fit([image_of(row) for row in train])
    normals = [_map(each) for each in detector.predict([image_of(row) for row in held])]
    cut = float(of_normals(normals, sum(each.size for each in normals), QUANTILE)[0] or 0)
    made = []
    for row in table[~normal].to_dict("records"):
        image, mask = pair(row)
        if mask is None or len(made) == n_images:
            continue
        answer = _map(next(iter(detector.predict([image]))))
        made.append(Case(row, mask, answer, propose(image, answer, cut, How(AUTO))))
    return made, cut


def _map(answer: Any) -> np.ndarray:
    return np.asarray(answer.map, dtype=np.float32)


def plant(name: str, root: Path, given: list[Case], cut: float, proposals: bool) -> None:
    """The images as a dataset without the true masks; with an empty field of proposals, or a full one."""
    (root / "display").mkdir(parents=True)
    top = max(float(case.anomaly_map.max()) for case in given)
    rows, predictions, proposed = [], [], []
    for number, case in enumerate(given):
        sample_id = case.row["sample_id"]
        rows.append(
            {key: case.row[key] for key in SAMPLE_COLUMNS} | {"gt_mask_path": None, "mask_rule": None}
        )
        shades = np.clip(case.anomaly_map / top * 255, 0, 255).astype(np.uint8)
        (root / "display" / f"{sample_id}.png").write_bytes(encode_png(shades))
        predictions.append({
            "sample_id": sample_id, "detector": "padim", "raw_map": None,
            "display_map": f"display/{sample_id}.png", "anomaly_score": float(len(given) - number),
        })  # fmt: skip
        facts = {"sample_id": sample_id, "detector": "padim", "threshold": cut, "um_per_px": None}
        proposed += rows_of(case.found, facts, []) if proposals else []
    dataset.save_samples(name, from_rows(rows, SAMPLE_COLUMNS))
    heatmaps.save_predictions(name, "padim", from_rows(predictions, PREDICTION_COLUMNS), root, 0.5)
    save_proposals(name, "padim", proposed)


def begun(page: Page) -> None:
    """Open the first image, with what is proposed on it."""
    page.page.set_viewport_size({"width": 1280, "height": 800})
    page.tiles().nth(0).wait_for()
    page.page.wait_for_function("() => window.curateIdle?.()")
    page.page.wait_for_timeout(3000)
    page.page.keyboard.press("o")
    page.page.wait_for_selector("[data-cy=modal]")
    page.page.wait_for_timeout(3000)
    page.page.keyboard.press("v")
    page.page.wait_for_timeout(1000)


def moved_on(page: Page, key: str, n_stored: int, name: str) -> None:
    """Press a key that decides, and wait until it is stored and the page takes the next."""
    page.page.keyboard.press(key)
    page.page.wait_for_function("() => window.curateIdle()")
    while len(verdicts.read_log(name)) < n_stored:
        page.page.wait_for_timeout(20)


def by_keys(page: Page, name: str, given: list[Case], accepted: float) -> tuple[Spent, list[Case]]:
    """Go through all images with keys; those whose proposal is not taken are returned."""
    spent, left = Spent(), []
    begun(page)
    for number, case in enumerate(given, start=1):
        started = time.perf_counter()
        right = case.iou(drawn(case.found, case.gt_mask.shape)) >= accepted
        moved_on(page, "y" if right else "d" if case.found else "k", number, name)
        left += [] if right else [case]
        spent.scripted_s += time.perf_counter() - started
        spent.n_images += 1
        spent.keys += 1
    return spent, left


def outlines(mask: np.ndarray, most: int) -> list[np.ndarray]:
    """Points (x, y) in pixels along the largest regions of a mask."""
    labels, n_regions = label_regions(mask)
    sizes = np.bincount(labels.ravel(), minlength=n_regions + 1)[1:]
    found = []
    for number in np.argsort(-sizes, kind="stable")[:most] + 1:
        own = (labels == number).astype(np.uint8)
        contour = max(cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
        found.append(contour[:, 0, :].astype(float) + 0.5)
    return found


def draw(page: Page, case: Case, most: int, spent: Spent) -> None:
    """Draw an image's true regions with the pen, and go back to where keys decide."""
    page.page.locator("[data-cy=annotate]").click()
    picture = page.page.locator("[data-cy=lighter-sample-image]")
    picture.wait_for()
    page.page.wait_for_timeout(600)  # the tools are not there at once
    box = picture.bounding_box()
    height, width = case.gt_mask.shape
    for outline in outlines(case.gt_mask, most):
        page.page.locator("[data-cy=segmentation-mode]").click()
        page.page.keyboard.press("p")
        on_screen = outline * (box["width"] / width, box["height"] / height) + (box["x"], box["y"])
        gaps = np.linalg.norm(np.diff(on_screen, axis=0), axis=1)
        points = on_screen[:: max(1, int(STEP_PX / max(1e-6, gaps.mean())))] if len(gaps) else on_screen
        page.page.mouse.move(*points[0])
        page.page.mouse.down()
        for point in points[1:]:
            page.page.mouse.move(*point)
        page.page.mouse.up()
        page.page.mouse.click(*points[-1], button="right")
        page.page.wait_for_timeout(300)
        spent.keys, spent.clicks, spent.strokes = spent.keys + 1, spent.clicks + 2, spent.strokes + 1
        spent.stroke_px += float(gaps.sum())
        if back := page.page.locator("[data-cy=annotate-edit-back]").count():
            page.page.locator("[data-cy=annotate-edit-back]").click()
        spent.clicks += bool(back)
    page.page.locator("[data-cy=explore]").click()
    page.page.wait_for_timeout(600)
    spent.clicks += 2


def by_hand(page: Page, name: str, given: list[Case], most: int, folder: Path) -> tuple[Spent, list[float]]:
    """Draw the masks of all given images; also the IoU of what was stored with the truth."""
    spent, reached = Spent(), []
    n_before = len(verdicts.read_log(name))
    begun(page)
    for number, case in enumerate(given, start=n_before + 1):
        started = time.perf_counter()
        draw(page, case, most, spent)
        moved_on(page, "y", number, name)
        spent.scripted_s += time.perf_counter() - started
        spent.n_images += 1
        spent.keys += 1
        held = verdicts.read_log(name)[-1]
        reached.append(case.iou(drawn_masks.read(folder, held["sample_id"], held["mask"])))
    return spent, reached


def main() -> None:
    """Both ways, and the comparison."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tiles", type=Path, required=True, help="folder of the magnetic tile images")
    options.add_argument("--n-images", type=int, default=200)
    options.add_argument("--n-drawn", type=int, default=20)
    options.add_argument("--n-train", type=int, default=200, help="normal images that PaDiM is fitted on")
    options.add_argument("--accepted", type=float, default=0.5)
    options.add_argument("--most-regions", type=int, default=3)
    options.add_argument("--out", type=Path, default=HERE / "results" / "triage_session.json")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)):
        given, cut = cases(chosen.tiles, chosen.n_images, chosen.n_train, Path(folder) / "cache")
        homes = {name: Path(folder) / "datasets" / name for name in ("proposed", "bare")}
        plant("proposed", homes["proposed"], given, cut, proposals=True)
        plant("bare", homes["bare"], given[: chosen.n_drawn], cut, proposals=False)
        with serve("proposed") as app, opened(app.url, cache=True) as page:
            keyed, left = by_keys(page, "proposed", given, chosen.accepted)
        again, redrawn = Spent(), []
        if left:
            shown = serve("proposed", view="masks to draw")
            with shown as app, opened(app.url, cache=True) as page:
                folder_of = homes["proposed"] / "drawn_masks"
                again, redrawn = by_hand(
                    page, "proposed", left[: chosen.n_drawn], chosen.most_regions, folder_of
                )
        with serve("bare") as app, opened(app.url, cache=True) as page:
            folder_of = homes["bare"] / "drawn_masks"
            manual, reached = by_hand(page, "bare", given[: chosen.n_drawn], chosen.most_regions, folder_of)
    one, share = manual.each(), len(left) / len(given)
    later, first = again.each(), keyed.each()
    both = {name: {"proposals": first[name] + share * later[name], "drawn": one[name]} for name in one}
    content = {
        "n_images": len(given), "n_accepted": len(given) - len(left), "n_drawn": chosen.n_drawn,
        "n_train": chosen.n_train,
        "accepted_iou": chosen.accepted,
        "load_per_core": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2),
        "keys_only_per_image": first, "drawn_after_rejection_per_image": later, "drawn_per_image": one,
        "drawn_with_wanted_iou": sum(value >= chosen.accepted for value in [*redrawn, *reached]),
        "n_drawn_in_all": len(redrawn) + len(reached),
        "per_image": {name: {way: round(v, 2) for way, v in each.items()} for name, each in both.items()},
    }  # fmt: skip
    chosen.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
