"""Pixel AUROC, AUPRO (0.3) and F1-max of many maps: here, in anomalib 2.7 and in scikit-learn.

    python benchmarks/metrics_peer.py DATA

DATA is the magnetic tile set in its own layout: PaDiM is fitted on its training part and scores the test part
at 256 x 256. The second set is drawn: noise maps of 1024 x 1024 with defects. Every contender runs in a
process of its own, with all maps in memory when the clock starts. anomalib's three metrics run one after the
other, each freed before the next, on batches that are views of these maps: its additional memory is what it
cannot avoid.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SIDE, SYNTHETIC_SIDE, BATCH = 256, 1024, 32
N_FIT = 200
CPU_AT_MOST, MEMORY_AT_MOST = 1 / 30, 1 / 50  # of anomalib's
OURS, PEER, ALL = "curate, streaming", "anomalib 2.7", "curate, streaming, all maps"
Found = dict[str, float | None]


def ours(maps: np.ndarray, masks: np.ndarray) -> Found:
    """Streaming, within 1e-6."""
    from curate import pixel_histograms as of

    metrics = [of.auroc(), of.aupro(0.3), of.f1_max()]
    found = of.accumulate(list(maps), list(masks), metrics)
    values: Found = {metric.name: found.measure(metric).value for metric in metrics}
    return values | {"bound": max(found.measure(metric).bound for metric in metrics)}


def exact(maps: np.ndarray, masks: np.ndarray) -> Found:
    """Every pixel sorted, one metric after the other."""
    from curate.metrics import aupro, pixel_auroc, pixel_f1_max

    return {
        "pixel_auroc": pixel_auroc.compute(maps, masks), "aupro_0.3": aupro.compute(maps, masks),
        "pixel_f1_max": pixel_f1_max.compute(maps, masks),
    }  # fmt: skip


def anomalib(maps: np.ndarray, masks: np.ndarray) -> Found:
    """anomalib's classes, as its evaluator feeds them, in batches."""
    import torch
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.auroc import _AUROC
    from anomalib.metrics.f1_score import _F1Max

    found: Found = {}
    for name, make in (("pixel_auroc", _AUROC), ("aupro_0.3", _AUPRO), ("pixel_f1_max", _F1Max)):
        metric = make()
        for start in range(0, len(maps), BATCH):
            part = slice(start, start + BATCH)
            metric.update(torch.from_numpy(maps[part]), torch.from_numpy(masks[part]))
        found[name] = float(metric.compute())
        del metric
    return found


def scikit_learn(maps: np.ndarray, masks: np.ndarray) -> Found:
    """What scikit-learn has; it has no AUPRO."""
    from sklearn.metrics import precision_recall_curve, roc_auc_score

    auroc = float(roc_auc_score(masks.reshape(-1), maps.reshape(-1)))
    precision, recall, _ = precision_recall_curve(masks.reshape(-1), maps.reshape(-1))
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {"pixel_auroc": auroc, "aupro_0.3": None, "pixel_f1_max": float(f1.max())}


CONTENDERS: dict[str, Callable[[np.ndarray, np.ndarray], Found]] = {
    OURS: ours, "curate, exact": exact, PEER: anomalib, "scikit-learn": scikit_learn,
}  # fmt: skip


def memory_mib(key: str) -> float:
    """A line of this process's status: VmRSS, or VmHWM for the highest so far."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith(key)).split()[1]) / 1024


def work(name: str, folder: Path, n: int) -> None:
    """One contender, in this process; prints what it found and cost."""
    warnings.filterwarnings("ignore")
    warm = np.random.default_rng(0).random((4, 16, 16), dtype=np.float32)
    CONTENDERS[name](warm, warm > 0.5)  # imports and first calls are not timed
    maps, masks = np.load(folder / "maps.npy")[:n].copy(), np.load(folder / "masks.npy")[:n].copy()
    Path("/proc/self/clear_refs").write_text("5")  # the highest memory starts anew
    memory, cpu = memory_mib("VmRSS"), sum(os.times()[:2])
    found = CONTENDERS[name](maps, masks)
    cost = {"cpu_s": sum(os.times()[:2]) - cpu, "additional_mib": memory_mib("VmHWM") - memory}
    print(json.dumps({"n_maps": len(maps), **cost, **found}))


def run(name: str, folder: Path, n: int) -> dict[str, Any] | None:
    """One contender in a process of its own; None if it failed, for lack of memory mostly."""
    command = [sys.executable, __file__, "--work", name, "--folder", str(folder), "--n", str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} ended with {done.returncode}: {done.stderr[-300:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def draw_synthetic(folder: Path, n: int) -> None:
    """Smooth noise with defects of several sizes in every second map."""
    import cv2

    maps = np.lib.format.open_memmap(
        folder / "maps.npy", "w+", np.float32, (n, SYNTHETIC_SIDE, SYNTHETIC_SIDE)
    )
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.bool_, maps.shape)
    for number in range(n):
        rng = np.random.default_rng(number)
        noise = rng.gamma(2.0, 1.0, (SYNTHETIC_SIDE, SYNTHETIC_SIDE)).astype(np.float32)
        mask = np.zeros(noise.shape, np.uint8)
        for _ in range(3 * (number % 2)):
            centre = tuple(int(x) for x in rng.integers(50, SYNTHETIC_SIDE - 50, 2))
            cv2.circle(mask, centre, int(rng.integers(2, 40)), 1, -1)
        maps[number] = cv2.GaussianBlur(noise, (0, 0), 2) + 0.4 * cv2.GaussianBlur(mask * 1.0, (0, 0), 4)
        masks[number] = mask > 0


def draw_tiles(folder: Path, data: Path, seed: int) -> int:
    """Maps of PaDiM on the test part of the magnetic tiles; the number of maps."""
    import cv2

    import detectors
    from curate.images import read_image
    from curate.ingest import build_table
    from curate.masks import read_mask
    from curate.splits import assign

    samples, _ = build_table(data, "magnetic_tile")
    rows = samples.merge(assign(samples, seed), on="sample_id").to_dict("records")
    normals = [r for r in rows if r["assigned_split"] == "train" and r["label"] == "normal"][:N_FIT]
    test = [row for row in rows if row["assigned_split"] == "test"]

    def image(row: dict[str, Any]) -> np.ndarray:
        pixels = read_image(Path(row["filepath"]))
        return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA))

    detector = detectors.create("padim", image_side=SIDE).fit([image(row) for row in normals])
    maps = np.stack([each.map for each in detector.predict(image(row) for row in test)])
    masks = np.zeros(maps.shape, dtype=np.bool_)
    for number, row in enumerate(test):
        if row["label"] == "anomalous":
            drawn = read_mask(Path(row["gt_mask_path"]), row["mask_rule"]).astype(np.uint8)
            masks[number] = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
    np.save(folder / "maps.npy", maps.astype(np.float32))
    np.save(folder / "masks.npy", masks)
    return len(maps)


def compared(results: dict[str, dict[str, Any] | None]) -> dict[str, Any]:
    """Ours against anomalib's on the same maps."""
    best, peer = results.get(OURS), results.get(PEER)
    if not best or not peer:
        return {}
    cpu = best["cpu_s"] / peer["cpu_s"]
    memory = best["additional_mib"] / peer["additional_mib"]
    return {
        "cpu_ratio": round(cpu, 5), "cpu_met": cpu <= CPU_AT_MOST,
        "memory_ratio": round(memory, 5), "memory_met": memory <= MEMORY_AT_MOST,
    }  # fmt: skip


def main() -> None:
    """Run all contenders on both sets and write the results."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", nargs="?", type=Path, help="folder of the magnetic tile images")
    options.add_argument("--n-synthetic", type=int, default=200)
    options.add_argument(
        "--n-peers", type=int, help="drawn maps for the others, where memory or time is short"
    )
    options.add_argument("--sets", nargs="*", default=["tiles", "drawn"], help="tiles, drawn")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=HERE / "results" / "metrics_peer.json")
    options.add_argument("--work", help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--n", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.work:
        return work(chosen.work, chosen.folder, chosen.n)
    content: dict[str, Any] = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    for name in chosen.sets:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            if name == "tiles":
                n = n_peers = draw_tiles(folder, chosen.data.resolve(), chosen.seed)
            else:
                n, n_peers = chosen.n_synthetic, chosen.n_peers or chosen.n_synthetic
                draw_synthetic(folder, n)
            jobs = [(contender, contender, n_peers) for contender in CONTENDERS]
            if name == "drawn":  # sorting all pixels three times takes minutes and tells nothing new
                jobs = [(ALL, OURS, n), *(job for job in jobs if job[0] != "curate, exact")]
            results = {}
            for key, contender, n_maps in jobs:
                results[key] = run(contender, folder, n_maps)
                print(name, key, results[key], flush=True)
            content[name] = {"setting": setting(), "results": results, "verdict": compared(results)}
            print(json.dumps(content[name]["verdict"]), flush=True)
        chosen.out.write_text(json.dumps(content, indent=2) + "\n")


def setting() -> dict[str, Any]:
    """What the results hold for; a high load means that other programs ran too."""
    return {
        "cpus": os.cpu_count(), "load_at_end": round(os.getloadavg()[0], 1), "machine": platform.machine(),
        "python": platform.python_version(), "numpy": np.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    main()
