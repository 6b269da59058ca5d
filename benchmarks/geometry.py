"""How an image comes to the model: squeezed, in its aspect ratio, larger, or in tiles; by size of defect.

    python benchmarks/geometry.py --tiles TILES --boards BOARDS

TILES is the magnetic tile set (103 to 620 px a side, many shapes), BOARDS is DeepPCB (640 x 640), each in its
own layout. Elongated images are made from the first: a strip of 500 x 1250 px is a grid of 2 x 5 crops of
250 x 250 px, each from another image of the same part of the split and never resized; an anomalous strip has
one crop with a defect at a random place. So small defects keep their pixels in it and the picture around
them grows, as on a long part.

The detector is PaDiM with its "cpu" profile and one thread. Images are divided once, as `curate split` does
it. The threshold lets through at most 1 in 20 normal images of the calibration part (conformal, maximum of
the map); a region is found when any of its pixels reaches it. Finished rows stay in the results file.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from methods import image_of, pair  # noqa: E402

import detectors  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.intervals import bootstrap, bootstrapped, proportion  # noqa: E402
from curate.masks import label_regions  # noqa: E402
from curate.metrics import auroc  # noqa: E402
from curate.pixel_histograms import accumulate  # noqa: E402
from curate.ranking import Counts  # noqa: E402
from curate.splits import assign  # noqa: E402
from detectors.base import Prediction  # noqa: E402

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "stretch": ("padim", {"image_hw": (256, 256), "aspect": "stretch"}),
    "keep": ("padim", {}),
    "keep, 512": ("padim", {"image_side": 512}),
    "tiles": ("tiled:padim", {"tile_side": 256}),
}
EDGES = (0, 8, 16, 32, 64, math.inf)  # octaves of a region's equivalent diameter, pixels of the image
FALSE_ALARMS = 0.05
N_MOST = {  # images of each use
    "tiles": {"train": 400, "calibration": 100, "normal": 150, "anomalous": 150},
    "strips": {"train": 60, "calibration": 40, "normal": 30, "anomalous": 60},
    "boards": {"train": 100, "calibration": 40, "normal": 40, "anomalous": 40},
}
CELL, ROWS, COLUMNS = 250, 2, 5


@dataclass
class Data:
    """Images by use; masks are of test images, groups say which of these belong together."""

    train: list[np.ndarray]
    calibration: list[np.ndarray]
    test: list[np.ndarray]
    masks: list[np.ndarray]
    groups: list[str]

    @property
    def anomalous(self) -> np.ndarray:
        """(N,) bool, of the test images."""
        return np.array([bool(mask.any()) for mask in self.masks])


def load(dataset: str, root: Path, format_name: str, seed: int) -> Data:
    """A dataset as it is."""
    n_most = N_MOST[dataset]
    rows = {use: found[: n_most[use]] for use, found in _rows(root, format_name, seed).items()}
    test = rows["normal"] + rows["anomalous"]
    pairs = [(row, *pair(row)) for row in test]
    known = [(row, image, mask) for row, image, mask in pairs if mask is not None]
    return Data(
        [image_of(row) for row in rows["train"]],
        [image_of(row) for row in rows["calibration"]],
        [image for _, image, _ in known], [mask for *_, mask in known],
        [str(row["part_id"]) for row, *_ in known],
    )  # fmt: skip


def load_strips(root: Path, seed: int) -> Data:
    """Elongated images made of magnetic tile images."""
    rng = np.random.default_rng(seed)
    rows = {
        use: [row for row in found if min(int(row["height"]), int(row["width"])) >= CELL]
        for use, found in _rows(root, "magnetic_tile", seed).items()
    }
    normal = {use: [image_of(row) for row in rows[use]] for use in ("train", "calibration", "normal")}
    n_most = N_MOST["strips"]
    strips = {use: [_strip(images, rng) for _ in range(n_most[use])] for use, images in normal.items()}
    test = list(strips["normal"])
    masks = [np.zeros(strip.shape[:2], bool) for strip in test]
    groups = [f"strip {number}" for number in range(len(test))]
    for row in rows["anomalous"][: n_most["anomalous"]]:
        image, mask = pair(row)
        if mask is None:
            continue
        strip, cut = _strip(normal["normal"], rng), _place(mask, rng)
        whole = np.zeros(strip.shape[:2], bool)
        down, right = CELL * rng.integers(ROWS), CELL * rng.integers(COLUMNS)
        strip[down : down + CELL, right : right + CELL] = image[cut]
        whole[down : down + CELL, right : right + CELL] = mask[cut]
        test.append(strip)
        masks.append(whole)
        groups.append(str(row["part_id"]))
    return Data(strips["train"], strips["calibration"], test, masks, groups)


def _rows(root: Path, format_name: str, seed: int) -> dict[str, list[dict[str, Any]]]:
    samples, _ = build_table(root, format_name)
    table = samples.merge(assign(samples, seed, policy="random"), on="sample_id")
    table = table.sample(frac=1, random_state=seed)
    split, normal = table["assigned_split"], table["label"] == "normal"
    chosen: dict[str, pd.Series] = {
        "train": normal & (split == "train"), "calibration": normal & (split == "calibration"),
        "normal": normal & (split == "test"), "anomalous": ~normal & (split == "test"),
    }  # fmt: skip
    return {use: table[wanted].to_dict("records") for use, wanted in chosen.items()}


def _strip(images: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A grid of crops of different images."""
    cells = []
    for number in rng.choice(len(images), ROWS * COLUMNS, replace=False):
        top, left = (int(rng.integers(side - CELL + 1)) for side in images[number].shape[:2])
        cells.append(images[number][top : top + CELL, left : left + CELL])
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    return np.ascontiguousarray(np.vstack(rows))


def _place(mask: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
    """A crop that holds a random pixel of the defect, as near to its middle as the image allows."""
    point_rc = np.argwhere(mask)[rng.integers(mask.sum())]
    starts = [
        int(np.clip(at - CELL // 2, 0, side - CELL)) for at, side in zip(point_rc, mask.shape, strict=True)
    ]
    down, right = (slice(start, start + CELL) for start in starts)
    return down, right


def measure(way: str, data: Data, seed: int, cache: Path) -> dict[str, Any]:
    """Fit, choose the threshold, judge; CPU seconds are of this process."""
    name, settings = WAYS[way]
    detector = detectors.create(name, seed=seed, n_threads=1, cache_folder=cache, **settings)
    started = time.process_time()
    detector.fit(data.train)
    fitted = time.process_time()
    tops = np.sort([_map(answer).max() for answer in detector.predict(data.calibration)])
    rank = math.ceil((1 - FALSE_ALARMS) * (len(tops) + 1))
    cut = float(np.nextafter(tops[rank - 1], np.float32(np.inf)))  # an image is anomalous from the cut on
    before = time.process_time()
    answers = list(detector.predict(data.test))
    per_second = len(answers) / (time.process_time() - before)
    scores, anomalous = np.array([answer.score for answer in answers]), data.anomalous
    maps = [_map(answer) for answer in answers]
    pixels = accumulate(maps, data.masks)
    alarms = [bool(each.max() >= cut) for each, bad in zip(maps, anomalous, strict=True) if not bad]
    return {
        "detector": name, "settings": settings, "seed": seed, "input_hw": list(detector.geometry.input_hw),
        "n_train": len(data.train), "n_calibration": len(tops), "n_normal": len(alarms),
        "n_anomalous": int(anomalous.sum()), "fit_cpu_s": fitted - started, "images_per_cpu_s": per_second,
        "image_auroc": _auroc(scores, anomalous, data.groups), "aupro": pixels.aupro(),
        "aupro_05": pixels.aupro(0.05), "false_alarms": asdict(proportion(sum(alarms), len(alarms))),
        "found": list(_found(maps, data.masks, cut)),
    }  # fmt: skip


def _map(answer: Prediction) -> np.ndarray:
    if answer.map is None:
        raise ValueError("Expected a detector that gives maps.")
    return answer.map


def _auroc(scores: np.ndarray, anomalous: np.ndarray, groups: list[str]) -> dict[str, Any]:
    replicates = bootstrap(
        lambda weights: auroc.of(Counts.of_scores(scores, anomalous, weights)), groups, anomalous.tolist()
    )
    return asdict(bootstrapped(auroc.compute(scores, anomalous), replicates, len(set(groups))))


def _found(maps: list[np.ndarray], masks: list[np.ndarray], cut: float) -> Iterator[dict[str, Any]]:
    """Regions found, by octave of equivalent diameter, with exact intervals."""
    hits: dict[int, list[bool]] = {number: [] for number in range(len(EDGES) - 1)}
    for anomaly_map, mask in zip(maps, masks, strict=True):
        labels, n_regions = label_regions(mask)
        for region in range(1, n_regions + 1):
            inside = labels == region
            diameter = 2 * math.sqrt(inside.sum() / math.pi)
            number = next(index for index, edge in enumerate(EDGES[1:]) if diameter < edge)
            hits[number].append(bool(anomaly_map[inside].max() >= cut))
    for number, each in hits.items():
        above = EDGES[number + 1]
        yield {
            "from_px": EDGES[number], "below_px": None if math.isinf(above) else above,
            "n": len(each), "recall": asdict(proportion(sum(each), len(each))),
        }  # fmt: skip


def main() -> None:
    """Measure what the results file lacks."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tiles", type=Path, required=True, help="folder of the magnetic tile images")
    options.add_argument("--boards", type=Path, required=True, help="folder of DeepPCB")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=HERE / "results" / "geometry.json")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    rows = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    sets = {
        "tiles": lambda: load("tiles", chosen.tiles, "magnetic_tile", chosen.seed),
        "strips": lambda: load_strips(chosen.tiles, chosen.seed),
        "boards": lambda: load("boards", chosen.boards, "deep_pcb", chosen.seed),
    }
    with tempfile.TemporaryDirectory() as cache:
        for dataset, read in sets.items():
            done = {row["way"] for row in rows if (row["dataset"], row["seed"]) == (dataset, chosen.seed)}
            ways = [way for way in WAYS if dataset != "boards" or way != "stretch"]  # they are square anyway
            if not (left := [way for way in ways if way not in done]):
                continue
            data = read()
            for way in left:
                row = {"dataset": dataset, "way": way, **measure(way, data, chosen.seed, Path(cache))}
                rows.append(row)
                chosen.out.write_text(json.dumps({"profile": "cpu", "rows": rows}, indent=1) + "\n")
                print(dataset, way, f"{row['image_auroc']['value']:.3f}", f"{row['aupro']:.3f}", flush=True)


if __name__ == "__main__":
    main()
