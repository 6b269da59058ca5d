"""PaDiM here against anomalib's: accuracy, CPU seconds and memory on the same images, weights and channels.

    python benchmarks/padim_peer.py DATA --peer-python PYTHON_WITH_ANOMALIB

DATA is the magnetic tile set in its own layout. The images are divided as `curate split` does it, so that all
exposures of a tile are on one side: the training part is fitted on, the test part scored. Every contender
runs in a process of its own, one after the other; some are the bare backbone. Those and ours run several
times in turn, and the least CPU time of each counts; the backbone's share is the median of the rounds.
Accuracy is computed here, the same way for all, from the maps that each one stored, at 256 x 256.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from curate.anomaly_maps import read_raw  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.masks import read_mask  # noqa: E402
from curate.metrics.auroc import compute as auroc  # noqa: E402
from curate.pixel_histograms import accumulate  # noqa: E402
from curate.splits import assign  # noqa: E402
from detectors.backbones.weights import lite0_to_timm, locate  # noqa: E402
from detectors.padim import choose_channels  # noqa: E402

SIDE, N_CHANNELS, N_ALL_CHANNELS = 256, 100, 176
PEERS = ("anomalib, torch model", "anomalib, Engine")
RUNTIMES = ("openvino", "onnxruntime", "torch")
OURS = tuple(f"ours, {name}" for name in RUNTIMES)
ALONE = tuple(f"backbone alone, {name}" for name in RUNTIMES)
AT_MOST = {"fit_cpu_s": 1 / 6, "predict_cpu_s": 1 / 5, "peak_rss_mib": 1 / 2}  # of the peer's
AT_LEAST = {"image_auroc": -0.005, "aupro": -0.01}  # above the peer's
BACKBONE_SHARE = 0.6  # of the CPU time of scoring
CPU = ("fit_cpu_s", "predict_cpu_s", "setup_cpu_s")
Row = dict[str, Any]


def split(data: Path, seed: int, n_train: int | None, n_test: int | None) -> tuple[list[Row], list[Row]]:
    """Rows of the normal training images, and of all test images; fewer where asked for, drawn at random."""
    samples, _ = build_table(data, "magnetic_tile")
    table = samples.merge(assign(samples, seed), on="sample_id").sample(frac=1, random_state=seed)
    rows = table.to_dict("records")
    train = [row for row in rows if row["assigned_split"] == "train" and row["label"] == "normal"]
    test = [row for row in rows if row["assigned_split"] == "test"]
    return train[:n_train], test[:n_test]


def run(name: str, python: str, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one contender; its maps are in folder when it returns."""
    folder.mkdir()
    path = folder / "job.json"
    path.write_text(json.dumps({**job, "out": str(folder)}))
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TQDM_DISABLE": "1"}
    done = subprocess.run(
        [python, str(HERE / "padim_contenders.py"), name, str(path)],
        env=environment, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def accuracy(test: list[Row], folder: Path) -> dict[str, float]:
    """Image AUROC, pixel AUROC and AUPRO of the maps in a contender's folder."""
    scores, maps, truths = [], [], []
    for row in test:
        raw = folder / "raw" / f"{row['sample_id']}.png"
        anomaly_map = read_raw(raw) if raw.exists() else np.load(folder / f"{row['sample_id']}.npy")
        scores.append(float(anomaly_map.max()))
        maps.append(cv2.resize(anomaly_map, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if row["label"] == "anomalous":
            drawn = read_mask(Path(row["gt_mask_path"]), row["mask_rule"]).astype(np.uint8)
            mask = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        truths.append(mask > 0)
    pixels = accumulate(maps, truths)
    labels = np.array([row["label"] == "anomalous" for row in test])
    return {
        "image_auroc": auroc(np.array(scores), labels), "pixel_auroc": pixels.auroc(),
        "aupro": pixels.aupro(),
    }  # fmt: skip


def verdict(results: dict[str, dict[str, float]], peer: str) -> dict[str, Any]:
    """Our fastest runtime against a peer: ratios, targets, and whether they are met."""
    best = fastest(results)
    found: dict[str, Any] = {"ours": best, "peer": peer}
    for key, target in AT_MOST.items():
        ratio = results[best][key] / results[peer][key]
        found[key] = {"ratio": round(ratio, 4), "at_most": round(target, 4), "met": ratio <= target}
    for key, target in AT_LEAST.items():
        above = results[best][key] - results[peer][key]
        found[key] = {"above": round(above, 4), "at_least": target, "met": above >= target}
    return found


def fastest(results: dict[str, dict[str, float]]) -> str:
    """Name of ours that predicts with the least CPU time."""
    return min((name for name in results if name in OURS), key=lambda name: results[name]["predict_cpu_s"])


def order(rounds: int, peers: bool) -> list[str]:
    """Each bare backbone directly before ours with it, some rounds of them, and then the peers once."""
    pairs = [name for pair in zip(ALONE, OURS, strict=True) for name in pair]
    return pairs * rounds + list(PEERS if peers else ())


def backbone_shares(shares: dict[str, list[float]]) -> list[dict[str, Any]]:
    """How much of scoring's CPU time each bare runtime needs for the same images: median and all rounds."""
    return [
        {
            "of": ours, "share": round(float(np.median(found)), 3), "at_least": BACKBONE_SHARE,
            "met": bool(np.median(found) >= BACKBONE_SHARE), "rounds": [round(one, 3) for one in found],
        }
        for ours, found in shares.items()
        if found
    ]  # fmt: skip


def show(results: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    digits = {
        "image_auroc": 4, "pixel_auroc": 4, "aupro": 4, "fit_cpu_s": 2, "predict_cpu_s": 2, "setup_cpu_s": 1,
        "peak_rss_mib": 0,
    }  # fmt: skip
    print(f"{'':<28}" + "".join(f"{column:>15}" for column in digits))
    for name, row in results.items():
        cells = (f"{row[column]:>15.{n}f}" if column in row else f"{'':>15}" for column, n in digits.items())
        print(f"{name:<28}" + "".join(cells))


def main() -> None:
    """Run all contenders and write the results."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path, help="folder of the magnetic tile images")
    options.add_argument(
        "--peer-python", help="an interpreter that has anomalib 2.7; without it only ours run"
    )
    options.add_argument("--n-train", type=int, help="fewer than the split gives")
    options.add_argument("--n-test", type=int, help="fewer than the split gives")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rounds", type=int, default=5, help="of ours; the peers run once")
    options.add_argument("--only", nargs="*", help="names of contenders")
    options.add_argument("--out", type=Path, default=HERE / "results" / "padim_peer.json")
    chosen = options.parse_args()
    train, test = split(chosen.data.resolve(), chosen.seed, chosen.n_train, chosen.n_test)
    results: dict[str, dict[str, float]] = {}
    shares: dict[str, list[float]] = {name: [] for name in OURS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = job_of(train, test, folder)
        last: dict[str, dict[str, float]] = {}
        for number, contender in enumerate(order(chosen.rounds, bool(chosen.peer_python))):
            if chosen.only and contender not in chosen.only:
                continue
            python = str(Path(chosen.peer_python).absolute()) if contender in PEERS else sys.executable
            found = run(contender, python, job, folder / str(number))
            if contender not in ALONE:
                found |= accuracy(test, folder / str(number))
                shutil.rmtree(folder / str(number))
            if contender in OURS and (alone := last.get(ALONE[OURS.index(contender)])):
                shares[contender].append(alone["predict_cpu_s"] / found["predict_cpu_s"])
            last[contender] = found
            best = results.get(contender, found)
            results[contender] = found | {key: min(best[key], found[key]) for key in CPU}
            print(f"{contender}: done", file=sys.stderr)
    show(results)
    verdicts = backbone_shares(shares)
    if any(name in OURS for name in results):
        verdicts += [verdict(results, peer) for peer in PEERS if peer in results]
    for each in verdicts:
        print(json.dumps(each))
    content = {"setting": setting(train, test, chosen.seed), "results": results, "verdicts": verdicts}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(content, indent=2) + "\n")


def job_of(train: list[Row], test: list[Row], folder: Path) -> dict[str, Any]:
    """What every contender gets, with the weights written into a folder."""
    packaged = torch.load(locate("efficientnet_lite0", "packaged"), weights_only=True)
    torch.save(lite0_to_timm(packaged), folder / "weights.pth")
    parts = {"train": train, "test": test}
    return {
        **{name: [(row["sample_id"], row["filepath"]) for row in rows] for name, rows in parts.items()},
        "weights": str(folder / "weights.pth"),
        "channels": choose_channels(N_ALL_CHANNELS, N_CHANNELS, seed=0).tolist(),
    }


def setting(train: list[Row], test: list[Row], seed: int) -> dict[str, Any]:
    """What the results hold for; a high load means that other programs ran too."""
    return {
        "n_train": len(train), "n_test": len(test), "seed": seed,
        "n_anomalous": sum(row["label"] == "anomalous" for row in test),
        "cpus": os.cpu_count(), "load_at_end": round(os.getloadavg()[0], 1), "machine": platform.machine(),
        "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    main()
