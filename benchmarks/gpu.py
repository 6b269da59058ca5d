"""What a GPU changes: fit and prediction of every detector on the GPU beside the CPU of the same computer.

    python benchmarks/gpu.py IMAGES OUT.json [--images 160] [--methods padim npad]

IMAGES is a folder with any images; half of them are fitted on, the others predicted, profile "cpu" of each
detector, torch as the runtime on both. Wall seconds, the second of two predictions (the first warms up).
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import detectors
from detectors.memory import gpu_peak_bytes


def measure(
    method: str, device: str, precision: str, fit: list[np.ndarray], test: list[np.ndarray]
) -> dict[str, Any]:
    """Times, memory and scores of one detector on one device."""
    if device != "cpu" and torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    options = {"device": device, "precision": precision, "runtime": "torch"}
    with tempfile.TemporaryDirectory() as cache:
        detector = detectors.create(method, cache_folder=Path(cache), **options)
        started = time.perf_counter()
        detector.fit(fit)
        fit_s = time.perf_counter() - started
        scores: list[float] = []
        for _ in range(2):
            started = time.perf_counter()
            scores = [each.score for each in detector.predict(test)]
        predict_s = time.perf_counter() - started
        one = []
        for image in test[:20]:
            started = time.perf_counter()
            list(detector.predict([image]))
            one.append(time.perf_counter() - started)
    peak = gpu_peak_bytes(device)
    return {
        "method": method, "device": device, "precision": precision, "fit_s": round(fit_s, 3),
        "images_per_s": round(len(test) / predict_s, 1), "latency_p50_s": round(float(np.median(one)), 5),
        "gpu_peak_mib": None if peak is None else round(peak / 2**20), "scores": scores,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", dest="n", type=int, default=160)
    parser.add_argument("--methods", nargs="+", default=list(detectors.DETECTORS))
    parser.add_argument(
        "--on", nargs="+", default=["cpu", "cuda", "cuda:bf16"], help="devices, with a precision"
    )
    given = parser.parse_args()
    files = sorted(path for path in given.images.rglob("*") if path.suffix.lower() in (".jpg", ".png"))[
        : given.n
    ]
    read = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in files]
    fit, test = read[::2], read[1::2]
    rows: list[dict[str, Any]] = []
    for method in given.methods:
        reference: list[float] = []
        for place in given.on:
            device, _, precision = place.partition(":")
            precision = precision or "f32"
            try:
                row = measure(method, device, precision, fit, test)
            except ValueError as error:
                row = {"method": method, "device": device, "precision": precision, "error": str(error)}
            scores = row.pop("scores", [])
            reference = reference or scores
            if scores:
                row["score_correlation_with_cpu"] = round(float(np.corrcoef(scores, reference)[0, 1]), 5)
            rows.append(row)
            print(json.dumps(row), flush=True)
            card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
            content = {
                "card": card,
                "torch": torch.__version__,
                "n_fit": len(fit),
                "n_test": len(test),
                "rows": rows,
            }
            given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
