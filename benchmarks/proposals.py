"""Refinements of proposed masks beside the plain threshold of a map, on the magnetic tiles' real masks.

    python benchmarks/proposals.py --tiles TILES

PaDiM is fitted on 200 normal images with its "cpu" profile. Anomalous images of the calibration and the test
part are divided into two halves by tile. On the first half each method gets its parameters and the quantile
of normal calibration pixels that is its threshold, by the highest mean IoU of regions; the second half
reports. The same is reported with the quantile that `curate propose` takes when nothing was decided.

Of each true region (5 pixels or more) the IoU with the proposal that fits best counts, 0 where there is
none. A region is accepted without an edit at an IoU of 0.5 or 0.7. A proposal is idle when it holds no
defect pixel: a person has to reject it.
"""

import argparse
import itertools
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
from PIL import Image  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from methods import image_of, pair  # noqa: E402

import detectors  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.intervals import bootstrap, bootstrapped, grouped_proportion  # noqa: E402
from curate.masks import SPECK_PX, label_regions  # noqa: E402
from curate.proposals import AUTO, REFINEMENTS  # noqa: E402
from curate.propose import How, drawn, propose  # noqa: E402
from curate.region_table import diameter  # noqa: E402
from curate.splits import assign  # noqa: E402
from curate.steps.propose_threshold import QUANTILE, of_normals  # noqa: E402

QUANTILES = (0.99, 0.997, 0.999)
TRIED: dict[str, list[dict[str, Any]]] = {
    "plain": [{}],
    "random_walker": [{"core_share": 0.05, "reach_share": 0.5, "beta": 500.0}, {}],
    "active_contour": [{}, {"reach_share": 0.5}],
    "grabcut": [{}, {"core_share": 0.05}],
    "watershed": [{}, {"core_share": 0.02}, {"core_share": 0.1}, {"reach_share": 0.25}],
    "contrast": [{}, {"core_share": 0.1}, {"core_share": 0.1, "sigma_px": 2.0}],
}
EDGES = (0.0, 16.0, 32.0, 64.0, math.inf)  # equivalent diameter of a true region, pixels
ACCEPTED = (0.5, 0.7)
N_TRAIN, N_NORMAL, N_EACH = 200, 60, 60
SHOWN = 5


@dataclass
class Case:
    """An anomalous image with what the detector says and what is true."""

    image: np.ndarray
    anomaly_map: np.ndarray
    gt_mask: np.ndarray
    part_id: str
    path: str


@dataclass
class Found:
    """What a way of proposing gave, per true region and per image."""

    iou: np.ndarray
    diameter: np.ndarray
    part_ids: list[str]
    image_iou: np.ndarray
    n_proposals: int
    n_idle: int
    cpu_ms: float

    def mean(self) -> float:
        return float(self.iou.mean())


def load(root: Path, seed: int, cache: Path) -> tuple[list[np.ndarray], list[Case], list[Case]]:
    """Maps of normal calibration images, and the two halves of the anomalous images."""
    samples, _ = build_table(root, "magnetic_tile")
    table = samples.merge(assign(samples, seed, policy="random"), on="sample_id")
    table = table.sample(frac=1, random_state=seed)
    split, normal = table["assigned_split"], table["label"] == "normal"
    train = table[normal & (split == "train")].to_dict("records")[:N_TRAIN]
    held = table[normal & (split == "calibration")].to_dict("records")[:N_NORMAL]
    rows = table[~normal & (split != "train")].to_dict("records")
    parts = sorted({str(row["part_id"]) for row in rows})
    np.random.default_rng(seed).shuffle(parts)
    first = set(parts[: len(parts) // 2])
    detector = detectors.create("padim", seed=seed, n_threads=1, cache_folder=cache)
    detector.fit([image_of(row) for row in train])
    maps = [_map(each) for each in detector.predict([image_of(row) for row in held])]
    halves = []
    for wanted in (True, False):
        own = [row for row in rows if (str(row["part_id"]) in first) is wanted]
        pairs = [(row, *pair(row)) for row in own]
        known = [(row, image, mask) for row, image, mask in pairs if mask is not None][:N_EACH]
        answers = [_map(each) for each in detector.predict([image for _, image, _ in known])]
        halves.append(
            [
                Case(image, answer, mask, str(row["part_id"]), row["relative_path"])
                for (row, image, mask), answer in zip(known, answers, strict=True)
            ]
        )
    return maps, halves[0], halves[1]


def _map(answer: Any) -> np.ndarray:
    return np.asarray(answer.map, dtype=np.float32)


def measure(cases: list[Case], threshold: float, how: How) -> Found:
    """Propose for images, and compare with their masks."""
    started, made = time.process_time(), []
    for case in cases:
        made.append(propose(case.image, case.anomaly_map, threshold, how))
    cpu_ms = 1000 * (time.process_time() - started) / len(cases)
    best, sizes, part_ids, whole, n_idle = [], [], [], [], 0
    for case, proposals in zip(cases, made, strict=True):
        masks = [drawn([each], case.gt_mask.shape) for each in proposals]
        n_idle += sum(not (mask & case.gt_mask).any() for mask in masks)
        whole.append(iou(drawn(proposals, case.gt_mask.shape), case.gt_mask))
        labels, n_regions = label_regions(case.gt_mask)
        for number in range(1, n_regions + 1):
            own = labels == number
            if own.sum() > SPECK_PX:
                best.append(max((iou(mask, own) for mask in masks), default=0.0))
                sizes.append(diameter(own.sum()))
                part_ids.append(case.part_id)
    n = sum(map(len, made))
    return Found(np.array(best), np.array(sizes), part_ids, np.array(whole), n, n_idle, cpu_ms)


def iou(left: np.ndarray, right: np.ndarray) -> float:
    """Shared pixels of two masks, as a share of those of either; 0 when both are empty."""
    return float((left & right).sum() / max(1, (left | right).sum()))


def told(found: Found, n_images: int) -> dict[str, Any]:
    """Figures with intervals: tiles are drawn again, since exposures of one tile are no new evidence."""
    every = np.ones(len(found.iou), dtype=bool)
    bins = {
        f"{low:g} to {high:g}" if high < math.inf else f"{low:g} and more": (found.diameter >= low)
        & (found.diameter < high)
        for low, high in itertools.pairwise(EDGES)
    }
    return {
        **_shares(found, every),
        "by_diameter_px": {name: _shares(found, chosen) for name, chosen in bins.items() if chosen.any()},
        "image_iou": float(found.image_iou.mean()),
        "proposals_per_image": found.n_proposals / n_images,
        "idle_per_image": found.n_idle / n_images,
        "cpu_ms_per_image": found.cpu_ms,
    }


def _shares(found: Found, chosen: np.ndarray) -> dict[str, Any]:
    values = found.iou[chosen]
    groups = [name for name, own in zip(found.part_ids, chosen, strict=True) if own]
    replicates = bootstrap(lambda w: w @ values / w.sum(axis=1), groups, [0] * len(groups))
    mean = bootstrapped(float(values.mean()), replicates, len(set(groups)))
    accepted = {f"accepted_{cut:g}": asdict(grouped_proportion(values >= cut, groups)) for cut in ACCEPTED}
    return {"n_regions": int(chosen.sum()), "iou": asdict(mean), **accepted}


def tuned(cases: list[Case], cuts: dict[float, float]) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Each method with its best parameters and quantile on the first half."""
    for method in REFINEMENTS:
        tried = [(params, q) for params in TRIED[method] for q in QUANTILES]
        means = [measure(cases, cuts[q], How(method, params)).mean() for params, q in tried]
        params, q = tried[int(np.argmax(means))]
        print(f"{method}: {params} at {q}, IoU {max(means):.3f} on the first half", flush=True)
        yield method, params, q


def picture(cases: list[Case], threshold: float, how: How, path: Path) -> None:
    """Image, map, the map's threshold, proposal and truth, for images spread over the sizes of defects."""
    fitting = [case for case in cases if (case.anomaly_map >= threshold)[case.gt_mask].any()]
    order = sorted(fitting, key=lambda case: int(case.gt_mask.sum()))
    chosen = [order[round(at)] for at in np.linspace(0, len(order) - 1, SHOWN + 2)[1:-1]]
    top = max(float(case.anomaly_map.max()) for case in chosen)
    rows = [_titles(), *(_row(case, threshold, how, top) for case in chosen)]
    whole = Image.fromarray(np.vstack(rows)[:, :, ::-1])
    whole.quantize(128).save(path, optimize=True)


NAMES = ("image", "anomaly map", "map's threshold", "proposal", "truth")
SIDE, GAP = 190, 6
PINK, CYAN, WHITE = (208, 107, 227), (255, 255, 0), (255, 255, 255)  # blue, green, red


def _titles() -> np.ndarray:
    strip = np.full((24, len(NAMES) * (SIDE + GAP), 3), 255, dtype=np.uint8)
    for number, name in enumerate(NAMES):
        at = (number * (SIDE + GAP) + 2, 17)
        cv2.putText(strip, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return strip


def _row(case: Case, threshold: float, how: How, top: float) -> np.ndarray:
    grey = np.clip(case.anomaly_map / top * 255, 0, 255).astype(np.uint8)
    image = case.image[:, :, ::-1]
    plain = drawn(propose(case.image, case.anomaly_map, threshold), case.gt_mask.shape)
    better = drawn(propose(case.image, case.anomaly_map, threshold, how), case.gt_mask.shape)
    cells = [
        _cell(image), _cell(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)), _cell(image, plain, PINK),
        _cell(image, better, PINK), _cell(image, case.gt_mask, CYAN),
    ]  # fmt: skip
    drawn_hw = case.image.shape[:2]
    return np.hstack(cells)[: round(drawn_hw[0] * SIDE / max(drawn_hw)) + GAP]


def _cell(picture: np.ndarray, mask: np.ndarray | None = None, colour: tuple[int, ...] = WHITE) -> np.ndarray:
    """A picture in a square, with the outline of a mask."""
    scale = SIDE / max(picture.shape[:2])
    to_wh = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    small = cv2.resize(picture, to_wh, interpolation=cv2.INTER_AREA)
    if mask is not None:
        shrunk = cv2.resize(mask.astype(np.uint8), to_wh, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(shrunk, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        small = cv2.drawContours(np.ascontiguousarray(small), outlines, -1, colour, 1)
    cell = np.full((SIDE + GAP, SIDE + GAP, 3), 255, dtype=np.uint8)
    cell[: to_wh[1], : to_wh[0]] = small
    return cell


def main() -> None:
    """Tune on one half, report on the other, and draw the picture."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tiles", type=Path, required=True, help="folder of the magnetic tile images")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=HERE / "results" / "proposals.json")
    options.add_argument("--picture", type=Path, default=HERE.parent / "docs" / "pictures" / "proposals.png")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        normals, first, second = load(chosen.tiles, chosen.seed, Path(folder))
    n_pixels = sum(each.size for each in normals)
    cuts = {q: float(of_normals(normals, n_pixels, q)[0] or 0) for q in {*QUANTILES, QUANTILE}}
    rows = []
    for method, params, q in tuned(first, cuts):
        found = {
            "own": told(measure(second, cuts[q], How(method, params)), len(second)),
            "default": told(measure(second, cuts[QUANTILE], How(method)), len(second)),
        }
        rows.append({"method": method, "params": params, "quantile": q, **found})
        print(f"{method}: IoU {found['own']['iou']['value']:.3f} on the second half", flush=True)
    content = {
        "seed": chosen.seed, "default_quantile": QUANTILE, "n_normals": len(normals),
        "n_images": [len(first), len(second)], "rows": rows,
    }  # fmt: skip
    chosen.out.write_text(json.dumps(content, indent=1) + "\n")
    picture(second, cuts[QUANTILE], How(AUTO), chosen.picture)


if __name__ == "__main__":
    main()
