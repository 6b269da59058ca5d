"""All detectors on three kinds of images: accuracy, recall by size of defect, and cost; several seeds.

    python benchmarks/methods.py --tiles TILES --boards BOARDS [--methods padim npad] [--seeds 0 1 2]

TILES is the magnetic tile set, BOARDS is DeepPCB, each in its own layout; FPC sections are drawn. Images are
divided as `curate split` does it (all images of a part on one side), a new division for every seed, and the
detector's own randomness has that seed too. Detectors have their "cpu" profile, one thread each, and see at
most 200 normal images; the test has at most 200, half of them anomalous. Regions count as found when any
pixel reaches the 99.9th percentile of held-out normal pixels, so no test image decides that threshold.

Finished rows stay in the results file; a run that was ended goes on.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import detectors  # noqa: E402
from curate import ground_truth  # noqa: E402
from curate.demo_data import write_demo  # noqa: E402
from curate.images import read_image  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.masks import boxes_to_mask, label_regions  # noqa: E402
from curate.metrics.auroc import compute as auroc  # noqa: E402
from curate.pixel_histograms import accumulate  # noqa: E402
from curate.splits import assign  # noqa: E402

METHODS = ("padim", "npad", "dfr", "differnet", "uninformed_students", "patch_svdd", "fcdd")
N_MOST = 200
BINS = {"< 0.1 %": (0.0, 0.001), "0.1-1 %": (0.001, 0.01), "> 1 %": (0.01, 1.01)}  # of the image's area
LONGEST = 640  # images are shrunk to this side before anything else, so that memory is bounded


@dataclass
class Data:
    """Images to fit on; images to judge on with their masks (all False: normal; None: no pixels known)."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    masks: list[np.ndarray | None]
    anomalous: np.ndarray


def load(dataset: str, places: dict[str, Path], seed: int) -> dict[str, Data]:
    """The categories of a dataset, divided with a seed."""
    if dataset == "fpc":
        root, format_name = places["fpc"], "mvtec_ad"
    else:
        root, format_name = places[dataset], {"tiles": "magnetic_tile", "boards": "deep_pcb"}[dataset]
    samples, _ = build_table(root, format_name)
    policy = {"fpc": "delivered"}.get(dataset, "random")
    table = samples.merge(assign(samples, seed, policy=policy), on="sample_id")
    return {str(name): _data(rows, seed) for name, rows in table.groupby("category")}


def _data(table: pd.DataFrame, seed: int) -> Data:
    rows = table.sample(frac=1, random_state=seed).to_dict("records")
    normal = [row for row in rows if row["label"] == "normal"]
    train = [row for row in normal if row["assigned_split"] == "train"][:N_MOST]
    rest = [row for row in rows if row["assigned_split"] in ("test", "calibration")]
    good = [row for row in rest if row["label"] == "normal"][: N_MOST // 2]
    bad = [row for row in rest if row["label"] == "anomalous"][: N_MOST // 2]
    test = good + bad
    pairs = [pair(row) for row in test]
    return Data(
        [_shrunk(image_of(row)) for row in train], [image for image, _ in pairs], [mask for _, mask in pairs],
        np.array([row["label"] == "anomalous" for row in test]),
    )  # fmt: skip


def image_of(row: dict[str, Any]) -> np.ndarray:
    return read_image(Path(row["filepath"]))


def pair(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    image = image_of(row)
    mask: np.ndarray | None = np.zeros(image.shape[:2], bool)
    if row["label"] == "anomalous":
        if ground_truth.has_mask(row):
            mask = ground_truth.read(row).mask
        elif row["boxes"] is not None and len(row["boxes"]):
            mask = boxes_to_mask([box["box_xyxy"] for box in row["boxes"]], image.shape[:2])
        else:
            mask = None
        if mask is not None and not mask.any():
            mask = None
    small = _shrunk(image)
    if mask is not None and small.shape != image.shape:
        mask = cv2.resize(mask.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    return small, mask


def _shrunk(image: np.ndarray) -> np.ndarray:
    scale = LONGEST / max(image.shape[:2])
    if scale >= 1:
        return image
    to_wh = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(image, to_wh, interpolation=cv2.INTER_AREA)


def measure(method: str, data: Data, seed: int, cache: Path) -> dict[str, Any]:
    """Fit and judge one detector; CPU seconds are of this process."""
    detector = detectors.create(method, seed=seed, n_threads=1, cache_folder=cache)
    started = time.process_time()
    detector.fit(data.train)
    fitted = time.process_time()
    answers = list(detector.predict(data.test))
    done = time.process_time()
    scores = np.array([each.score for each in answers])
    pairs = [
        (each.map, mask)
        for each, mask in zip(answers, data.masks, strict=True)
        if mask is not None and each.map is not None
    ]
    found: dict[str, Any] = {
        "image_auroc": auroc(scores, data.anomalous),
        "fit_cpu_s": fitted - started,
        "predict_cpu_ms": 1000 * (done - fitted) / len(answers),
        "n_train": len(data.train), "n_test": len(answers), "n_anomalous": int(data.anomalous.sum()),
    }  # fmt: skip
    if pairs:
        pixels = accumulate([a for a, _ in pairs], [b for _, b in pairs])
        found |= {"pixel_auroc": pixels.auroc(), "aupro": pixels.aupro(), "aupro_05": pixels.aupro(0.05)}
        found |= recall(pairs, detector.calibration.pixel_top)
    return found


def recall(pairs: list[tuple[np.ndarray, np.ndarray]], cut: float | None) -> dict[str, Any]:
    """Share of regions of which any pixel reaches the cut, by their share of the image's area."""
    hits: dict[str, list[bool]] = {name: [] for name in BINS}
    for anomaly_map, mask in pairs:
        labels, n = label_regions(mask)
        for region in range(1, n + 1):
            inside = labels == region
            share = inside.sum() / mask.size
            name = next(key for key, (lo, hi) in BINS.items() if lo <= share < hi)
            hits[name].append(bool(anomaly_map[inside].max() >= cut))
    return {"recall": {name: [sum(each), len(each)] for name, each in hits.items()}}


def work(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of one dataset and seed, one for each category and method."""
    places = {name: Path(path) for name, path in job["places"].items()}
    for category, data in load(job["dataset"], places, job["seed"]).items():
        for method in job["methods"]:
            key = {"dataset": job["dataset"], "category": category, "method": method, "seed": job["seed"]}
            if key in job["done"]:
                continue
            yield {**key, **measure(method, data, job["seed"], Path(job["cache"]))}


KEYS = ("dataset", "category", "method", "seed")


def main() -> None:
    """Share the datasets and seeds among processes, and gather their rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tiles", type=Path, help="folder of the magnetic tile images")
    options.add_argument("--boards", type=Path, help="folder of DeepPCB")
    options.add_argument("--methods", nargs="*", default=list(METHODS))
    options.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--out", type=Path, default=HERE / "results" / "methods.json")
    options.add_argument("--job", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.job:
        for row in work(json.loads(Path(chosen.job).read_text())):
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
        return
    rows = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        places = {"fpc": str(Path(folder) / "fpc")}
        write_demo(Path(places["fpc"]), n_train=60, n_good=24, n_per_defect=6)
        places |= {name: str(path) for name in ("tiles", "boards") if (path := getattr(chosen, name))}
        jobs = [
            {"dataset": name, "seed": seed, "methods": chosen.methods, "places": places,
             "cache": str(Path(folder) / "cache"), "done": [{key: row[key] for key in KEYS} for row in rows]}
            for seed in chosen.seeds for name in places
        ]  # fmt: skip
        gather(jobs, chosen.jobs, Path(folder), rows, chosen.out)


def gather(
    jobs: list[dict[str, Any]], n_jobs: int, folder: Path, rows: list[dict[str, Any]], out: Path
) -> None:
    """Run jobs a few at a time; every finished row is stored at once."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    busy = threading.Lock()

    def run(numbered: tuple[int, dict[str, Any]]) -> None:
        number, job = numbered
        path = folder / f"job{number}.json"
        path.write_text(json.dumps(job))
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, __file__, "--job", str(path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for line in process.stdout or ():
            row = json.loads(line)
            with busy:
                rows.append(row)
                rows.sort(key=lambda each: [str(each[key]) for key in KEYS])
                out.write_text(json.dumps({"profile": "cpu", "rows": rows}, indent=1) + "\n")
            print(
                *(row[key] for key in KEYS),
                f"{row['image_auroc']:.3f}",
                f"{row['fit_cpu_s']:.0f} s",
                flush=True,
            )
        if process.wait():
            print(f"a job failed: {job['dataset']}, seed {job['seed']}", file=sys.stderr)

    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(run, enumerate(jobs)))


if __name__ == "__main__":
    main()
