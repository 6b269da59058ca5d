"""PaDiM here against anomalib's: accuracy, CPU seconds and memory on the same images, weights and channels.

    python benchmarks/padim_peer.py DATA --peer-python PYTHON_WITH_ANOMALIB

DATA is the magnetic tile set in its own layout. Every contender runs in a process of its own, one after the
other. Image and pixel AUROC are computed here, the same way for all, from the maps that each one stored, at
256 x 256. Normal images are divided at random, without regard to which show the same tile: that inflates
every contender's AUROC alike, so use the figures to compare, not to judge.
"""

import argparse
import hashlib
import json
import os
import platform
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
from detectors.backbones.weights import lite0_to_timm, locate  # noqa: E402
from detectors.padim import choose_channels  # noqa: E402

SIDE, N_CHANNELS, N_ALL_CHANNELS = 256, 100, 176
PEERS = ("anomalib, torch model", "anomalib, Engine")
OURS = ("ours, openvino", "ours, onnxruntime", "ours, torch")
TARGETS = {"fit_cpu_s": 1 / 5, "predict_cpu_s": 1 / 4, "peak_rss_mib": 1 / 2}
Item = tuple[str, Path]


def split(data: Path, n_train: int, n_test: int, seed: int) -> tuple[list[Item], list[Item], dict[str, bool]]:
    """Training and test images (half of the test normal), and which ids are anomalous."""
    rng = np.random.default_rng(seed)
    images = sorted(data.glob("MT_*/Imgs/*.jpg"))
    normal = [path for path in images if path.parts[-3] == "MT_Free"]
    anomalous = [path for path in images if path.parts[-3] != "MT_Free"]
    normal = [normal[index] for index in rng.permutation(len(normal))]
    anomalous = [anomalous[index] for index in rng.permutation(len(anomalous))]
    train, n_half = normal[:n_train], n_test // 2
    test = normal[n_train : n_train + n_half] + anomalous[: n_test - n_half]
    if len(train) < n_train or len(test) < n_test:
        raise SystemExit(f"{data} has {len(normal)} normal and {len(anomalous)} anomalous images: too few.")

    def named(paths: list[Path]) -> list[Item]:
        return [
            (hashlib.sha256(str(path.relative_to(data)).encode()).hexdigest()[:16], path) for path in paths
        ]

    return named(train), named(test), {key: path.parts[-3] != "MT_Free" for key, path in named(test)}


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


def auroc(values: np.ndarray, truth: np.ndarray) -> float:
    """Exact area under the ROC curve, ties counted half."""
    from scipy.stats import rankdata

    ranks, n_true = rankdata(values), int(truth.sum())
    return float((ranks[truth].sum() - n_true * (n_true + 1) / 2) / (n_true * (len(truth) - n_true)))


def accuracy(test: list[Item], anomalous: dict[str, bool], folder: Path) -> dict[str, float]:
    """Image and pixel AUROC of the maps in a contender's folder."""
    scores, values, truths = [], [], []
    for key, path in test:
        raw = folder / "raw" / f"{key}.png"
        anomaly_map = read_raw(raw) if raw.exists() else np.load(folder / f"{key}.npy")
        scores.append(float(anomaly_map.max()))
        values.append(cv2.resize(anomaly_map, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))
        mask = np.zeros((SIDE, SIDE), bool)
        if anomalous[key]:
            drawn = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
            mask = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 127
        truths.append(mask)
    labels = np.array([anomalous[key] for key, _ in test])
    pixels = (
        np.concatenate([each.ravel() for each in values]),
        np.concatenate([each.ravel() for each in truths]),
    )
    return {"image_auroc": auroc(np.array(scores), labels), "pixel_auroc": auroc(*pixels)}


def verdict(results: dict[str, dict[str, float]], peer: str) -> dict[str, Any]:
    """Our fastest runtime against a peer: ratios, targets, and whether they are met."""
    best = min((name for name in results if name in OURS), key=lambda name: results[name]["predict_cpu_s"])
    found = {"ours": best, "peer": peer}
    for key, target in TARGETS.items():
        ratio = results[best][key] / results[peer][key]
        found[key] = {"ratio": round(ratio, 4), "target": target, "met": ratio <= target}
    away = results[best]["image_auroc"] - results[peer]["image_auroc"]
    found["image_auroc"] = {"difference": round(away, 4), "target": 0.01, "met": abs(away) <= 0.01}
    return found


def show(results: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    columns = ("image_auroc", "pixel_auroc", "fit_cpu_s", "predict_cpu_s", "setup_cpu_s", "peak_rss_mib")
    print(f"{'':<24}" + "".join(f"{column:>15}" for column in columns))
    for name, row in results.items():
        digits = (4, 4, 1, 1, 1, 0)
        print(f"{name:<24}" + "".join(f"{row[c]:>15.{n}f}" for c, n in zip(columns, digits, strict=True)))


def main() -> None:
    """Run all contenders and write the results."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path, help="folder of the magnetic tile images")
    options.add_argument(
        "--peer-python", help="an interpreter that has anomalib 2.7; without it only ours run"
    )
    options.add_argument("--n-train", type=int, default=244)
    options.add_argument("--n-test", type=int, default=300)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", nargs="*", help="names of contenders")
    options.add_argument("--out", type=Path, default=HERE / "results" / "padim_peer.json")
    chosen = options.parse_args()
    train, test, anomalous = split(chosen.data.resolve(), chosen.n_train, chosen.n_test, chosen.seed)
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packaged = torch.load(locate("efficientnet_lite0", "packaged"), weights_only=True)
        torch.save(lite0_to_timm(packaged), folder / "weights.pth")
        job = {
            "train": [(key, str(path)) for key, path in train],
            "test": [(key, str(path)) for key, path in test],
            "weights": str(folder / "weights.pth"),
            "channels": choose_channels(N_ALL_CHANNELS, N_CHANNELS, seed=0).tolist(),
        }
        for number, contender in enumerate((*OURS, *(PEERS if chosen.peer_python else ()))):
            if chosen.only and contender not in chosen.only:
                continue
            python = chosen.peer_python if contender in PEERS else sys.executable
            cost = run(contender, python, job, folder / str(number))
            results[contender] = cost | accuracy(test, anomalous, folder / str(number))
            print(f"{contender}: done", file=sys.stderr)
    show(results)
    have_ours = any(name in results for name in OURS)
    verdicts = [verdict(results, peer) for peer in PEERS if peer in results and have_ours]
    for each in verdicts:
        print(json.dumps(each))
    facts = {
        "n_train": len(train), "n_test": len(test), "seed": chosen.seed, "cpus": os.cpu_count(),
        "machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"setting": facts, "results": results, "verdicts": verdicts}
    chosen.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
