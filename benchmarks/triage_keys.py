"""How long a key takes on a set of 10,000 images, in a real browser.

    python benchmarks/triage_keys.py [--n-images 10000] [--n-decisions 100]

Drawn images of 240 x 320 px, each with an anomaly map, every fifth with a defect and a proposed mask; 500
different ones, each copied under its own names, so that the browser's cache cannot help from one to another.
The page is opened as a person opens it, and its keys are pressed, most of them n; between two keys lies
--look-ms, in which the page fetches what comes next. The order of the images is that of the page, highest
scores first.

stored: from the key to the answer, when the decision is on the disk. painted: from the key to the frame in
which the next image is on the screen with its map. Wanted: both under 300 ms at the median. The page measures
itself (performance.measure). For times the machine should do nothing else: its load before is in the result.
CPU milliseconds per key are of the App server, and of the page's own thread; they depend less on what else
runs.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from curate.proposal_table import rows_of  # noqa: E402
from curate.propose import How, propose  # noqa: E402
from curate.store import dataset, heatmaps, verdicts  # noqa: E402
from curate.store.app import serve  # noqa: E402
from curate.store.proposals import save_proposals  # noqa: E402
from curate.store.server import connect  # noqa: E402
from curate.tables import from_rows  # noqa: E402
from tests.browser.page import Page, opened  # noqa: E402
from tests.helpers.stored import PREDICTION_COLUMNS, row, sample_id, table  # noqa: E402

NAME, HEIGHT, WIDTH = "keyed", 240, 320
N_DIFFERENT, ANOMALOUS = 500, 5
KEYS = "nnn1nnunnk"
MEASURES = ("stored", "painted")
WANTED_MS = 300


def draw() -> list[tuple[bytes, bytes, list[Any]]]:
    """Image file, display map's file and proposals of each different picture."""
    rng, made = np.random.default_rng(0), []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for index in range(N_DIFFERENT):
        waves = 40 * np.sin(columns * 0.1 + index) + 30 * np.cos(rows * 0.13)
        grey = 120 + waves + rng.normal(0, 4, rows.shape)
        coarse = rng.random((HEIGHT // 16, WIDTH // 16)).astype(np.float32) * 60
        heat: np.ndarray = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        found: list[Any] = []
        if index % ANOMALOUS == 0:
            at = (int(rng.integers(40, WIDTH - 40)), int(rng.integers(40, HEIGHT - 40)))
            cv2.circle(grey, at, 12, 235.0, -1)
            heat = heat + 180 * np.exp(-((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / 400)
            image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
            found = propose(image, heat.astype(np.float32), 120.0, How("plain"))
        made.append((_png(grey), _png(heat), found))
    return made


def _png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.clip(values, 0, 255).astype(np.uint8))[1].tobytes()


def plant(root: Path, n_images: int) -> None:
    """The dataset with scores, maps, a threshold and proposals, in the workspace that is open."""
    for folder in ("images", "display"):
        (root / folder).mkdir(parents=True)
    made, rows, predictions, proposed = draw(), [], [], []
    rng = np.random.default_rng(1)
    for index in range(n_images):
        name = f"{index:05d}"
        picture, shown, found = made[index % N_DIFFERENT]
        path = root / "images" / f"{name}.png"
        path.write_bytes(picture)
        (root / "display" / f"{name}.png").write_bytes(shown)
        label = "anomalous" if index % ANOMALOUS == 0 else "normal"
        rows.append(row(name, label, filepath=str(path), width=WIDTH, height=HEIGHT))
        predictions.append({
            "sample_id": sample_id(name), "detector": "padim", "raw_map": None,
            "display_map": f"display/{name}.png",
            "anomaly_score": float(rng.normal() + 3 * (label == "anomalous")),
        })  # fmt: skip
        facts = {"sample_id": sample_id(name), "detector": "padim", "threshold": 120.0, "um_per_px": None}
        proposed += rows_of(found, facts, [])
    dataset.save_samples(NAME, table(*rows))
    heatmaps.save_predictions(NAME, "padim", from_rows(predictions, PREDICTION_COLUMNS), root, 1.5)
    save_proposals(NAME, "padim", proposed)


def pressed(page: Page, key: str) -> dict[str, float]:
    """Press a key that decides, and wait until both measures are there: milliseconds by name."""
    names = [f"curate-{name}" for name in MEASURES]
    page.page.evaluate("performance.clearMeasures()")
    page.page.keyboard.press(key)
    page.page.wait_for_function(
        "names => names.every((n) => performance.getEntriesByName(n).length)", arg=names
    )
    read = "names => names.map((name) => performance.getEntriesByName(name)[0].duration)"
    return dict(zip(MEASURES, page.page.evaluate(read, names), strict=True))


def cpu_ms(pid: int) -> float:
    """CPU time of a process so far, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def press_all(page: Page, pid: int, n_decisions: int, look_ms: int) -> dict[str, Any]:
    """Open the first image and decide so many."""
    page.page.set_viewport_size({"width": 1280, "height": 800})
    page.tiles().nth(3).wait_for()
    page.page.wait_for_function("() => window.curateIdle?.()")
    page.page.wait_for_timeout(3000)
    page.page.keyboard.press("o")
    page.page.wait_for_selector("[data-cy=modal]")
    page.page.wait_for_function("() => window.curateIdle()")
    page.page.wait_for_timeout(3000)
    thread = page.page.context.new_cdp_session(page.page)
    thread.send("Performance.enable", {"timeDomain": "threadTicks"})

    def thread_ms() -> float:
        metrics = thread.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    server, own, spent = cpu_ms(pid), thread_ms(), []
    for index in range(n_decisions):
        spent.append(pressed(page, KEYS[index % len(KEYS)]))
        page.page.wait_for_timeout(look_ms)
    found: dict[str, Any] = {}
    for name in MEASURES:
        values = [each[name] for each in spent]
        quantiles = {"median_ms": 50, "p95_ms": 95}
        found[name] = {key: round(float(np.percentile(values, q)), 1) for key, q in quantiles.items()}
    found["server_cpu_ms_per_key"] = round((cpu_ms(pid) - server) / n_decisions, 1)
    found["page_cpu_ms_per_key"] = round((thread_ms() - own) / n_decisions, 1)
    return found


def main() -> None:
    """Plant, press, report."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n-images", type=int, default=10_000)
    options.add_argument("--n-decisions", type=int, default=100)
    options.add_argument("--look-ms", type=int, default=700)
    options.add_argument("--out", type=Path, default=HERE / "results" / "triage_keys.json")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)):
        plant(Path(folder) / "datasets" / NAME, chosen.n_images)
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        with serve(NAME) as app, opened(app.url, cache=True) as page:
            time.sleep(5)  # the server has started, and is at rest
            found = press_all(page, app.process.pid, chosen.n_decisions, chosen.look_ms)
        n_stored = len(verdicts.read_log(NAME))
    asked = {"n_images": chosen.n_images, "n_decisions": chosen.n_decisions, "look_ms": chosen.look_ms}
    content = {**asked, "n_stored": n_stored, "load_per_core_before": round(load, 2), **found}
    content["both_under_300_ms"] = all(found[name]["median_ms"] < WANTED_MS for name in MEASURES)
    chosen.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
