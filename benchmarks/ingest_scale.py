"""Taking in 100,000 images: seconds, memory, and what a second time costs.

    python benchmarks/ingest_scale.py [--n-images 100000] [--also 1000 10000]

Links to 1,000 small drawn images (96 x 128, grey PNG) in a temporary folder, 2 % of them anomalous with a
mask. The commands are those a person types, each in a process of its own, with its start and imports. Then
the questions that the triage page asks are timed on the stored dataset, with a score for each sample, and
the page itself in a real browser: seconds from the address to the first thumbnail, the App's own programs
warm in the browser's cache. A dataset of few samples is measured beside it: what both take is the App's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
N_FILES = 1000
PER_FOLDER = 1000
ANOMALOUS = 50  # one image in so many


def plant(root: Path, n_images: int) -> None:
    """A folder in the layout `folder`: normal/, anomalous/scratch/ and masks/, all links."""
    import cv2

    rng = np.random.default_rng(0)
    pool = root.parent / "pool"
    pool.mkdir(exist_ok=True)
    rows, columns = np.mgrid[0:96, 0:128]
    for index in range(N_FILES):
        grey = (
            120 + 40 * np.sin(columns * 0.2 + index) + 30 * np.cos(rows * 0.17) + rng.normal(0, 4, (96, 128))
        )
        cv2.imwrite(str(pool / f"{index}.png"), np.clip(grey, 0, 255).astype(np.uint8))
    mask = np.zeros((96, 128), np.uint8)
    mask[20:31, 40:62] = 255
    cv2.imwrite(str(pool / "mask.png"), mask)
    for index in range(n_images):
        kind = "anomalous/scratch" if index % ANOMALOUS == 0 else "normal"
        folder = root / kind / f"{index // PER_FOLDER:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:06d}.png").symlink_to(pool / f"{index % N_FILES}.png")
        if kind != "normal":
            masks = root / "masks" / "scratch" / f"{index // PER_FOLDER:04d}"
            masks.mkdir(parents=True, exist_ok=True)
            (masks / f"{index:06d}.png").symlink_to(pool / "mask.png")


def ingest(root: Path, home: Path) -> dict[str, float]:
    """`curate ingest`: wall seconds, and peak memory of the command without its worker processes."""
    command = [
        sys.executable,
        "-m",
        "curate.cli",
        "ingest",
        str(root),
        "--name",
        "scale",
        "--home",
        str(home),
    ]
    command += ["--format", "folder", "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    result = json.loads(said)
    if status:
        raise SystemExit(f"ingest failed: {said[:2000]}")
    return {
        "wall_s": round(time.perf_counter() - began, 2),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "n_images": result["n_images"],
        "n_decoded": result["n_decoded"],
    }


def questions(home: Path) -> dict[str, float]:
    """Milliseconds of what the triage page asks: the median of five times."""
    from curate import tables
    from curate.store import dataset, heatmaps
    from curate.store.appearance import arrange
    from curate.store.server import connect

    with connect(home):
        ids = [
            row["sample_id"]
            for rows in tables.batches(home / "datasets" / "scale" / "samples.parquet")
            for row in rows
        ]
        scores = np.random.default_rng(0).normal(size=len(ids))
        heatmaps.declare_detector(dataset.load("scale"), "padim")
        dataset.update("scale", {one: {"padim_score": float(s)} for one, s in zip(ids, scores, strict=True)})
        arrange("scale")
        held = dataset.load("scale")

        def first(view: Any) -> int:
            return len(list(view.limit(50)))

        asked = {
            "open the view 'not looked at yet'": lambda: first(held.load_saved_view("not looked at yet")),
            "sort all by score": lambda: first(held.sort_by("padim_score", reverse=True)),
            "anomalous, sorted by score": lambda: first(
                held.match({"label": "anomalous"}).sort_by("padim_score", reverse=True)
            ),
            "count by label": lambda: held.count_values("label"),
        }
        return {name: _median_ms(ask) for name, ask in asked.items()}


def page_s(home: Path) -> dict[str, float]:
    """Seconds from the address of a view to its first thumbnail in Chromium; the median of three times."""
    from curate.store.app import serve
    from curate.store.server import connect
    from tests.browser.page import opened

    found: dict[str, list[float]] = {"not-looked-at-yet": [], "highest-scores": []}
    with connect(home), serve("scale") as app, opened(app.url) as page:
        for view in [*found] * 3:
            began = time.perf_counter()
            page.page.goto(f"{app.url.split('?')[0]}?view={view}")
            page.page.wait_for_selector("[data-cy=looker]")
            found[view].append(round(time.perf_counter() - began, 2))
    return {view: sorted(spent)[1] for view, spent in found.items()}


def _median_ms(ask: Any) -> float:
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        ask()
        spent.append(time.perf_counter() - began)
    return round(1000 * sorted(spent)[2], 1)


def measure(n_images: int) -> dict[str, Any]:
    """All figures for one number of images."""
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "images", Path(folder) / "home"
        plant(root, n_images)
        first, again = ingest(root, home), ingest(root, home)
        for index in range(0, n_images, max(1, n_images // 100)):  # a hundred new pictures
            one = next(iter((root / "normal").rglob("*.png"))).parent / f"new{index}.png"
            one.symlink_to(root.parent / "pool" / f"{index % N_FILES}.png")
        added = ingest(root, home)
        return {
            "n_images": n_images,
            "first": first,
            "images_per_s": round(n_images / first["wall_s"]),
            "unchanged": again,
            "times_as_fast": round(first["wall_s"] / again["wall_s"], 1),
            "a_hundred_more": added,
            "questions_ms": questions(home),
            "page_first_thumbnail_s": page_s(home),
        }


def main() -> None:
    """Measure, print, and keep the figures in --out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-images", type=int, default=100_000)
    parser.add_argument(
        "--also", type=int, nargs="*", default=[1000, 10_000], help="smaller numbers beside it"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results" / "ingest_scale.json")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.n_images)))
        return
    found = []
    for n_images in (*given.also, given.n_images):
        # a process of its own: the system counts a child's peak memory from what its parent had
        told = [sys.executable, __file__, "--one", "--n-images", str(n_images)]
        done = subprocess.run(told, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    given.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
