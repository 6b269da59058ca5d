"""The triage page with 100,000 images: seconds until it shows thumbnails, and until they are sorted anew.

    python benchmarks/triage_scale.py [--n-images 100000] [--also 1000 10000]

Links to 1,000 small drawn images, ingested by the command; then scores and maps of two detectors (random, the
anomalous 2 % shifted), a split, a threshold, findings, arrivals and gaps of coverage, stored by the code that
stores real ones. Chromium opens the page as `curate triage` serves it. Measured is the time from the address,
the choice of a queue in the list, or the choice of another field to sort by, until the first thumbnail of the
new order is painted: its picture is drawn, and the sidebar may still count. Every number is the median of
--n-times; the App's own programs are warm in the browser's cache, as on a person's second visit.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
NAME = "scale"
DETECTORS = ("padim", "patchcore")
QUEUES = (
    "not looked at yet", "highest scores", "nearest to the threshold", "disagreement of detectors",
    "gaps of coverage", "flagged by the quality gate", "false alarms", "category: images",
)  # fmt: skip
SORTED_BY = ("margin", "disagreement", "padim_score")
LIMIT_S = 5.0
# whether the tile at the upper left shows a text, and its picture is drawn: more than a few colours
PAINTED = """text => {
  const boxes = [...document.querySelectorAll('[data-cy=looker]')]
    .map(tile => [tile, tile.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && box.bottom > 0)
    .sort((a, b) => (a[1].top - b[1].top) || (a[1].left - b[1].left));
  if (!boxes.length || !boxes[0][0].innerText.includes(text)) return false;
  const canvas = boxes[0][0].querySelector('canvas');
  if (!canvas || !canvas.width) return false;
  const copy = document.createElement('canvas');
  copy.width = 16; copy.height = 12;
  const context = copy.getContext('2d');
  context.drawImage(canvas, 0, 0, 16, 12);
  const pixels = context.getImageData(0, 0, 16, 12).data;
  const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4) colours.add(pixels.slice(i, i + 3).join());
  return colours.size > 8;
}"""


def filled(home: Path) -> dict[str, float]:
    """Store what queues are made of; seconds of each."""
    import pandas as pd

    from curate import tables
    from curate.steps import sync_queues
    from curate.steps.record import Context
    from curate.store import dataset, heatmaps
    from curate.store.appearance import arrange
    from curate.workspace import Workspace

    context = Context(Workspace(home), Workspace(home).dataset(NAME))
    samples = tables.read(context.paths.samples)
    ids, paths, n = list(samples["sample_id"]), list(samples["relative_path"]), len(samples)
    rng = np.random.default_rng(0)
    folder = context.paths.detector("maps")  # the page shows no file from outside the workspace
    shown = maps(folder, 1000)
    spent: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Any]) -> None:
        began = time.perf_counter()
        work()
        spent[what] = round(time.perf_counter() - began, 2)

    for name in DETECTORS:
        scores = rng.normal(size=n) + 2.0 * (samples["label"] == "anomalous").to_numpy()
        rows = {"sample_id": ids, "anomaly_score": scores, "display_map": [shown[i % 1000] for i in range(n)]}
        timed(f"scores of {name}", lambda rows=rows, name=name: heatmaps.save_predictions(
            NAME, name, pd.DataFrame(rows), folder))  # fmt: skip
    parts = ["train" if i % 2 else "calibration" if i % 4 else "test" for i in range(n)]
    timed(
        "split", lambda: dataset.save_split(NAME, pd.DataFrame({"sample_id": ids, "assigned_split": parts}))
    )
    timed("threshold and margin", lambda: heatmaps.save_threshold(NAME, DETECTORS[0], 2.5))
    timed("arrivals", lambda: sync_queues.arrivals(context))
    timed("disagreement", lambda: sync_queues.disagreement(context, DETECTORS))
    kinds = (("blur", "warning"), ("specks", "note"), ("mask_size", "error"))
    findings = pd.DataFrame(
        [
            {"code": code, "severity": severity, "relative_path": paths[i], "related": []}
            for i in range(0, n, 37)
            for code, severity in (kinds[i % 3],)
        ]
    )
    known = dict(zip(paths, ids, strict=True))
    timed("severity", lambda: sync_queues.severities(context, findings, known))
    embedded(context.paths.root, samples)
    timed("gaps of coverage", lambda: sync_queues.gaps(context))
    timed("views and indexes", lambda: arrange(NAME))
    timed("views again", lambda: arrange(NAME))
    return spent


def maps(folder: Path, n: int) -> list[str]:
    """Names of made-up maps of the size of the images, with a bright spot each."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for index in range(n):
        small = rng.normal(40, 8, (24, 32))
        top, left = rng.integers(0, 16), rng.integers(0, 24)
        small[top : top + 6, left : left + 6] += 150
        large = cv2.resize(np.clip(small, 0, 255).astype(np.uint8), (128, 96))
        cv2.imwrite(str(folder / f"{index}.png"), large)
    return [f"{index}.png" for index in range(n)]


def embedded(root: Path, samples: Any) -> None:
    """Vectors in the cache of embeddings, as long as the real ones; pictures that are the same share one."""
    from curate.embeddings import COLUMNS, KIND
    from curate.measurement_cache import KEY, open_cache
    from curate.steps.embeddings import CACHE

    rng = np.random.default_rng(2)
    with open_cache(root / CACHE, KIND, COLUMNS) as cache:
        keys = sorted(set(samples[KEY]))
        drawn = rng.normal(size=(len(keys), 152)).astype(np.float16)
        cache.add([{KEY: key, "vector": row.tobytes()} for key, row in zip(keys, drawn, strict=True)])


class Clock:
    """An open page, and how long it takes until what is expected is painted."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address

    def told(self, view: Any) -> str:
        """What the first thumbnail of a view says: its score, as the App rounds it."""
        score = float(view.limit(1).values(f"{DETECTORS[0]}_score")[0])
        return f"{round(score, 3):g}"

    def until(self, text: str, act: Callable[[], None]) -> tuple[float, float]:
        """Seconds from before an act until the thumbnail with this text is painted first: wall and processor.

        The second are those of browser, server and database together: what a machine without other work
        needs at most, when it does one thing at a time.
        """
        began, used = time.perf_counter(), _processor_s()
        act()
        self.page.wait_for_function(PAINTED, arg=text, polling=20)
        return time.perf_counter() - began, _processor_s() - used

    def open(self, slug: str, view: Any) -> tuple[float, float]:
        """From an address to the first thumbnail."""
        self.page.goto("about:blank")
        return self.until(self.told(view), lambda: self.page.goto(f"{self.address}?view={slug}"))

    def choose(self, slug: str, view: Any) -> tuple[float, float]:
        """From a click on a queue in the list of views to its first thumbnail."""
        self.page.locator("[data-cy=saved-views-selection]").click()
        option = self.page.locator(f"[data-cy=saved-views-{slug}-selection-option]")
        option.wait_for()
        return self.until(self.told(view), option.click)

    def sort(self, field: str, view: Any) -> tuple[float, float]:
        """From a click on a field under "Sort by" to the first thumbnail."""
        self.page.locator('[data-cy="selector-Sort by"]').click()
        option = self.page.locator(f"[data-cy=selector-result-{field}]")
        option.wait_for()
        return self.until(self.told(view.sort_by(field)), option.click)


def _processor_s() -> float:
    """Processor seconds of this process and all that it started and that still run."""
    import psutil

    own = psutil.Process()
    spent = 0.0
    for one in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            used = one.cpu_times()
            spent += used.user + used.system
    return spent


def page_s(home: Path, n_times: int) -> dict[str, dict[str, list[list[float]]]]:
    """Wall and processor seconds of each way to come to thumbnails, each time it was measured."""
    from curate.store.app import serve
    from curate.store.dataset import load
    from curate.store.queues import listed
    from curate.store.server import connect
    from tests.browser.page import opened

    found: dict[str, dict[str, list[list[float]]]] = {"open": {}, "choose": {}, "sort": {}, "sort all": {}}

    def note(kind: str, name: str, spent: tuple[float, float]) -> None:
        found[kind].setdefault(name, []).append([round(value, 2) for value in spent])

    with connect(home):
        held = load(NAME)
        slugs = {queue.name: queue.slug for queue in listed(NAME, counted=False)}
        views = {name: held.load_saved_view(name) for name in QUEUES if name in slugs}
        for _ in range(n_times):  # a server each time: it remembers how the grid was sorted last
            with serve(NAME) as app, opened(app.url) as page:
                clock = Clock(page.page, app.url.split("?")[0])
                for name, view in views.items():
                    note("open", name, clock.open(slugs[name], view))
                before = None  # two queues may begin with the same image: then no change would be seen
                for name, view in [*views.items()][1:]:
                    if clock.told(view) != before:
                        note("choose", name, clock.choose(slugs[name], view))
                    before = clock.told(view)
                for kind, name in (("sort", "not looked at yet"), ("sort all", None)):
                    if name:
                        clock.open(slugs[name], views[name])
                    else:
                        page.page.goto(clock.address)
                        page.page.wait_for_selector("[data-cy=looker]")
                    for field in SORTED_BY:
                        note(kind, field, clock.sort(field, views[name] if name else held))
    return found


def measure(n_images: int, n_times: int, keep: Path | None) -> dict[str, Any]:
    """All figures for one number of images."""
    from benchmarks.ingest_scale import ingest, plant
    from curate.store.server import connect

    with tempfile.TemporaryDirectory() as temporary:
        root = keep or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        home = root / "home"
        if not home.exists():
            plant(root / "images", n_images)
            ingest(root / "images", home)
        os.environ["CURATE_HOME"] = str(home)
        with connect(home):
            stored = filled(home)
        load_before = os.getloadavg()[0]
        times = page_s(home, n_times)
    wall, processor = (
        {
            kind: {name: sorted(one[which] for one in spent)[len(spent) // 2] for name, spent in held.items()}
            for kind, held in times.items()
        }
        for which in (0, 1)
    )
    worst = max(value for held in wall.values() for value in held.values())
    return {
        "n_images": n_images, "stored_s": stored, "first_thumbnail_s": wall, "slowest_s": worst,
        "limit_s": LIMIT_S, "processor_s": processor, "each_time_s": times,
        "load_before": round(load_before, 1), "n_cores": os.cpu_count(),
    }  # fmt: skip


def main() -> None:
    """Measure, print, and keep the figures in --out; ends with 1 where the page is slower than the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-images", type=int, default=100_000)
    parser.add_argument(
        "--also", type=int, nargs="*", default=[1000, 10_000], help="smaller numbers beside it"
    )
    parser.add_argument("--n-times", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, help="folder for the images and the workspace, used again if there"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results" / "triage_scale.json")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.n_images, given.n_times, given.keep)))
        return
    found = []
    for n_images in (*given.also, given.n_images):
        command = [
            sys.executable,
            __file__,
            "--one",
            "--n-images",
            str(n_images),
            "--n-times",
            str(given.n_times),
        ]
        command += ["--keep", str(given.keep / str(n_images))] if given.keep else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    given.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    if any(one["slowest_s"] >= LIMIT_S for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
