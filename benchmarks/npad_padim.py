"""N-pad beside PaDiM where parts lie a little differently: misaligned FPC sections, and magnetic tiles.

    python benchmarks/npad_padim.py TILES [--seeds 3] [--side 192] [--only fpc_acf]

TILES is the magnetic tile set in its own layout. FPC sections are drawn and then shifted by up to 8 px and
turned by up to 1 degree, beside the small differences that they have anyway. N-pad's defaults were chosen on
the sections acf and coverlay of design 0 and on half A of the tiles' test parts; what is printed and stored
is about design 1 and half B. Both detectors see the same features; every seed chooses other channels.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import detectors  # noqa: E402
from curate.defects import DEFECTS  # noqa: E402
from curate.demo_data import DEFECTS_OF  # noqa: E402
from curate.formats import magnetic_tile  # noqa: E402
from curate.metrics import aupro, auroc, pixel_auroc  # noqa: E402
from curate.registry import lookup  # noqa: E402
from curate.scenes.scene import render  # noqa: E402
from detectors.backbones import Runner  # noqa: E402

SHIFT_PX, TURN_DEGREES, MARGIN = 8.0, 1.0, 16
SECTION_HW = (224, 288)
N_TRAIN, N_GOOD, N_PER_DEFECT = 60, 24, 8
N_TIMED = 32
N_TILES_TRAIN, N_TILES_NORMAL, N_TILES_PER_KIND = 200, 150, 60


@dataclass
class Data:
    """Images to fit on, and images to judge on with their masks (all False: normal)."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    masks: list[np.ndarray]


def section(name: str, design: int) -> Data:
    """A drawn FPC section whose parts are shifted and turned."""
    rng = np.random.default_rng([design, len(name)])
    height, width = SECTION_HW
    around = (height + 2 * MARGIN, width + 2 * MARGIN)

    def moved(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = (around[1] / 2, around[0] / 2)
        matrix = cv2.getRotationMatrix2D(centre, rng.uniform(-TURN_DEGREES, TURN_DEGREES), 1.0)
        matrix[:, 2] += rng.uniform(-SHIFT_PX, SHIFT_PX, size=2)
        cut = np.s_[MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
        turned = cv2.warpAffine(image, matrix, around[::-1], **flags)[cut]
        drawn = cv2.warpAffine(mask.astype(np.uint8) * 255, matrix, around[::-1], **flags)[cut]
        return np.ascontiguousarray(turned), drawn > 127

    def picture(defect: str | None) -> tuple[np.ndarray, np.ndarray]:
        scene = render(name, rng, around, design_seed=design)
        if defect is None:
            return moved(scene.image, np.zeros(around, bool))
        sizes = DEFECTS_OF[name][defect]
        return moved(
            *lookup(DEFECTS, defect, "defect").apply(scene.image, rng, scene.um_per_px, scene.layers, **sizes)
        )

    train = [picture(None)[0] for _ in range(N_TRAIN)]
    test = [picture(None) for _ in range(N_GOOD)]
    for defect in DEFECTS_OF[name]:
        pairs = [picture(defect) for _ in range(N_PER_DEFECT)]
        test += [pair for pair in pairs if pair[1].any()]  # others lie in the margin
    return Data(train, [image for image, _ in test], [mask for _, mask in test])


def tiles(root: Path, half: str) -> Data:
    """Magnetic tiles: normals of some parts to fit on; images of half A or B of the other parts."""
    table = magnetic_tile.read(root)
    rng = np.random.default_rng(0)
    normal = table["label"] == "normal"
    parts = np.array(sorted(set(table["part_id"])))
    rng.shuffle(parts)
    in_order = table.assign(rank=table["part_id"].map({part: n for n, part in enumerate(parts)}))
    clean = in_order[normal].sort_values(["rank", "filepath"])
    train = clean.iloc[:N_TILES_TRAIN]
    last = int(train["rank"].max())
    rest = in_order[(in_order["rank"] > last) & (in_order["rank"] % 2 == "AB".index(half))]
    chosen = [rest[rest["label"] == "normal"].head(N_TILES_NORMAL)]
    bad = rest[rest["label"] == "anomalous"]
    chosen += [rows.head(N_TILES_PER_KIND) for _, rows in bad.groupby(bad["defect_types"].map(tuple))]
    data = Data([read(path) for path in train["filepath"]], [], [])
    for rows in chosen:
        for path, label in zip(rows["filepath"], rows["label"], strict=True):
            image = read(path)
            mask = np.zeros(image.shape[:2], bool)
            if label == "anomalous":
                drawn = cv2.imread(str(Path(path).with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
                mask = drawn > 127
                if not mask.any():
                    continue
            data.test.append(image)
            data.masks.append(mask)
    return data


def read(path: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    image: np.ndarray = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    return image


class Remembering:
    """A runner that computes the maps of every picture once."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.runtime = runner, runner.runtime
        self.kept: dict[bytes, list[np.ndarray]] = {}

    def run(self, images: Sequence[np.ndarray], take: Any) -> None:
        """See Runner."""
        keys = [hashlib.sha1(image.tobytes(), usedforsecurity=False).digest() for image in images]
        new = [index for index, key in enumerate(keys) if key not in self.kept]

        def keep(index: int, maps: list[np.ndarray]) -> None:
            self.kept[keys[new[index]]] = [each.copy() for each in maps]

        self.runner.run([images[index] for index in new], keep)
        for index, key in enumerate(keys):
            take(index, self.kept[key])


def judge(name: str, data: Data, runner: dict[str, Remembering], **options: Any) -> dict[str, float]:
    """Fit and score; the metrics of the answers, and what a prediction takes with the backbone.

    The seconds are wall time, without the backbone once it is remembered.
    """
    detector: Any = detectors.create(name, **options)
    make = detector._ready_runner
    detector._ready_runner = lambda: runner.setdefault("it", Remembering(make()))
    started = time.monotonic()
    detector.fit(data.train)
    fitted = time.monotonic()
    answers = list(detector.predict(data.test))
    done = time.monotonic()
    detector._ready_runner = make
    return measured([each.map for each in answers], [each.score for each in answers], data) | {
        "fit_s": fitted - started,
        "predict_s": done - fitted,
        "predict_cpu_ms": cpu_ms(detector, data.test[:N_TIMED]),
    }


def cpu_ms(detector: Any, images: Sequence[np.ndarray]) -> float:
    """Processor time of a prediction from end to end, for each image; the best of three, all threads."""
    found = []
    list(detector.predict(images[:1]))
    for _ in range(3):
        started = time.process_time()
        list(detector.predict(images))
        found.append((time.process_time() - started) / len(images) * 1000)
    return min(found)


def measured(maps: Sequence[np.ndarray], scores: Sequence[float], data: Data) -> dict[str, float]:
    """Image AUROC, pixel AUROC and AUPRO."""
    labels = np.array([mask.any() for mask in data.masks])
    return {
        "image_auroc": auroc.compute(np.array(scores), labels),
        "pixel_auroc": pixel_auroc.compute(maps, data.masks),
        "aupro": aupro.compute(maps, data.masks),
    }


def compare(data: Data, n_seeds: int, side: int) -> dict[str, Any]:
    """Mean and deviation over the seeds for both detectors."""
    runner: dict[str, Remembering] = {}
    found: dict[str, Any] = {
        "n_train": len(data.train),
        "n_test": len(data.test),
        "n_anomalous": sum(bool(mask.any()) for mask in data.masks),
    }
    for name in ("padim", "npad"):
        runs = [judge(name, data, runner, seed=seed, image_side=side) for seed in range(n_seeds)]
        found[name] = {
            key: {
                "mean": round(float(np.mean([run[key] for run in runs])), 4),
                "std": round(float(np.std([run[key] for run in runs])), 4),
            }
            for key in runs[0]
        }
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=192, help="image_side of both detectors")
    parser.add_argument("--only", action="append", help="one of the sets; may be repeated")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "npad_padim.json")
    options = parser.parse_args()
    sets = {f"fpc_{name}": lambda name=name: section(name, design=1) for name in DEFECTS_OF}
    sets["magnetic_tile"] = lambda: tiles(options.tiles, "B")
    settings = {"image_side": options.side, "shift_px": SHIFT_PX, "turn_degrees": TURN_DEGREES}
    results: dict[str, Any] = {"settings": settings}
    if options.out.exists() and (before := json.loads(options.out.read_text()))["settings"] == settings:
        results = before
    for name in options.only or sets:
        results[name] = {"seeds": options.seeds} | compare(sets[name](), options.seeds, options.side)
        for detector in ("padim", "npad"):
            told = results[name][detector]
            print(name, detector, *(f"{key} {v['mean']:.4f}±{v['std']:.4f}" for key, v in told.items()))
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
